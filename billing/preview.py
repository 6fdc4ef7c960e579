"""What a change would do to monthly revenue: list prices of active services that come, go or change their plan.

Subscriptions pin the price version that they were sold at (docs/billing.md), so a new version moves nobody: it is
told apart. Amounts are before discounts and taxes, yearly ones by twelfths.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Any

from billing.catalog import PriceVersion, price_on, price_versions
from billing.errors import PriceMissing
from billing.periods import MONTHS
from core import clock
from core.money import Money
from core.preview import Comparison, Section, cut, preview

_LISTED = 30
_DEFAULT = "XXX"


@preview("billing")
def sections(comparison: Comparison) -> Iterator[Section]:
    """One section, or none when neither services nor prices change."""
    config = comparison.head.get("config", "trunkline") or comparison.base.get("config", "trunkline")
    currency = config.operator.currency if config else _DEFAULT
    today = clock.today(config.operator.timezone if config else "UTC")
    moves = _moves(comparison)
    versions = list(_new_versions(comparison, currency))
    if moves or versions:
        yield _section(comparison, moves, versions, currency, today)


Move = tuple[str | None, str | None]
"""(plan before, plan after) of an active service; None: not active."""


def _moves(comparison: Comparison) -> Counter[Move]:
    found: Counter[Move] = Counter()
    for kind, name in comparison.changed:
        if kind == "service":
            move = (_sold(comparison.base, name), _sold(comparison.head, name))
            found[move] += move[0] != move[1]
    return +found


def _sold(reader: Any, service: str) -> str | None:
    value = reader.get("service", service)
    return value.plan if value is not None and value.state == "active" else None


def _section(
    comparison: Comparison, moves: Counter[Move], versions: list[str], currency: str, today: date
) -> Section:
    rows, total = [], Money.zero(currency)
    for (old, new), count in sorted(moves.items(), key=lambda pair: (-pair[1], str(pair[0]))):
        one = _monthly(comparison.head, new, currency, today) - _monthly(
            comparison.base, old, currency, today
        )
        total += one.times(count)
        rows.append(
            f"| {old or '–'} | {new or '–'} | {count} | {_signed(one)} | {_signed(one.times(count))} |"
        )
    head = ["| plan before | plan after | services | each a month | together |", "|---|---|---|---|---|"]
    lines = [f"Monthly revenue moves by **{_signed(total)}** at list prices of {today}."]
    lines += ["", *head, *cut(rows, _LISTED)] if rows else []
    lines += ["", *(f"- {told}" for told in cut(versions, _LISTED))] if versions else []
    told = [{"before": old, "after": new, "services": count} for (old, new), count in moves.items()]
    data = {"monthly": {"minor": total.minor, "currency": currency}, "moves": told, "prices": versions}
    return Section(title="Monthly revenue", order=50, markdown="\n".join(lines), data=data)


def _monthly(reader: Any, plan: str | None, currency: str, today: date) -> Money:
    if plan is None:
        return Money.zero(currency)
    try:
        terms = price_on(reader, plan, today, currency).terms
    except PriceMissing:
        return Money.zero(currency)
    return terms.price.times(Fraction(1, terms.months))


def _new_versions(comparison: Comparison, currency: str) -> Iterator[str]:
    for kind, plan in sorted(comparison.changed):
        if kind != "plan":
            continue
        old = {one.version: one for one in price_versions(comparison.base, plan, currency)}
        new = {one.version: one for one in price_versions(comparison.head, plan, currency)}
        for name, version in new.items():
            if old.get(name) != version:
                yield _told(comparison, plan, version, is_new=name not in old)
        yield from (f"plan {plan}: price version {name} goes" for name in old if name not in new)


def _told(comparison: Comparison, plan: str, version: PriceVersion, *, is_new: bool) -> str:
    priced = f"{version.terms.price} every {_rhythm(version.terms.months)} from {version.valid_from}"
    if not is_new:
        return f"plan {plan}: **price version {version.version} is rewritten** to {priced}; invoices may follow it"
    count = sum(1 for _ in comparison.base.referrers("plan", plan, "service"))
    return f"plan {plan}: new price version {version.version}, {priced}; {count} services keep what they were sold at"


def _rhythm(months: int) -> str:
    return {count: name for name, count in MONTHS.items()}.get(months, f"{months} months")


def _signed(amount: Money) -> str:
    return f"{amount.currency} {'+' if amount.minor >= 0 else '−'}{str(_size(amount)).partition(' ')[2]}"


def _size(amount: Money) -> Money:
    return -amount if amount.minor < 0 else amount
