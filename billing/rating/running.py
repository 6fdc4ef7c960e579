"""The rating run: the months that are over, account by account in chunks; again: nothing, or only what came late."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, catalog, subscriptions
from billing.accounts import Account
from billing.agenda.trial import trial
from billing.calls import rating as calls
from billing.calls.rating import CallPrice
from billing.models import pinned_terms, subscription, subscription_item
from billing.periods import Cadence, Period, month_index
from billing.rating import allowance, lost, reading, told
from billing.rating.allowance import Lot
from billing.rating.lost import Lost
from billing.rating.models import usage_rated
from billing.rating.noting import Change, Found, Key, Mine, gone, is_there, note
from billing.rating.parts import Part, months, parts, scopes, together
from billing.rating.rules import Rule, cost, rule_of
from billing.runs import ranges
from billing.runs.ranges import Range, among
from billing.subscriptions import PLAN, Item
from billing.timeline import Terms, segments
from core import faults
from core.db import Database
from intents.plan.schema import Price
from intents.reader import Reader

_CHUNK = 500
AGAIN = 3
"""How many months back are looked at again: records may come late."""
P_CHUNK = faults.declare("billing.after_rated_chunk")


class Rated(msgspec.Struct, frozen=True):
    """What a run did: accounts looked at, every amount that changed, and price versions that the catalogue lost."""

    accounts: int
    changes: tuple[Change, ...]
    lost: tuple[Lost, ...] = ()


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
    with database.read() as conn:
        plans = sorted(
            {*rules.plans, *(terms.plan for _, terms in _renewing(conn) if not rules.knows(terms))}
        )
        total, every = ranges.cut(conn, candidates(conn, plans), chunk)
    done, changes = 0, list[Change]()
    for within in every if total else []:
        with trial(database, dry) as conn:
            mine = ranges.lock(conn, list(conn.execute(candidates(conn, plans, within)).scalars()), wait=True)
            changes += _chunk(conn, rules, mine, on, again, actor)
        done += len(mine)
        watch(done, total)
        faults.point(P_CHUNK)
    missing = tuple(sorted(Lost(*version, tuple(sorted(some))) for version, some in rules.lost.items()))
    with trial(database, dry) as conn:
        lost.tell(conn, missing, on)
    return Rated(total, tuple(changes), missing)


def _asked(conn: Connection, rules: "_Rules") -> list[str]:
    """Plans with a usage price; and, where usage was ever rated, those of lost versions, of which nobody knows."""
    ever = conn.execute(sa.select(usage_rated.c.account_id).limit(1)).first() is not None
    lost_ones = {terms.plan for _, terms in _renewing(conn) if not rules.knows(terms)} if ever else set()
    return sorted({*rules.plans, *lost_ones})


class _Rules:
    """The usage prices of plans, by pinned price version; `lost` gathers services with one that is not there."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.lost: dict[tuple[str, str], set[str]] = {}
        self._has = lru_cache(maxsize=None)(self._said)
        self._rules = lru_cache(maxsize=None)(self._read)
        self._calls = lru_cache(maxsize=None)(self._read_calls)
        self.plans = sorted(
            name
            for name, plan in reader.all("plan")
            if any(price.usage or price.calls for price in plan.prices)
        )

    def __call__(self, terms: Terms) -> tuple[Rule, ...]:
        return self._rules(terms.plan, terms.version, terms.price.currency)

    def call_price(self, terms: Terms) -> CallPrice | None:
        """What calls cost at a pinned price version; None where they are not billed."""
        return self._calls(terms.plan, terms.version, terms.price.currency)

    def knows(self, terms: Terms) -> bool:
        """Whether the catalogue has a pinned version in its currency."""
        return bool(self._has(terms.plan, terms.version, terms.price.currency))

    def name(self, plan: str) -> str:
        """What a customer knows a plan by."""
        found = self._reader.get("plan", plan)
        return plan if found is None or found.name is None else str(found.name)

    def _read_calls(self, plan: str, version: str, currency: str) -> CallPrice | None:
        prices = [one for one in self._said(plan, version, currency) if one.calls]
        return calls.price_of(prices[0].calls) if prices else None

    def _read(self, plan: str, version: str, currency: str) -> tuple[Rule, ...]:
        prices = self._said(plan, version, currency)
        return tuple(rule_of(one, currency) for price in prices for one in price.usage)

    def _said(self, plan: str, version: str, currency: str) -> list[Price]:
        """The version as the plan says it; none where it is gone, or is in another currency than what was pinned."""
        return [one for one in catalog.prices_said(self._reader, plan, currency) if one.id == version]


def unpriced(conn: Connection, reader: Reader, services: Sequence[str]) -> list[str]:
    """Those of the services whose plans bill no calls, at any of their prices so far: calls cost nothing there."""
    rules, found = _Rules(reader), list[str]()
    for start in range(0, len(services), 500):
        some = services[start : start + 500]
        for item in subscriptions.items(
            conn, sa.and_(subscription.c.service.in_(some), subscription_item.c.role == PLAN)
        ):
            if all(rules.call_price(one.terms) is None for one in segments(item.events)):
                found.append(item.service)
    return sorted(found)


