"""A subscription as staff see it: timeline, what is pinned, the next bill, holds, and what is agreed."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, holds, subscriptions
from billing.agenda import effect, entries
from billing.models import subscription
from billing.runs.plain import OVER
from billing.subscriptions import Item
from billing.timeline import Event, state_on
from billing.wallet import prepaid


def told(conn: Connection, service: str) -> dict[str, Any]:
    """Everything about a service's billing, amounts as text. Raises ServiceNotBilled."""
    item = subscriptions.item(conn, service)
    owner = accounts.get(conn, item.account)
    items = subscriptions.items(conn, subscription.c.id == item.subscription)
    paid = prepaid.find(conn, service)
    return {
        "service": service, "account": owner.id, "currency": owner.currency, "timezone": owner.timezone,
        "anchor": owner.anchor, "change_day": owner.change_day, "today": str(owner.today),
        "items": [_item(one, owner.today) for one in items],
        "next_bill": _next(items, paid), "due_now": str(effect.pending(conn, owner, owner.today)),
        "holds": _holds(conn, owner.id, service, paid, state_on(item.events, owner.today).blocked),
        "prepaid": None if paid is None else {
            "state": paid.state, "paid_until": _text(paid.paid_until), "grace_days": paid.grace_days,
            "terms": paid.terms,
        },
        "agenda": [_entry(one) for one in entries.of_service(conn, service)],
        "before": _before(conn, service),
    }  # fmt: skip


def _item(one: Item, today: Any) -> dict[str, Any]:
    state = state_on(one.events, today)
    through = None if one.charged_through == OVER else one.charged_through
    return {
        "role": one.role, "label": one.label, "charged_through": _text(through), "blocked": state.blocked,
        "pinned": None if state.terms is None else msgspec.to_builtins(state.terms),
        "price": None if state.terms is None else str(state.terms.price),
        "timeline": [_event(event) for event in sorted(one.events, key=lambda e: (e.effective, e.seq))],
    }  # fmt: skip


def _event(event: Event) -> dict[str, Any]:
    said = {"on": str(event.effective), "what": event.kind.value}
    if event.terms is not None:
        said |= {"plan": event.terms.plan, "version": event.terms.version, "price": str(event.terms.price)}
    return said


def _next(items: list[Item], paid: Any) -> str | None:
    if paid is not None:
        return _text(paid.paid_until)
    days = [one.charged_through for one in items if one.charged_through]
    return _text(min((day for day in days if day != OVER), default=None))


def _holds(conn: Connection, account: str, service: str, paid: Any, blocked: bool) -> list[str]:
    found = [holds.REASON] if service in holds.held(conn, [account]) else []
    found += ["prepaid"] if paid is not None and paid.held else []
    return [*found, "vacation"] if blocked else found


def _entry(one: entries.Entry) -> dict[str, Any]:
    return {
        "id": one.id, "kind": one.kind, "due_on": str(one.due_on), "state": one.state, "details": one.details,
        "set": one.set_id, "reason": one.reason, "actor": one.actor,
    }  # fmt: skip


def _before(conn: Connection, service: str) -> list[dict[str, Any]]:
    """Accounts that had the service earlier."""
    query = sa.select(subscription.c.account_id, subscription.c.left_on).where(
        subscription.c.service == service, subscription.c.left_on.is_not(None)
    )
    return [
        {"account": row[0], "until": str(row[1])}
        for row in conn.execute(query.order_by(subscription.c.left_on))
    ]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
