"""The rating run: the months that are over, account by account in chunks; again: nothing, or only what came late."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, billables, catalog, subscriptions
from billing.accounts import Account
from billing.billables import Billable
from billing.errors import PriceVersionUnknown
from billing.models import pinned_terms, subscription, subscription_item
from billing.periods import Cadence, Period, month_index
from billing.rating import allowance, reading, told
from billing.rating.allowance import Lot
from billing.rating.models import usage_rated
from billing.rating.parts import Part, months, parts, together
from billing.rating.rules import Rule, cost, rule_of
from billing.runs import ranges
from billing.runs.ranges import Range, among
from billing.subscriptions import PLAN, Item
from billing.timeline import Terms
from core import clock, db, faults
from core.db import Database
from core.money import Money
from intents.reader import Reader

_CHUNK = 500
AGAIN = 3
"""How many months back are looked at again: records may come late."""
P_CHUNK = faults.declare("billing.after_rated_chunk")
_Key = tuple[str, str, date]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a month's usage comes to now; `before` what was billed of it until now."""

    account: str
    scope: str
    meter: str
    period: Period
    used: int
    amount: Money
    before: Money
    revision: int


class Rated(msgspec.Struct, frozen=True):
    """What a run did: accounts looked at, and every amount that changed."""

    accounts: int
    changes: tuple[Change, ...]


class _TakenBack(Exception):
    """Ends a dry run's transaction."""


def rate(
    database: Database,
    reader: Reader,
    on: date,
    *,
    actor: str = "billing",
    dry: bool = False,
    again: int = AGAIN,
    chunk: int = _CHUNK,
    watch: Callable[[int, int], None] = lambda _done, _of: None,
) -> Rated:
    """Rate the months that are over by local date `on`; doing it again adds nothing.

    What comes later than its bill makes a further revision with the difference. `watch` hears (accounts done, of).
    """
    rules = _Rules(reader)
    if not rules.plans:
        return Rated(0, ())
    with database.read() as conn:
        total, every = ranges.cut(conn, _candidates(conn, rules.plans), chunk)
    done, changes = 0, []
    for within in every if total else []:
        try:
            with database.write() as conn:
                mine = ranges.lock(
                    conn, list(conn.execute(_candidates(conn, rules.plans, within)).scalars()), wait=True
                )
                changes += _chunk(conn, rules, mine, on, again, actor)
                if dry:
                    raise _TakenBack
        except _TakenBack:
            pass
        done += len(mine)
        watch(done, total)
        faults.point(P_CHUNK)
    return Rated(total, tuple(changes))


