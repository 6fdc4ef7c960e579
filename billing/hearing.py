"""What billing hears: holds that somebody else set or lifted, the fate of its change sets, activations.

Every function is idempotent and takes `conn`; `register` opens the transactions.
"""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, holds, overrides, subscriptions
from billing.accounts import Account
from billing.agenda import entries
from billing.models import nonpayment_hold
from billing.offers import redeeming
from billing.periods import local_date
from billing.stages import overdue
from billing.timeline import Terms
from billing.wallet import prepaid
from core import db
from core.events import Event

VACATION = "vacation"


def hold_removed(conn: Connection, event: Event) -> None:
    """A hold went. A nonpayment hold that somebody else lifted becomes an override (pin 5)."""
    owner = _owner(conn, event.data["service"])
    if owner is None:
        return
    if event.data["reason"] == VACATION and not _agreed(conn, event):
        subscriptions.unblock(conn, event.data["service"], _day(owner, event), event.actor)
    if event.data["reason"] != holds.REASON or holds.is_ours(conn, event.data.get("set_id")):
        return
    service, known = event.data["service"], _known(conn, event.data["service"])
    if known is not None and event.seq <= known["event_seq"]:
        return
    debt = _debt_through(conn, owner, known, _day(owner, event))
    if debt is not None:
        commit = event.data.get("commit") or ""
        overrides.record(conn, owner.id, service, debt, actor=event.actor, commit=commit)
    _note(conn, owner, event, held=False, debt_through=debt or _day(owner, event))


def hold_added(conn: Connection, event: Event) -> None:
    """A hold came. A nonpayment hold of somebody else is known too, and ends an override."""
    owner = _owner(conn, event.data["service"])
    if owner is None:
        return
    if event.data["reason"] == VACATION and not _agreed(conn, event):
        subscriptions.block(conn, event.data["service"], _day(owner, event), event.actor)
    if event.data["reason"] != holds.REASON or holds.is_ours(conn, event.data.get("set_id")):
        return
    service, known = event.data["service"], _known(conn, event.data["service"])
    if known is not None and event.seq <= known["event_seq"]:
        return
    overrides.end(conn, service, event.actor)
    debt = _debt_through(conn, owner, known, _day(owner, event))
    _note(conn, owner, event, held=True, debt_through=debt or _day(owner, event))


def service_activated(conn: Connection, event: Event) -> None:
    """Activation is confirmed: billing starts on that local date at the pinned terms."""
    said = event.data
    owner = accounts.get(conn, said["account"])
    terms = msgspec.convert(said["terms"], Terms)
    on = date.fromisoformat(said["on"]) if said.get("on") else _day(owner, event)
    if prepaid.start(conn, said["service"], on, event.actor):
        return
    subscriptions.activate(conn, owner.id, said["service"], terms, on, event.actor)
    if event.correlation:
        redeeming.redeem(conn, event.correlation, said["service"], on, event.actor)


def service_ceased(conn: Connection, event: Event) -> None:
    """A service has ended: so does its billing; a service that was never billed has nothing to end."""
    owner = _owner(conn, event.data["service"])
    if owner is not None:
        agreed = event.data.get("on")
        on = date.fromisoformat(agreed) if agreed else _day(owner, event)
        subscriptions.cease(conn, event.data["service"], on, event.actor, goes_on="by" in event.data)


def _owner(conn: Connection, service: str) -> Account | None:
    """The account of a service, locked; None for a service that we do not bill."""
    if not subscriptions.is_billed(conn, service):
        return None
    return accounts.lock(conn, subscriptions.item(conn, service).account)


def _agreed(conn: Connection, event: Event) -> bool:
    """Whether the agenda asked for it: then billing has the agreed days already, whenever the hold came or went."""
    set_id = event.data.get("set_id")
    return set_id is not None and entries.by_set(conn, set_id) is not None


def _day(owner: Account, event: Event) -> date:
    return local_date(event.occurred_at, owner.timezone)


def _known(conn: Connection, service: str) -> dict[str, Any] | None:
    query = sa.select(nonpayment_hold).where(nonpayment_hold.c.service == service)
    row = conn.execute(query).mappings().first()
    return None if row is None else dict(row)


def _debt_through(conn: Connection, owner: Account, known: dict[str, Any] | None, day: date) -> date | None:
    """The latest due date that the hold was for, or that is overdue by now; None without any debt."""
    late = overdue(debts.debts(conn, [owner.id])[owner.id], debts.promises(conn, [owner.id])[owner.id], day)
    dues = [debt.due for debt in late]
    if known is not None and known["held"]:
        dues.append(known["debt_through"])
    return max(dues, default=None)


def _note(conn: Connection, owner: Account, event: Event, *, held: bool, debt_through: date) -> None:
    row = {
        "service": event.data["service"], "account_id": owner.id, "held": held, "effect": "",
        "debt_through": debt_through, "actor": event.actor, "set_id": None, "run_id": None,
        "event_seq": event.seq, "changed_at": event.occurred_at,
    }  # fmt: skip
    db.upsert(conn, nonpayment_hold, [row], ["service"])
