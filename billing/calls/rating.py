"""What a service's calls of a month come to, by its deck; every call is priced alone and the sum is rounded once."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.accounts import Account
from billing.calls.decks import CallRate, Deck, decks
from billing.calls.models import call_record
from billing.periods import Period, local_date
from billing.rating.noting import Found, Key
from billing.rating.told import amount_of
from billing.runs.ranges import among
from billing.subscriptions import Item
from billing.timeline import Terms, segments
from core.money import Money, digits, half_up
from intents.plan.usage import quantity

METER = "calls"


class CallPrice(msgspec.Struct, frozen=True):
    """How a price version bills calls: `included` seconds in a month, to numbers that begin with one of `to`."""

    deck: str
    included: int = 0
    to: tuple[str, ...] = ()


class Call(msgspec.Struct, frozen=True):
    """A call; `day` where the account lives."""

    id: str
    day: date
    started_at: datetime
    callee: str
    seconds: int


class Priced(msgspec.Struct, frozen=True):
    """A call with its price. `rate` None: the deck has none for it. `free` of `billed` seconds cost nothing."""

    call: Call
    rate: CallRate | None
    billed: int
    free: int
    cost: Fraction


class Talked(msgspec.Struct, frozen=True):
    """The calls of services, and the decks that price them."""

    calls: Mapping[str, Sequence[Call]]
    decks: Mapping[str, Deck]


class Prices(Protocol):
    """What the rating run knows of plans."""

    def call_price(self, terms: Terms) -> CallPrice | None:
        """How calls are billed at a pinned price version."""

    def name(self, plan: str) -> str:
        """What a customer knows a plan by."""


def price_of(given: Any) -> CallPrice:
    """Of a plan's `calls` (`intents.plan.schema.Calls`)."""
    included = 0 if given.included is None else quantity("seconds", str(given.included))
    return CallPrice(given.deck, included, tuple(given.to))


def read(
    conn: Connection,
    price: Callable[[Terms], CallPrice | None],
    owners: Sequence[Account],
    items: Mapping[str, Sequence[Item]],
    periods: Mapping[str, Sequence[Period]],
) -> Talked:
    """The calls of all services that are billed for some, and their decks: two queries."""
    zones: dict[str, str] = {}
    names: set[str] = set()
    for owner in owners:
        for item in items[owner.id]:
            if found := {one.deck for segment in segments(item.events) if (one := price(segment.terms))}:
                names |= found
                zones[item.service] = owner.timezone
    if not zones:
        return Talked({}, {})
    since = min(found[0].start for found in periods.values())
    until = max(found[-1].end for found in periods.values())
    return Talked(calls_of(conn, zones, since, until), decks(conn, names))


def calls_of(conn: Connection, zones: Mapping[str, str], since: date, until: date) -> dict[str, list[Call]]:
    """Calls by service in order, of local days from `since` on and before `until`."""
    day = timedelta(days=1)
    first, last = datetime.combine(since, time(), UTC) - day, datetime.combine(until, time(), UTC) + day
    one = call_record.c
    query = sa.select(one.service, one.id, one.started_at, one.callee, one.seconds)
    query = query.where(among(conn, one.service, list(zones)), one.started_at >= first, one.started_at < last)
    found: dict[str, list[Call]] = defaultdict(list)
    for service, call_id, started, callee, seconds in conn.execute(query.order_by(one.started_at, one.id)):
        local = local_date(started, zones[service])
        if since <= local < until:
            found[service].append(Call(call_id, local, started, callee, seconds))
    return found


def priced(price: CallPrice, deck: Deck, calls: Sequence[Call], included: int) -> list[Priced]:
    """Calls with their prices, in order: what is included is talked first. Pure."""
    left, found = included, []
    for call in calls:
        rate = deck.rate(call.callee, call.day)
        billed = 0 if rate is None else rate.billed(call.seconds)
        counts = not price.to or call.callee.startswith(price.to)
        free = min(left, billed) if counts else 0
        left -= free
        cost = (
            Fraction(0) if rate is None or free == billed else rate.cost(billed) - rate.per_minute * free / 60
        )
        found.append(Priced(call, rate, billed, free, cost))
    return found


def found(
    talked: Talked, owner: Account, items: Sequence[Item], periods: Sequence[Period], prices: Prices
) -> Iterator[tuple[Key, Found]]:
    """What each service's calls of each month come to; a month without any is left out."""
    for item in items:
        mine = talked.calls.get(item.service, ())
        for period in periods:
            for segment in segments(item.events):
                part, price = period.clip(segment.start, segment.end), prices.call_price(segment.terms)
                if part is None or price is None:
                    continue
                those = [one for one in mine if part.start <= one.day < part.end]
                if those:
                    included = -(-price.included * part.days // period.days)
                    every = priced(price, talked.decks[price.deck], those, included)
                    yield (
                        (f"service:{item.service}", METER, part.start),
                        _found(
                            owner, item, part, segment.terms, price, every, prices.name(segment.terms.plan)
                        ),
                    )


def _found(
    owner: Account,
    item: Item,
    part: Period,
    terms: Terms,
    price: CallPrice,
    every: Sequence[Priced],
    name: str,
) -> Found:
    seconds = sum(one.call.seconds for one in every)
    unpriced = sum(one.rate is None for one in every)
    why = {
        "calls": str(len(every)),
        "deck": price.deck,
        "price version": f"{terms.version} of plan {terms.plan}",
    }
    if free := sum(one.free for one in every):
        why["included"] = amount_of("seconds", free)
    why |= _by_destination(every, owner.currency)
    if unpriced:
        why["not billed"] = f"{unpriced} calls to numbers that the deck has no price for"
    return Found(
        period=part, used=seconds, free=sum(one.free for one in every), amount=total(every, owner.currency),
        text=f"{name}: {len(every)} calls, {amount_of('seconds', seconds)}", why=why, tax=terms.tax,
        service=item.service,
    )  # fmt: skip


def total(every: Sequence[Priced], currency: str) -> Money:
    """The sum, rounded half-up once."""
    scale = 10 ** digits(currency)
    return Money(half_up(sum((one.cost for one in every), Fraction(0)) * scale), currency)


def _by_destination(every: Sequence[Priced], currency: str) -> dict[str, str]:
    groups: dict[str, list[Priced]] = defaultdict(list)
    for one in every:
        if one.rate is not None:
            groups[one.rate.destination].append(one)
    told = {}
    for name, those in sorted(groups.items()):
        billed = amount_of("seconds", sum(one.billed for one in those))
        told[name] = f"{len(those)} x, {billed} billed, {total(those, currency)}"
    return told
