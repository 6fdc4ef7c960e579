"""A pull request that brings a price version says what moving everybody to it would do; merging it moves nobody."""

from collections.abc import Iterator
from datetime import date

from billing.catalog import every_version
from billing.prices import reading
from billing.prices.previewing import Preview, preview
from core.money import Money
from core.preview import Comparison, Section
from core.preview import preview as registered

_MANY = 5_000
"""Accounts for which a review waits until last month is computed anew."""


@registered("billing-prices")
def sections(comparison: Comparison) -> Iterator[Section]:
    """One section where plans get price versions and the database is at hand to ask who has older ones."""
    if comparison.db is None:
        return
    plans = sorted(name for kind, name in comparison.changed if kind == "plan")
    found = [
        _previewed(comparison, plan, version, day)
        for plan in plans
        for version, day in _new(comparison, plan)
    ]
    told = [one for one in found if one.items or one.left]
    if told:
        text = "\n".join(line for one in told for line in _lines(one))
        yield Section(
            title="Price changes", order=51, markdown=text, data={"prices": [_data(one) for one in told]}
        )


def _previewed(comparison: Comparison, plan: str, version: str, day: date) -> Preview:
    """With last month again where it takes no minutes."""
    assert comparison.db is not None  # sections() asks
    on = max(day, reading.today(comparison.head))
    total, _ = reading.chunks(comparison.db, plan, max(_MANY, 1))
    return preview(comparison.db, comparison.head, plan, version, on=on, again=total <= _MANY)


def _new(comparison: Comparison, plan: str) -> Iterator[tuple[str, date]]:
    """Versions that are new, or are not what they were, in whatever currency."""
    old = {one.version: one for one in every_version(comparison.base, plan)}
    for one in every_version(comparison.head, plan):
        if old.get(one.version) != one:
            yield one.version, one.valid_from


def _lines(one: Preview) -> Iterator[str]:
    yield (
        f"Plan {one.plan}, version {one.version}: merging moves nobody. `trunkline billing prices apply {one.plan} "
        f"--version {one.version} --on {one.on}` would move **{one.items} items of {len(one.accounts)} accounts**, "
        f"{_signed(one.monthly)} a month."
    )
    yield ""
    yield "| version now | price | items | each a month |"
    yield "|---|---|---|---|"
    for group in one.groups:
        each = _signed({group.each.currency: group.each.minor})
        yield f"| {group.version} | {group.price} | {group.items} | {each} |"
    yield ""
    difference = {currency: one.after[currency] - one.before[currency] for currency in one.before}
    if not one.again:
        yield f"- what last month would have been says `trunkline billing prices preview {one.plan}`"
    else:
        yield f"- {one.month.start:%B %Y} again at the new price, with tax: {_signed(difference) or 'nothing'}"
    if one.left:
        yield f"- {len(one.left)} left to a person, say {next(f'{name}: {why}' for name, why in one.left.items())}"
    yield ""


def _signed(amounts: dict[str, int]) -> str:
    return ", ".join(
        f"{currency} {'+' if minor >= 0 else '−'}{str(Money(abs(minor), currency)).partition(' ')[2]}"
        for currency, minor in sorted(amounts.items())
    )


def _data(one: Preview) -> dict[str, object]:
    return {
        "plan": one.plan, "version": one.version, "currency": one.currency, "items": one.items,
        "accounts": len(one.accounts),
        "monthly": one.monthly, "before": one.before, "after": one.after, "left": len(one.left),
    }  # fmt: skip