class _Rules:
    """The usage prices of plans, by pinned price version."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._known: dict[tuple[str, str, str], tuple[Rule, ...]] = {}
        self.plans = sorted(
            name for name, plan in reader.all("plan") if any(price.usage for price in plan.prices)
        )

    def __call__(self, terms: Terms) -> tuple[Rule, ...]:
        place = (terms.plan, terms.version, terms.price.currency)
        if place not in self._known:
            self._known[place] = self._read(*place)
        return self._known[place]

    def name(self, plan: str) -> str:
        """What a customer knows a plan by."""
        found = self._reader.get("plan", plan)
        return plan if found is None or found.name is None else str(found.name)

    def _read(self, plan: str, version: str, currency: str) -> tuple[Rule, ...]:
        try:
            catalog.price_version(self._reader, plan, version, currency)
        except PriceVersionUnknown:
            return ()
        prices = [price for price in self._reader.get("plan", plan).prices if price.id == version]
        return tuple(rule_of(one, currency) for price in prices for one in price.usage)


def _candidates(conn: Connection, plans: Sequence[str], within: Range = ranges.EVERYBODY) -> "sa.Select[Any]":
    """Accounts with a service that may have a usage price: what it renews at says so, or only its timeline knows."""
    terms = conn.execute(sa.select(pinned_terms.c.id, pinned_terms.c.terms)).all()
    priced = [row.id for row in terms if row.terms["plan"] in plans]
    one = subscription_item.c
    query = sa.select(subscription.c.account_id).join(subscription_item)
    query = query.where(one.role == PLAN, sa.or_(one.renews.is_(None), one.renews.in_(priced)))
    return query.where(within.holds(subscription.c.account_id)).distinct()


def _chunk(
    conn: Connection, rules: _Rules, account_ids: list[str], on: date, again: int, actor: str
) -> Iterator[Change]:
    owners = accounts.by_ids(conn, account_ids)
    if not owners:
        return
    mine = sa.and_(among(conn, subscription.c.account_id, account_ids), subscription_item.c.role == PLAN)
    items: dict[str, list[Item]] = {owner.id: [] for owner in owners}
    for item in subscriptions.items(conn, mine):
        items[item.account].append(item)
    periods = {owner.id: months(owner.anchor, on, again) for owner in owners}
    asked = {
        owner.id: [part for period in periods[owner.id] for part in parts(items[owner.id], period, rules)]
        for owner in owners
    }
    used = _used(conn, owners, asked)
    known = _known(conn, [owner.id for owner in owners if asked[owner.id]])
    for owner in owners:
        later = Cadence(owner.anchor).containing(on).end
        yield from _account(
            conn, rules, _Account(owner, asked[owner.id], known.get(owner.id, {}), later, actor), used
        )


def _used(conn: Connection, owners: Sequence[Account], asked: dict[str, list[Part]]) -> reading.Days:
    zones = {part.service: owner.timezone for owner in owners for part in asked[owner.id]}
    every = [part for found in asked.values() for part in found]
    if not every:
        return {}
    since, until = min(part.part.start for part in every), max(part.part.end for part in every)
    return reading.read(conn, zones, {part.rule.meter for part in every}, since, until)


def _known(conn: Connection, account_ids: list[str]) -> dict[str, dict[_Key, Any]]:
    found: dict[str, dict[_Key, Any]] = {one: {} for one in account_ids}
    if account_ids:
        query = sa.select(usage_rated).where(among(conn, usage_rated.c.account_id, account_ids))
        for row in conn.execute(query.order_by(usage_rated.c.period_start)):
            found[row.account_id][row.scope, row.meter, row.period_start] = row
    return found


class _Account(msgspec.Struct, frozen=True):
    """An account while it is rated: its services' parts, what was rated before, and when a correction is billed."""

    owner: Account
    asked: list[Part]
    known: dict[_Key, Any]
    later: date
    actor: str


def _account(conn: Connection, rules: _Rules, one: _Account, used: reading.Days) -> Iterator[Change]:
    groups = together(one.asked)
    lots: dict[tuple[str, str], list[Lot]] = {}
    for key, members in sorted(groups.items(), key=lambda item: (item[0][2], item[0])):
        scope, meter, start = key
        rule, month = members[0].rule, month_index(members[0].period.start)
        quantity = sum(reading.within(used.get((part.service, meter), {}), part.part) for part in members)
        included = sum(allowance.share(rule.included, part.part.days, part.period.days) for part in members)
        before = lots.get((scope, meter), _lots_before(one.known, scope, meter, start))
        outcome = allowance.use(month, quantity, included, rule.rolls, before)
        lots[scope, meter] = list(outcome.lots)
        amount = cost(rule, outcome.over, one.owner.currency)
        row = one.known.get(key)
        if row is None or (row.used, row.amount, row.lots) != (quantity, amount.minor, _plain(outcome.lots)):
            period = Period(start, max(part.part.end for part in members))
            why = told.why(rule, quantity, outcome.free, outcome.over, one.owner.currency)
            yield _note(conn, rules, one, key, _Found(members, period, quantity, outcome, amount, why))
    yield from _gone(conn, one, groups)


class _Found(msgspec.Struct, frozen=True):
    """What a group's usage comes to."""

    members: list[Part]
    period: Period
    used: int
    outcome: allowance.Used
    amount: Money
    why: dict[str, str]


