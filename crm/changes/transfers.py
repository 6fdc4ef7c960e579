"""Transfers: another account pays from a day on. Where it is another customer's, the file says so first."""

import msgspec
from sqlalchemy.engine import Connection

from billing import accounts
from billing.agenda import entries, transfers
from billing.agenda.dates import day_of
from billing.agenda.entries import Entry
from crm.changes.files import put_service, require_active, require_free
from intents.reader import Reader


def ask(conn: Connection, reader: Reader, service: str, to: str, at: str, *, actor: str) -> Entry:
    """Agree that account `to` pays from `at` on. Raises AccountUnknown, ServiceNotBilled, NotAgreeable."""
    item, owner, receiver = transfers.both(conn, service, to)
    require_active(reader, service)
    day = day_of(owner, item, at)
    transfers.require_transferable(conn, owner, receiver, service, day)
    require_free(conn, service, day, entries.TRANSFER, entries.CEASE)
    return entries.add(conn, owner, service, entries.TRANSFER, day, {"to": to}, actor)


def carry_out(conn: Connection, reader: Reader, entry: Entry) -> None:
    """Of one customer: at once. To another one: billing follows when the file has landed, from the agreed day on."""
    intent = require_active(reader, entry.service)
    to = accounts.get(conn, entry.details["to"])
    if intent.customer == to.customer_ref:
        transfers.transfer(conn, entry.service, to.id, entry.due_on, entry.actor)
        entries.done(conn, entry)
        return
    changed = msgspec.structs.replace(intent, customer=to.customer_ref)
    entries.asked(conn, entry, put_service(conn, entry, changed, "transfer"))


def landed(conn: Connection, entry: Entry) -> None:
    """The file names the new customer."""
    transfers.transfer(conn, entry.service, entry.details["to"], entry.due_on, entry.actor)
