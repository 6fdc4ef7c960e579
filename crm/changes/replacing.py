"""Moves by a new service: built at the new place at the old terms; once it works, the old one ends that day."""

from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, subscriptions
from billing.agenda import entries, transfers
from billing.agenda.entries import Entry
from billing.agenda.errors import NotAgreeable
from billing.agenda.models import agenda_entry
from billing.models import subscription_item
from billing.offers import contracts
from billing.timeline import Terms, state_on
from billing.wallet import prepaid
from core import events
from core.crypto import DataKey
from crm import activation, orders
from crm.access import Options, read_access
from crm.changes.files import require_active
from crm.models import service_order
from intents.reader import Reader


def require_replaceable(conn: Connection, reader: Reader, service: str) -> None:
    """Raises NotAgreeable where a new service could not be like the old one."""
    if require_active(reader, service).type == "voice":
        raise NotAgreeable(service, "a voice service keeps its number: move it without --as-new")
    if prepaid.find(conn, service) is not None:
        raise NotAgreeable(
            service, "what is bought of a prepaid service stays with it: move it without --as-new"
        )


def carry_out(conn: Connection, reader: Reader, entry: Entry, key: DataKey | None) -> None:
    """Order and provision the new service at the pinned terms, no set-up fee. Raises NotAgreeable, NotOrderable."""
    intent = require_active(reader, entry.service)
    story = subscriptions.item(conn, entry.service).events
    terms = state_on(story, entry.due_on).terms
    if terms is None:
        raise NotAgreeable(entry.service, f"it is not active on {entry.due_on}")
    options = Options(
        method=intent.session.method if intent.session is not None else "pppoe",
        ipv4=intent.ipv4.mode if intent.ipv4 is not None else "none",
        delegate=intent.ipv6 is not None and intent.ipv6.pd is not None, on_hold=intent.on_hold,
    )  # fmt: skip
    access = read_access(entry.details["access"])
    order_id = orders.place_order(
        conn, reader, intent.customer, intent.plan, access, actor=entry.actor, options=options,
        account=entry.account_id,
    )  # fmt: skip
    pinned = msgspec.to_builtins(contracts.carried(story, entry.due_on, terms))
    mine = service_order.c.id == order_id
    conn.execute(sa.update(service_order).where(mine).values(terms=pinned))
    set_id = activation._provision(conn, reader, orders.lock(conn, order_id), entry.actor, key)
    new = orders.get(conn, order_id).service
    entries.asked(conn, entry, set_id, {"order": order_id, "service": new})


def activated(conn: Connection, service: str, on: date, actor: str) -> None:
    """The new service works: it is billed in the rhythm of the old one, which ends on that day. Again adds nothing."""
    entry = _of_new(conn, service)
    if entry is None:
        return
    owner = accounts.lock(conn, entry.account_id)
    old = subscriptions.item(conn, entry.service)
    order = orders.by_service(conn, service)
    terms: Terms | None = order.terms if order is not None else None
    if terms is not None:
        subscriptions.activate(conn, owner.id, service, terms, on, actor)
    new = subscriptions.item(conn, service)
    mine = subscription_item.c.id == new.id
    conn.execute(sa.update(subscription_item).where(mine).values(cadence_base=old.cadence_base))
    transfers.carry_along(conn, old, new, on, actor)
    entries.add(conn, owner, entry.service, entries.CEASE, on, {"replaced_by": service}, entry.actor)
    entries.done(conn, entry)
    told = {"service": entry.service, "by": service, "account": owner.id, "on": str(on)}
    events.emit(conn, "service.replaced", entry.service, told, actor=entry.actor)


def _of_new(conn: Connection, service: str) -> Entry | None:
    """The move that waits for this new service."""
    query = sa.select(agenda_entry.c.set_id, agenda_entry.c.undo).where(
        agenda_entry.c.kind == entries.MOVE, agenda_entry.c.state == entries.ASKED
    )
    for row in conn.execute(query).all():
        if row.undo is not None and row.undo.get("service") == service:
            return entries.by_set(conn, row.set_id)
    return None
