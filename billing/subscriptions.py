"""Subscriptions: a service on an account, and the append-only timeline of what happened to it."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.errors import ServiceNotBilled, TimelineNotUsable
from billing.models import subscription, subscription_event, subscription_item
from billing.periods import days_after, month_index
from billing.timeline import Event, EventKind, Terms, state_on
from core import clock, ids

PLAN = "plan"
"""The role of the item that a service is: every subscription has one; others come beside it."""
ADDON, RENTAL, DISCOUNT = "addon", "rental", "discount"
"""Roles of the others. An add-on ends and pauses with its service, rented equipment ends with it and is paid in a pause
too, a discount follows what it is taken off."""
_FOLLOWS = {EventKind.CEASED: (ADDON, RENTAL), EventKind.BLOCKED: (ADDON,), EventKind.UNBLOCKED: (ADDON,)}


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One billed item of a subscription, with its whole timeline."""

    id: str
    subscription: str
    account: str
    service: str
    role: str
    label: str
    cadence_base: int
    charged_through: date | None
    recalculate_from: date | None
    events: tuple[Event, ...] = ()

    @property
    def key(self) -> str:
        """What other items know it by: it says the same wherever the books are copied to."""
        return f"{self.service}:{self.role}:{self.label}"


def activate(conn: Connection, account_id: str, service: str, terms: Terms, on: date, actor: str) -> str:
    """Start billing a service on local date `on`; returns the subscription. Doing it again adds nothing.

    The terms are the price version that is pinned. Raises AccountUnknown, TimelineNotUsable.
    """
    owner = accounts.lock(conn, account_id)
    if terms.price.currency != owner.currency:
        raise TimelineNotUsable(
            service, f"priced in {terms.price.currency}, but {account_id} is in {owner.currency}"
        )
    existing = _item_of(conn, service)
    if existing is None:
        item_id = _create(conn, account_id, service, on)
    elif state_on(existing.events, date.max).terms is not None:
        return existing.subscription
    else:
        item_id = existing.id
    _append(conn, item_id, EventKind.ACTIVATED, on, terms, actor)
    return item(conn, service).subscription


def change_terms(conn: Connection, service: str, terms: Terms, on: date, actor: str) -> None:
    """Bill other terms from local date `on`, today, later or back-dated. Raises ServiceNotBilled."""
    _record(conn, service, EventKind.CHANGED, on, actor, terms)


def block(conn: Connection, service: str, on: date, actor: str) -> None:
    """Stop billing from `on` while the service goes on to exist (a vacation)."""
    _record(conn, service, EventKind.BLOCKED, on, actor)


def unblock(conn: Connection, service: str, on: date, actor: str) -> None:
    """Bill again from `on`."""
    _record(conn, service, EventKind.UNBLOCKED, on, actor)


def cease(conn: Connection, service: str, on: date, actor: str, *, goes_on: bool = False) -> None:
    """End billing: by default `on` is the first day that is not billed (pin 2). `goes_on`: by another service at the
    same terms, so that it breaks no contract; that one has the day itself, whosever change days are.
    """
    terms = state_on(item(conn, service).events, date.max).terms
    if terms is not None:
        _record(conn, service, EventKind.CEASED, on, actor, terms if goes_on else None, exactly=goes_on)


def item(conn: Connection, service: str) -> Item:
    """The item of a service. Raises ServiceNotBilled."""
    found = _item_of(conn, service)
    if found is None:
        raise ServiceNotBilled(service)
    return found


def is_billed(conn: Connection, service: str) -> bool:
    """Whether a service has a subscription."""
    return _item_of(conn, service) is not None


def services_of(conn: Connection, account_ids: Sequence[str]) -> dict[str, list[str]]:
    """Services by account, sorted."""
    query = sa.select(subscription.c.account_id, subscription.c.service)
    query = query.where(subscription.c.account_id.in_(account_ids), subscription.c.left_on.is_(None))
    query = query.order_by(subscription.c.service)
    found: dict[str, list[str]] = defaultdict(list)
    for row in conn.execute(query):
        found[row.account_id].append(row.service)
    return found


def items(conn: Connection, condition: Any) -> list[Item]:
    """Items that meet a condition, in order, each with its timeline: two queries."""
    query = (
        sa.select(subscription_item, subscription.c.account_id, subscription.c.service)
        .join(subscription, subscription.c.id == subscription_item.c.subscription_id)
        .where(condition)
        .order_by(subscription.c.service, subscription_item.c.role, subscription_item.c.label)
    )
    rows = conn.execute(query).all()
    events = _events(conn, [row.id for row in rows])
    return [_item(row, events) for row in rows]


