"""Ends: a service ceases on a day; billing ends on that day exactly once the end has landed (`crm.cessation`)."""

from sqlalchemy.engine import Connection

from billing import accounts, subscriptions
from billing.agenda import entries
from billing.agenda.dates import day_of, started_on
from billing.agenda.entries import Entry
from billing.agenda.errors import NotAgreeable
from billing.offers.leaving import leaving
from billing.timeline import state_on
from billing.wallet import prepaid
from crm import cessation
from crm.changes.files import require_active, require_free
from intents.reader import Reader


def ask(conn: Connection, reader: Reader, service: str, at: str, *, actor: str) -> Entry:
    """Agree on the end: `at` is the first day that is not billed, `now` or `period-end`; with what leaving costs then.

    Raises ServiceNotBilled, ServiceUnknown, NotAgreeable.
    """
    item = subscriptions.item(conn, service)
    owner = accounts.lock(conn, item.account)
    require_active(reader, service)
    paid = prepaid.find(conn, service)
    day = day_of(owner, item, at, paid.paid_until if paid is not None else None)
    started = started_on(item)
    if started is not None and (day < started or state_on(item.events, day).terms is None):
        raise NotAgreeable(service, f"it is not active on {day}")
    require_free(conn, service, day, entries.CEASE)
    costs = leaving(conn, service, day)
    return entries.add(conn, owner, service, entries.CEASE, day, {"costs": costs} if costs else {}, actor)


def carry_out(conn: Connection, reader: Reader, entry: Entry) -> None:
    """Ask for the end, and drop what was agreed for later days."""
    for one in entries.of_service(conn, entry.service):
        if one.state == entries.SCHEDULED and one.id != entry.id and one.due_on >= entry.due_on:
            entries.cancel(conn, one.id, actor=entry.actor)
    entries.asked(conn, entry, cessation.cease_service(conn, reader, entry.service, actor=entry.actor))
