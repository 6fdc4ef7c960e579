"""A service goes to another account: from a day on the other pays, each exactly its days; terms go along."""

from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, holds, subscriptions
from billing.accounts import Account
from billing.agenda.dates import started_on
from billing.agenda.errors import NotAgreeable
from billing.models import nonpayment_hold, subscription, subscription_event, subscription_item
from billing.offers import contracts
from billing.subscriptions import ADDON, DISCOUNT, RENTAL, Item
from billing.timeline import EventKind, Terms, state_on
from billing.wallet import prepaid
from billing.wallet.models import prepaid_service
from core import clock, events, ids


def require_transferable(conn: Connection, owner: Account, to: Account, service: str, on: date) -> None:
    """Raises NotAgreeable, naming what is in the way."""
    item = subscriptions.item(conn, service)
    started = started_on(item)
    if owner.id == to.id:
        raise NotAgreeable(service, f"it is on account {to.id} already")
    if owner.currency != to.currency:
        raise NotAgreeable(service, f"it is priced in {owner.currency}, and {to.id} is kept in {to.currency}")
    if started is not None and on < started:
        raise NotAgreeable(service, f"{on} is before its first day on {owner.id}, {started}")
    if prepaid.find(conn, service) is None and state_on(item.events, on).terms is None:
        raise NotAgreeable(service, f"it is not active on {on}")


def both(conn: Connection, service: str, to: str) -> tuple[Item, Account, Account]:
    """The service, and the accounts that pay for it and that shall, locked in one order. Raises AccountUnknown and
    ServiceNotBilled.

    While this waits, somebody else may transfer the service: then these locks are let go and its new account's taken.
    """
    to = accounts.get(conn, to).id
    while True:
        with conn.begin_nested() as point:
            item = subscriptions.item(conn, service)
            owners = {one.id: one for one in accounts.by_ids(conn, sorted({item.account, to}))}
            now = subscriptions.item(conn, service)
            if now.account in owners:
                return now, owners[now.account], owners[to]
            point.rollback()


def transfer(conn: Connection, service: str, to_account: str, on: date, actor: str) -> tuple[str, ...]:
    """Make another account pay from local date `on`; returns change sets that release it from the old one's debts.

    What the old account was billed for later days becomes its credit with the next run. Raises AccountUnknown,
    ServiceNotBilled, NotAgreeable.
    """
    item, owner, to = both(conn, service, to_account)
    require_transferable(conn, owner, to, service, on)
    before = subscription.c.id == item.subscription
    conn.execute(sa.update(subscription).where(before).values(left_on=on))
    after = ids.new_id("sub")
    values = {"id": after, "account_id": to.id, "service": service, "created_at": clock.now()}
    conn.execute(sa.insert(subscription).values(**values))
    for one in subscriptions.items(conn, before):
        _carry(conn, one, after, on, actor)
    mine = prepaid_service.c.service == service
    conn.execute(sa.update(prepaid_service).where(mine).values(account_id=to.id))
    told = {"service": service, "from": owner.id, "to": to.id, "on": str(on)}
    events.emit(conn, "service.transferred", service, told, actor=actor)
    return _release(conn, owner, to, service)


def carry_along(conn: Connection, old: Item, new: Item, on: date, actor: str) -> None:
    """Let the add-ons, rentals and discounts of a service go on with the new service that replaces it from a day."""
    for one in subscriptions.items_of(conn, old.service, (ADDON, RENTAL, DISCOUNT)):
        _carry(
            conn, one, new.subscription, on, actor, lambda terms: _renamed(terms, old.service, new.service)
        )


def _renamed(terms: Terms, old: str, new: str) -> Terms:
    """A discount's terms with the items of the new service for those of the old one."""
    given = terms.discount
    if given is None:
        return terms
    needs = tuple((_key(key, old, new), plan) for key, plan in given.needs)
    renamed = msgspec.structs.replace(given, of=_key(given.of, old, new), needs=needs)
    return msgspec.structs.replace(terms, discount=renamed)


def _key(key: str, old: str, new: str) -> str:
    service, colon, rest = key.partition(":")
    return f"{new}{colon}{rest}" if service == old else key


def _carry(
    conn: Connection, one: Item, to_subscription: str, on: date, actor: str,
    named: Callable[[Terms], Terms] = lambda terms: terms,
) -> None:  # fmt: skip
    """End an item on the day, and let its like begin on the other account at the same terms; no set-up fee again."""
    item_id = ids.new_id("itm")
    state = state_on(one.events, on)
    values = {
        "id": item_id, "subscription_id": to_subscription, "role": one.role, "label": one.label,
        "cadence_base": one.cadence_base, "charged_through": None if one.events else one.charged_through,
    }  # fmt: skip
    conn.execute(sa.insert(subscription_item).values(**values))
    if state.terms is None:
        return
    terms = contracts.carried(one.events, on, state.terms)
    _append(conn, one.id, EventKind.CEASED, on, msgspec.to_builtins(terms), actor)
    _append(conn, item_id, EventKind.ACTIVATED, on, msgspec.to_builtins(named(terms)), actor)
    if state.blocked:
        _append(conn, item_id, EventKind.BLOCKED, on, None, actor)
    later = [event for event in one.events if event.effective > on]
    for event in later:
        told = None if event.terms is None else msgspec.to_builtins(named(event.terms))
        _append(conn, item_id, event.kind, event.effective, told, actor)


def _append(conn: Connection, item_id: str, kind: EventKind, on: date, terms: Any, actor: str) -> None:
    values = {
        "item_id": item_id, "kind": kind.value, "effective": on, "recorded_at": clock.now(), "terms": terms,
        "actor": actor,
    }  # fmt: skip
    conn.execute(sa.insert(subscription_event).values(**values))
    column = subscription_item.c.recalculate_from
    earlier = sa.and_(subscription_item.c.id == item_id, sa.or_(column.is_(None), column > on))
    conn.execute(sa.update(subscription_item).where(earlier).values(recalculate_from=on))


def _release(conn: Connection, owner: Account, to: Account, service: str) -> tuple[str, ...]:
    """A hold for the old account's debts does not follow the service; those debts stay with the old account."""
    row = holds.held(conn, [owner.id]).get(service)
    set_ids: tuple[str, ...] = ()
    if row is not None:
        set_ids = (holds.submit(conn, holds.release_changes(conn, [service]), "release", to.id),)
        holds.forget(conn, [service], set_ids[0])
    mine = nonpayment_hold.c.service == service
    conn.execute(sa.update(nonpayment_hold).where(mine).values(account_id=to.id))
    return set_ids