def _item(row: Any, events: dict[str, list[Event]]) -> Item:
    return Item(
        id=row.id,
        subscription=row.subscription_id,
        account=row.account_id,
        service=row.service,
        role=row.role,
        label=row.label,
        cadence_base=row.cadence_base,
        charged_through=row.charged_through,
        recalculate_from=row.recalculate_from,
        events=tuple(events[row.id]),
    )


def _item_of(conn: Connection, service: str) -> Item | None:
    mine = sa.and_(
        subscription.c.service == service,
        subscription.c.left_on.is_(None),
        subscription_item.c.role == PLAN,
    )
    return next(iter(items(conn, mine)), None)


def _events(conn: Connection, item_ids: Sequence[str]) -> dict[str, list[Event]]:
    query = sa.select(subscription_event).where(subscription_event.c.item_id.in_(item_ids))
    found: dict[str, list[Event]] = defaultdict(list)
    for row in conn.execute(query.order_by(subscription_event.c.seq)):
        terms = None if row.terms is None else msgspec.convert(row.terms, Terms)
        found[row.item_id].append(Event(row.effective, row.seq, EventKind(row.kind), terms))
    return found


def _create(conn: Connection, account_id: str, service: str, on: date) -> str:
    subscription_id, item_id = ids.new_id("sub"), ids.new_id("itm")
    values = {"id": subscription_id, "account_id": account_id, "service": service, "created_at": clock.now()}
    conn.execute(sa.insert(subscription).values(**values))
    values = {
        "id": item_id,
        "subscription_id": subscription_id,
        "role": PLAN,
        "label": "",
        "cadence_base": month_index(on),
    }
    conn.execute(sa.insert(subscription_item).values(**values))
    return item_id


def _record(
    conn: Connection, service: str, kind: EventKind, on: date, actor: str, terms: Terms | None = None,
    *, exactly: bool = False,
) -> None:  # fmt: skip
    found = item(conn, service)
    owner = accounts.lock(conn, found.account)
    started = min((event.effective for event in found.events), default=on)
    if on < started:
        raise TimelineNotUsable(service, f"{kind} on {on} is before its activation on {started}")
    effective = on if exactly or owner.change_day == "new" else days_after(on, 1)
    _append(conn, found.id, kind, effective, terms, actor)
    for other in items_of(conn, service, _FOLLOWS.get(kind, ())):
        begun = [event.effective for event in other.events if event.kind is EventKind.ACTIVATED]
        _append(conn, other.id, kind, max([effective, *begun]), None, actor)


def items_of(conn: Connection, service: str, roles: Sequence[str]) -> list[Item]:
    """The items of a service with one of the roles on the account that has it now, in order."""
    if not roles:
        return []
    mine = sa.and_(subscription.c.service == service, subscription.c.left_on.is_(None))
    return items(conn, sa.and_(mine, subscription_item.c.role.in_(roles)))


def add_item(conn: Connection, beside: Item, role: str, label: str, on: date) -> str:
    """A further item of a subscription, without any event yet, in step from `on`; returns its id."""
    item_id = ids.new_id("itm")
    values = {
        "id": item_id, "subscription_id": beside.subscription, "role": role, "label": label,
        "cadence_base": month_index(on),
    }  # fmt: skip
    conn.execute(sa.insert(subscription_item).values(**values))
    return item_id


def record(
    conn: Connection, item_id: str, kind: EventKind, on: date, actor: str, terms: Terms | None = None
) -> None:
    """Append to an item's timeline with `on` as it stands; its account is locked by the caller."""
    _append(conn, item_id, kind, on, terms, actor)


def _append(
    conn: Connection, item_id: str, kind: EventKind, on: date, terms: Terms | None, actor: str
) -> None:
    values = {
        "item_id": item_id, "kind": kind.value, "effective": on, "recorded_at": clock.now(),
        "terms": None if terms is None else msgspec.to_builtins(terms), "actor": actor,
    }  # fmt: skip
    conn.execute(sa.insert(subscription_event).values(**values))
    _mark(conn, item_id, on)


def _mark(conn: Connection, item_id: str, since: date) -> None:
    """Remember how far back the next bill run must look."""
    column = subscription_item.c.recalculate_from
    earlier = sa.or_(column.is_(None), column > since)
    chosen = sa.and_(subscription_item.c.id == item_id, earlier)
    conn.execute(sa.update(subscription_item).where(chosen).values(recalculate_from=since))
