"""Giving promotions to services, and bundles to services together. Every function takes `conn` and an actor."""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from msgspec.structs import replace
from sqlalchemy.engine import Connection

from billing import accounts, catalog, subscriptions
from billing.accounts import Account
from billing.offers import redeeming
from billing.offers.errors import GivenBefore, NotActive, NotForThis, NotHad, NotInForce, NotTogether
from billing.offers.whole import discount_of
from billing.periods import days_after
from billing.subscriptions import ADDON, DISCOUNT, PLAN, RENTAL, Item
from billing.timeline import Discount, EventKind, Terms, state_on
from core import events
from core.money import Money
from intents.reader import Reader

_SOLD = (PLAN, ADDON, RENTAL)


def promote(
    conn: Connection, reader: Reader, service: str, offer: str, *, actor: str, on: date | None = None
) -> Item:
    """Give a promotion from `on` (today); its terms are pinned. While it is had, again changes nothing.

    It is off the service's plan, or off what goes beside it when the offer names that. Raises ServiceNotBilled,
    NotForThis, NotInForce, NotActive, NotTogether, GivenBefore, PromotionRefused.
    """
    owner = accounts.lock(conn, subscriptions.item(conn, service).account)
    beside = subscriptions.item(conn, service)
    day = on or owner.today
    intent = _intent(reader, offer, "promotion", day)
    found = _given(conn, service, offer)
    if found is not None:
        if state_on(found.events, date.max).terms is None:
            raise GivenBefore(offer, service, min(event.effective for event in found.events))
        return found
    if state_on(beside.events, day).terms is None:
        raise NotActive(service, day)
    items = [beside, *subscriptions.items_of(conn, service, (ADDON, RENTAL))]
    base = next((item for item in items if not intent.plans or _plan(item, day) in intent.plans), None)
    if base is None:
        raise NotTogether(offer, f"{service} has none of {', '.join(intent.plans)} on {day}")
    redeeming.require_together(reader, offer, intent, given_to(conn, service), day)
    promised = redeeming.pinned(reader, offer, intent, owner.currency, day)
    named = redeeming.Named(offer, offer, intent)
    reference = f"service:{service}"
    redeeming.note(
        conn, named, owner, reference, promised, redeeming.REDEEMED, actor=actor, on=day, service=service
    )
    _give(conn, base, offer, offer, replace(promised, of=base.key), owner.currency, actor)
    return _of(conn, service, offer)


def give_promised(
    conn: Connection, service: str, offer: str, promised: Discount, on: date, actor: str
) -> None:
    """Give what an order was promised, off its service's plan from `on`. Again changes nothing."""
    if _given(conn, service, offer) is None:
        base = subscriptions.item(conn, service)
        discount = replace(promised, of=base.key, since=on)
        _give(conn, base, offer, offer, discount, accounts.get(conn, base.account).currency, actor)


def bundle(
    conn: Connection,
    reader: Reader,
    offer: str,
    services: Sequence[str],
    *,
    actor: str,
    on: date | None = None,
) -> list[Item]:
    """Give a bundle to services of one account that have its plans on `on` (today), each plan once. Again: nothing.

    An amount is divided by the prices of the day. Raises ServiceNotBilled, NotForThis, NotInForce, NotTogether,
    PromotionRefused.
    """
    first = subscriptions.item(conn, services[0])
    owner = accounts.lock(conn, first.account)
    day = on or owner.today
    intent = _intent(reader, offer, "bundle", day)
    members = [_member(conn, owner, offer, plan, services, day) for plan in intent.plans]
    redeeming.require_currency(reader, offer, intent, owner.currency)
    parts = _divided(_money(intent.amount, owner.currency), members, day)
    needs = tuple((item.key, plan) for item, plan in zip(members, intent.plans, strict=True))
    given: list[Item] = []
    for item, part in zip(members, parts, strict=True):
        label = offer if item.role == PLAN else f"{offer}.{item.label}"
        found = _given(conn, item.service, label)
        if found is None or state_on(found.events, date.max).terms is None:
            discount = Discount(
                of=item.key, since=day, share=catalog.millionths(intent.percent), amount=part, needs=needs
            )
            _give(conn, item, label, offer, discount, owner.currency, actor, found)
        given.append(_of(conn, item.service, label))
    return given


