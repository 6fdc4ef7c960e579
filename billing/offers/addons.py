"""Add-ons and rentals beside a service, and one-off fees. Every function takes `conn` and an actor."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy.engine import Connection

from billing import accounts, billables, catalog, subscriptions
from billing.accounts import Account
from billing.billables import Billable
from billing.catalog import PriceVersion
from billing.errors import TimelineNotUsable
from billing.offers.errors import NotActive, NotForThis, NotHad
from billing.periods import days_after
from billing.subscriptions import ADDON, RENTAL, Item
from billing.timeline import EventKind, state_on
from core import events
from intents.reader import Reader

_FOLLOWED = {
    ADDON: (EventKind.CEASED, EventKind.BLOCKED, EventKind.UNBLOCKED),
    RENTAL: (EventKind.CEASED,),
}


def add(
    conn: Connection,
    reader: Reader,
    service: str,
    plan: str,
    *,
    actor: str,
    on: date | None = None,
    version: str = "",
    label: str = "",
) -> Item:
    """Sell an add-on or rental beside a service from `on` (today), also back-dated; its price version, in the account's
    currency, is pinned.

    The same label (the plan's id unless given) again adds nothing while it is had. Raises ServiceNotBilled, NotForThis,
    NotActive, PriceMissing, PriceVersionUnknown, PriceCurrencyOther, TimelineNotUsable.
    """
    owner = accounts.lock(conn, subscriptions.item(conn, service).account)
    beside = subscriptions.item(conn, service)
    day, role = on or owner.today, _role(reader, plan)
    named = label or plan
    sold = _priced(reader, owner, plan, day, version)
    found = _named(conn, service, named)
    if found is not None and state_on(found.events, date.max).terms is not None:
        return found
    state = state_on(beside.events, day)
    if state.terms is None:
        raise NotActive(service, day)
    if found is not None and (found.role != role or any(event.effective > day for event in found.events)):
        raise TimelineNotUsable(
            service, f"'{named}' was had before and ended after {day}; give it another name"
        )
    item_id = found.id if found else subscriptions.add_item(conn, beside, role, named, day)
    subscriptions.record(conn, item_id, EventKind.ACTIVATED, day, actor, sold.terms)
    _catch_up(conn, beside, item_id, role, day, is_blocked=state.blocked)
    told = {"service": service, "plan": plan, "version": sold.version, "name": named, "on": str(day)}
    events.emit(conn, "addon.added", service, told, actor=actor)
    return _of(conn, service, named)


def remove(conn: Connection, service: str, label: str, *, actor: str, on: date | None = None) -> date:
    """End an add-on or rental; returns its first day without. By default that is `on` (pin 2). Again changes nothing.

    Raises ServiceNotBilled, NotHad, TimelineNotUsable.
    """
    owner = accounts.lock(conn, subscriptions.item(conn, service).account)
    found = _of(conn, service, label)
    day = on or owner.today
    end = day if owner.change_day == "new" else days_after(day, 1)
    begun = max(event.effective for event in found.events if event.kind is EventKind.ACTIVATED)
    if day < begun:
        raise TimelineNotUsable(service, f"'{label}' cannot end on {day}: it begins on {begun}")
    if state_on(found.events, end).terms is not None:
        subscriptions.record(conn, found.id, EventKind.CEASED, end, actor)
        told = {"service": service, "name": label, "on": str(end)}
        events.emit(conn, "addon.removed", service, told, actor=actor)
    return end


def charge_fee(
    conn: Connection,
    reader: Reader,
    service: str,
    plan: str,
    *,
    actor: str,
    on: date | None = None,
    key: str = "",
) -> Billable:
    """Bill a one-off fee with the next run; `key` (default: the day) tells two fees of one plan apart.

    Raises ServiceNotBilled, NotForThis, PriceMissing, BillableUnlike.
    """
    owner = accounts.lock(conn, subscriptions.item(conn, service).account)
    intent = reader.get("plan", plan)
    if intent is None or intent.type != "fee":
        raise NotForThis(f"plan {plan}", intent.type if intent else None, "fee")
    day = on or owner.today
    sold = catalog.fee_on(reader, plan, day, owner.currency)
    terms = sold.terms
    given = Billable(
        account=owner.id, kind="one-off", source=f"fee:{service}:{plan}:{key or day}", service=service,
        description=f"{intent.name or plan} on {day}", amount=terms.price, billed_from=day, tax=terms.tax,
        why={"how": f"{terms.price} once, price version {terms.version} of plan {plan}"},
    )  # fmt: skip
    billables.add(conn, given, actor=actor)
    return given


def beside_of(conn: Connection, service: str) -> Sequence[Item]:
    """Add-ons and rentals of a service, those that ended too. Raises ServiceNotBilled."""
    subscriptions.item(conn, service)
    return subscriptions.items_of(conn, service, (ADDON, RENTAL))


def _role(reader: Reader, plan: str) -> str:
    intent: Any = reader.get("plan", plan)
    if intent is None or intent.type not in (ADDON, RENTAL):
        raise NotForThis(f"plan {plan}", intent.type if intent else None, "addon or rental")
    return str(intent.type)


def _priced(reader: Reader, owner: Account, plan: str, day: date, version: str) -> PriceVersion:
    if version:
        return catalog.price_version(reader, plan, version, owner.currency)
    return catalog.price_on(reader, plan, day, owner.currency)


def _catch_up(
    conn: Connection, beside: Item, item_id: str, role: str, day: date, *, is_blocked: bool
) -> None:
    """What is recorded of the service already, on that day and for later ones, is so for what goes beside it."""
    if is_blocked and role == ADDON:
        subscriptions.record(conn, item_id, EventKind.BLOCKED, day, "billing")
    for event in beside.events:
        if event.effective > day and event.kind in _FOLLOWED[role]:
            subscriptions.record(conn, item_id, event.kind, event.effective, "billing")


def _named(conn: Connection, service: str, label: str) -> Item | None:
    return next((one for one in beside_of(conn, service) if one.label == label), None)


def _of(conn: Connection, service: str, label: str) -> Item:
    found = _named(conn, service, label)
    if found is None:
        raise NotHad(service, label, [one.label for one in beside_of(conn, service)])
    return found
