"""What a change would do to monthly revenue: list prices of active services that come, go or change their plan.

Subscriptions pin the price version that they were sold at (docs/billing.md), so a new version moves nobody: it is
told apart. Amounts are before discounts and taxes, yearly ones by twelfths, each currency for itself: a service is in
that of the account it is billed to, where the database is at hand to say it, and else in the operator's.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from billing.catalog import NO_CURRENCY, PriceVersion, every_version, price_on
from billing.errors import PriceMissing
from billing.models import account, subscription
from billing.periods import MONTHS
from billing.runs.ranges import among
from core import clock
from core.money import Money
from core.preview import Comparison, Section, cut, preview

_LISTED = 30


@preview("billing")
def sections(comparison: Comparison) -> Iterator[Section]:
    """One section, or none when neither services nor prices change."""
    config = comparison.head.get("config", "trunkline") or comparison.base.get("config", "trunkline")
    currency = str(config.operator.currency) if config else NO_CURRENCY
    today = clock.today(config.operator.timezone if config else "UTC")
    moves = _moves(comparison, currency)
    versions = list(_new_versions(comparison))
    if moves or versions:
        yield _section(comparison, moves, versions, currency, today)


Move = tuple[str | None, str | None, str]
"""(plan before, plan after, currency) of an active service; None: not active."""


def _moves(comparison: Comparison, operator: str) -> Counter[Move]:
    changed = sorted(name for kind, name in comparison.changed if kind == "service")
    sold = {name: (_sold(comparison.base, name), _sold(comparison.head, name)) for name in changed}
    moved = {name: move for name, move in sold.items() if move[0] != move[1]}
    currencies = _currencies(comparison, list(moved))
    return Counter((*move, currencies.get(name, operator)) for name, move in moved.items())


def _currencies(comparison: Comparison, services: list[str]) -> dict[str, str]:
    """Service -> the currency that it is billed in, of those that are billed."""
    if comparison.db is None or not services:
        return {}
    with comparison.db.read() as conn:
        query = sa.select(subscription.c.service, account.c.currency)
        query = query.join(account, account.c.id == subscription.c.account_id)
        rows = conn.execute(query.where(among(conn, subscription.c.service, services)))
        return {row.service: row.currency for row in rows}


def _sold(reader: Any, service: str) -> str | None:
    value = reader.get("service", service)
    return value.plan if value is not None and value.state == "active" else None


def _section(
    comparison: Comparison, moves: Counter[Move], versions: list[str], currency: str, today: date
) -> Section:
    rows, totals = [], {one: Money.zero(one) for one in sorted({mine for *_, mine in moves} or {currency})}
    for (old, new, mine), count in sorted(moves.items(), key=lambda pair: (-pair[1], str(pair[0]))):
        one = _monthly(comparison.head, new, mine, today) - _monthly(comparison.base, old, mine, today)
        totals[mine] += one.times(count)
        rows.append(
            f"| {old or '–'} | {new or '–'} | {count} | {_signed(one)} | {_signed(one.times(count))} |"
        )
    head = ["| plan before | plan after | services | each a month | together |", "|---|---|---|---|---|"]
    lines = [
        f"Monthly revenue moves by **{', '.join(map(_signed, totals.values()))}** at list prices of {today}."
    ]
    lines += ["", *head, *cut(rows, _LISTED)] if rows else []
    lines += ["", *(f"- {told}" for told in cut(versions, _LISTED))] if versions else []
    told = [
        {"before": old, "after": new, "currency": mine, "services": count}
        for (old, new, mine), count in moves.items()
    ]
    monthly = {name: total.minor for name, total in totals.items()}
    data = {"monthly": monthly, "moves": told, "prices": versions}
    return Section(title="Monthly revenue", order=50, markdown="\n".join(lines), data=data)


def _monthly(reader: Any, plan: str | None, currency: str, today: date) -> Money:
    if plan is None:
        return Money.zero(currency)
    try:
        terms = price_on(reader, plan, today, currency).terms
    except PriceMissing:
        return Money.zero(currency)
    return terms.price.times(Fraction(1, terms.months))


def _new_versions(comparison: Comparison) -> Iterator[str]:
    for kind, plan in sorted(comparison.changed):
        if kind != "plan":
            continue
        old = {one.version: one for one in every_version(comparison.base, plan)}
        new = {one.version: one for one in every_version(comparison.head, plan)}
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