def take(conn: Connection, service: str, label: str, *, actor: str, on: date | None = None) -> date:
    """End a promotion, or a bundle for all its services; returns the first day without. Again changes nothing.

    Raises ServiceNotBilled, NotHad.
    """
    owner = accounts.lock(conn, subscriptions.item(conn, service).account)
    found = _of(conn, service, label)
    day = on or owner.today
    end = day if owner.change_day == "new" else days_after(day, 1)
    mine = discount_of(found)
    needs = mine.needs if mine else ()
    together = [
        one for other in _services(conn, owner) for one in subscriptions.items_of(conn, other, (DISCOUNT,))
    ]
    for item in together if needs else [found]:
        given = discount_of(item)
        is_one = item.id == found.id or (given is not None and given.needs == needs)
        if is_one and state_on(item.events, end).terms is not None:
            begun = max(event.effective for event in item.events)
            subscriptions.record(conn, item.id, EventKind.CEASED, max(end, begun), actor)
            told = {"service": item.service, "name": item.label, "on": str(end)}
            events.emit(conn, "offer.taken", item.service, told, actor=actor)
    return end


def given_to(conn: Connection, service: str) -> list[Item]:
    """Promotions and bundles of a service, those that ended too. Raises ServiceNotBilled."""
    subscriptions.item(conn, service)
    return subscriptions.items_of(conn, service, (DISCOUNT,))


def _give(
    conn: Connection, base: Item, label: str, offer: str, discount: Discount, currency: str, actor: str,
    found: Item | None = None,
) -> None:  # fmt: skip
    terms = Terms(offer, "", Money.zero(currency), kind=DISCOUNT, discount=discount)
    item_id = found.id if found else subscriptions.add_item(conn, base, DISCOUNT, label, discount.since)
    subscriptions.record(conn, item_id, EventKind.ACTIVATED, discount.since, actor, terms)
    told = {"service": base.service, "offer": offer, "name": label, "on": str(discount.since)}
    events.emit(conn, "offer.given", base.service, told, actor=actor)


def _intent(reader: Reader, offer: str, wanted: str, day: date) -> Any:
    intent: Any = reader.get("offer", offer)
    if intent is None or intent.type != wanted:
        raise NotForThis(f"offer {offer}", intent.type if intent else None, wanted)
    if (intent.from_ and day < intent.from_) or (intent.until and day >= intent.until):
        raise NotInForce(offer, day, intent.from_, intent.until)
    return intent


def _member(
    conn: Connection, owner: Account, offer: str, plan: str, services: Sequence[str], day: date
) -> Item:
    for service in services:
        if subscriptions.item(conn, service).account != owner.id:
            raise NotTogether(offer, f"{service} is on another account than {services[0]}")
        for item in subscriptions.items_of(conn, service, _SOLD):
            if _plan(item, day) == plan:
                return item
    raise NotTogether(offer, f"none of {', '.join(services)} has plan {plan} on {day}")


def _divided(amount: Money | None, members: Sequence[Item], day: date) -> list[Money | None]:
    if amount is None:
        return [None] * len(members)
    prices = [terms for item in members if (terms := state_on(item.events, day).terms)]
    weights = [int(Fraction(terms.price.minor * 12, terms.months)) for terms in prices]
    return list(amount.split(weights if any(weights) else [1] * len(members)))


def _plan(item: Item, day: date) -> str | None:
    terms = state_on(item.events, day).terms
    return None if terms is None else terms.plan


def _services(conn: Connection, owner: Account) -> list[str]:
    return subscriptions.services_of(conn, [owner.id])[owner.id]


def _given(conn: Connection, service: str, label: str) -> Item | None:
    return next((one for one in given_to(conn, service) if one.label == label), None)


def _of(conn: Connection, service: str, label: str) -> Item:
    found = _given(conn, service, label)
    if found is None:
        raise NotHad(service, label, [one.label for one in given_to(conn, service)])
    return found


def _money(amount: Any, currency: str) -> Money | None:
    return None if amount is None else Money.parse(str(amount), currency)