def _note(conn: Connection, rules: _Rules, one: _Account, key: _Key, found: _Found) -> Change:
    """Write down what a group comes to, and bill the difference to what it came to before."""
    row = one.known.get(key)
    last = one.owner.money(0 if row is None else row.amount)
    changed = found.amount != last
    revision = (-1 if row is None else row.revision) + (1 if changed else 0)
    if changed:
        part = found.members[0]
        why = found.why | {"price version": f"{part.terms.version} of plan {part.terms.plan}"}
        if part.rule.shared:
            why |= {"together": ", ".join(sorted({member.service for member in found.members}))}
        text = f"{rules.name(part.terms.plan)}: {told.what(key[1])} {told.amount_of(key[1], found.used)}"
        service = None if part.rule.shared else part.service
        _bill(conn, one, key, found.period, revision, found.amount - last, text, service, part.terms.tax, why)
    _keep(conn, one, key, found.period, found.used, found.outcome, found.amount, revision)
    return Change(
        account=one.owner.id, scope=key[0], meter=key[1], period=found.period, used=found.used,
        amount=found.amount, before=last, revision=revision,
    )  # fmt: skip


def _gone(conn: Connection, one: _Account, groups: dict[_Key, list[Part]]) -> Iterator[Change]:
    """What was rated in the months that are looked at, and the timeline now has otherwise: it is taken back."""
    first = min((part.period.start for part in one.asked), default=None)
    for key, row in one.known.items():
        if key in groups or first is None or row.period_start < first or not row.amount:
            continue
        period, last = Period(row.period_start, row.period_end), one.owner.money(row.amount)
        earlier = billables.of_source(conn, _source(one.owner.id, key), one.owner.currency)[-1]
        why = {"correction": "the timeline changed: these days are rated anew"}
        text, revision = f"taken back: {earlier.description}", row.revision + 1
        _bill(conn, one, key, period, revision, -last, text, earlier.service, earlier.tax, why)
        _keep(conn, one, key, period, 0, allowance.Used(0, 0, ()), one.owner.money(0), revision)
        yield Change(
            account=one.owner.id, scope=key[0], meter=key[1], period=period, used=0,
            amount=one.owner.money(0), before=last, revision=revision,
        )  # fmt: skip


def _bill(
    conn: Connection, one: _Account, key: _Key, period: Period, revision: int, amount: Money, text: str,
    service: str | None, tax: str, why: dict[str, str],
) -> None:  # fmt: skip
    """The first rating goes with the bill that follows the month, a correction with the next regular one."""
    if revision:
        why = why | {"revision": f"{revision}: the difference to what was billed before"}
    made = Billable(
        account=one.owner.id, kind="usage", source=_source(one.owner.id, key), revision=revision, service=service,
        description=text, amount=amount, billed_from=one.later if revision else period.end, tax=tax,
        period=period, why=why,
    )  # fmt: skip
    billables.add(conn, made, actor=one.actor)


def _keep(
    conn: Connection, one: _Account, key: _Key, period: Period, used: int, outcome: allowance.Used,
    amount: Money, revision: int,
) -> None:  # fmt: skip
    values = {
        "account_id": one.owner.id, "scope": key[0], "meter": key[1], "period_start": key[2],
        "period_end": period.end, "used": used, "free": outcome.free, "amount": amount.minor,
        "lots": _plain(outcome.lots), "revision": revision, "rated_at": clock.now(),
    }  # fmt: skip
    db.upsert(conn, usage_rated, [values], ["account_id", "scope", "meter", "period_start"])


def _source(account: str, key: _Key) -> str:
    return f"usage:{account}:{key[0]}:{key[1]}:{key[2]}"


def _lots_before(mine: dict[_Key, Any], scope: str, meter: str, start: date) -> list[Lot]:
    earlier = [
        row for (one, other, day), row in mine.items() if (one, other) == (scope, meter) and day < start
    ]
    return [Lot(month, left) for month, left in earlier[-1].lots] if earlier else []


def _plain(lots: Sequence[Lot]) -> list[list[int]]:
    return [[lot.month, lot.left] for lot in lots]