def candidates(conn: Connection, plans: Sequence[str], within: Range = ranges.EVERYBODY) -> "sa.Select[Any]":
    """Accounts with a service that may have a usage price: what it renews at says so, or only its timeline knows."""
    priced = [key for key, terms in _renewing(conn) if terms.plan in plans]
    one = subscription_item.c
    query = sa.select(subscription.c.account_id).join(subscription_item)
    query = query.where(one.role == PLAN, sa.or_(one.renews.is_(None), one.renews.in_(priced)))
    return query.where(within.holds(subscription.c.account_id)).distinct()


def _renewing(conn: Connection) -> list[tuple[str, Terms]]:
    rows = conn.execute(sa.select(pinned_terms.c.id, pinned_terms.c.terms))
    return [(row.id, msgspec.convert(row.terms, Terms)) for row in rows]


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
    talked = calls.read(conn, rules.call_price, owners, items, periods)
    known = _known(conn, [owner.id for owner in owners])
    for owner in owners:
        later = Cadence(owner.anchor).containing(on).end
        one, seen = Mine(owner, known[owner.id], later, actor), set[Key]()
        yield from _usage(conn, rules, one, asked[owner.id], used, seen)
        for key, found in calls.found(talked, owner, items[owner.id], periods[owner.id], rules):
            seen.add(key)
            yield from note(conn, one, key, found)
        rated = Period(periods[owner.id][0].start, periods[owner.id][-1].end)
        untouched = set[Key]()
        for service, terms in lost.found(items[owner.id], rated, rules.knows):
            rows = {key for key in one.known if key[0] in scopes(service, terms)}
            untouched |= rows
            if rows or terms.plan in rules.plans:
                rules.lost.setdefault((terms.plan, terms.version), set()).add(service)
        yield from gone(conn, one, rated, seen | untouched)


def _used(conn: Connection, owners: Sequence[Account], asked: dict[str, list[Part]]) -> reading.Days:
    zones = {part.service: owner.timezone for owner in owners for part in asked[owner.id]}
    every = [part for found in asked.values() for part in found]
    if not every:
        return {}
    since, until = min(part.part.start for part in every), max(part.part.end for part in every)
    return reading.read(conn, zones, {part.rule.meter for part in every}, since, until)


def _known(conn: Connection, account_ids: list[str]) -> dict[str, dict[Key, Any]]:
    found: dict[str, dict[Key, Any]] = {one: {} for one in account_ids}
    if account_ids:
        query = sa.select(usage_rated).where(among(conn, usage_rated.c.account_id, account_ids))
        for row in conn.execute(query.order_by(usage_rated.c.period_start)):
            found[row.account_id][row.scope, row.meter, row.period_start] = row
    return found


def _usage(
    conn: Connection, rules: _Rules, one: Mine, asked: list[Part], used: reading.Days, seen: set[Key]
) -> Iterator[Change]:
    groups = together(asked)
    lots: dict[tuple[str, str], tuple[Lot, ...]] = {}
    for key, members in sorted(groups.items(), key=lambda item: (item[0][2], item[0])):
        scope, meter, start = key
        rule, month = members[0].rule, month_index(members[0].period.start)
        quantity = sum(reading.within(used.get((part.service, meter), {}), part.part) for part in members)
        included = sum(allowance.share(rule.included, part.part.days, part.period.days) for part in members)
        before = (
            lots[scope, meter] if (scope, meter) in lots else _lots_before(one.known, scope, meter, start)
        )
        outcome = allowance.use(month, quantity, included, rule.rolls, before)
        lots[scope, meter] = outcome.lots
        yield from note(conn, one, key, _found(rules, one, members, quantity, outcome))
        seen.add(key)


def _found(rules: _Rules, one: Mine, members: list[Part], used: int, outcome: allowance.Used) -> Found:
    part, currency = members[0], one.owner.currency
    why = told.why(part.rule, used, outcome.free, outcome.over, currency)
    why |= {"price version": f"{part.terms.version} of plan {part.terms.plan}"}
    if part.rule.shared:
        why |= {"together": ", ".join(sorted({member.service for member in members}))}
    meter = part.rule.meter
    return Found(
        period=Period(part.period.start if part.rule.shared else part.part.start, max(m.part.end for m in members)),
        used=used, free=outcome.free, amount=cost(part.rule, outcome.over, currency), why=why,
        text=f"{rules.name(part.terms.plan)}: {told.what(meter)} {told.amount_of(meter, used)}",
        tax=part.terms.tax, service=None if part.rule.shared else part.service, lots=outcome.lots,
    )  # fmt: skip


def _lots_before(mine: dict[Key, Any], scope: str, meter: str, start: date) -> list[Lot]:
    earlier = [
        row
        for (one, other, day), row in mine.items()
        if (one, other) == (scope, meter) and day < start and is_there(row)
    ]
    return [Lot(month, left) for month, left in earlier[-1].lots] if earlier else []
