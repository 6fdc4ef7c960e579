"""Carrying out what was agreed: once, on its day or late, by a job, a command, or at once when the day is today."""

from sqlalchemy.engine import Connection

from billing import accounts
from billing.accounts import Account
from billing.agenda import entries
from billing.agenda import transfers as billing_transfers
from billing.agenda.entries import Entry
from billing.agenda.errors import NotAgreeable, NotYet
from core import faults
from core.crypto import DataKey
from core.db import Database
from core.errors import Terminal
from crm.changes import ends, moves, plans, transfers, vacations
from intents.reader import Reader

P_CARRIED = faults.declare("crm.before_change_commit")


def perform(database: Database, reader: Reader, entry_id: str, key: DataKey | None = None) -> Entry:
    """Carry out an entry whose day has begun; what cannot be done is marked as failed, with the reason, and told.

    `key` seals the login of a service that is built anew. Again changes nothing. Raises NotYet, AgendaEntryUnknown.
    """
    try:
        with database.write() as conn:
            entry = carry_out(conn, reader, entry_id, key)
            faults.point(P_CARRIED)
            return entry
    except Terminal as error:
        with database.write() as conn:
            entry = entries.lock(conn, entry_id)
            if entry.state == entries.SCHEDULED:
                entries.failed(conn, entry, str(error))
            return entries.lock(conn, entry_id)


def perform_due(database: Database, reader: Reader, key: DataKey | None = None) -> list[Entry]:
    """Carry out everything whose day has begun where its account lives; returns what was."""
    with database.read() as conn:
        found = entries.due(conn)
    performed = []
    for one in found:
        try:
            performed.append(perform(database, reader, one, key))
        except NotYet:
            continue
    return performed


def carry_out(conn: Connection, reader: Reader, entry_id: str, key: DataKey | None = None) -> Entry:
    """The same in the caller's transaction; raises whatever is in the way, and NotYet."""
    entry = entries.lock(conn, entry_id)
    if entry.state != entries.SCHEDULED:
        return entry
    if entry.due_on > _locked(conn, entry).today:
        raise NotYet(entry.id, entry.due_on)
    match entry.kind:
        case entries.CHANGE:
            plans.carry_out(conn, reader, entry)
        case entries.CEASE:
            ends.carry_out(conn, reader, entry)
        case entries.VACATION:
            vacations.begin(conn, reader, entry)
        case entries.RETURN:
            vacations.end(conn, reader, entry)
        case entries.MOVE:
            moves.carry_out(conn, reader, entry, key)
        case _:
            transfers.carry_out(conn, reader, entry)
    return entries.lock(conn, entry_id)


def _locked(conn: Connection, entry: Entry) -> Account:
    """The account that is billed for the service, locked; where another one takes over, both of them."""
    if entry.kind == entries.TRANSFER:
        return billing_transfers.both(conn, entry.service, entry.details["to"])[1]
    return accounts.lock(conn, entry.account_id)


def at_once(conn: Connection, reader: Reader, *agreed: Entry, key: DataKey | None = None) -> list[Entry]:
    """Carry out in this transaction what is due by now; the rest waits for its day."""
    found = []
    for one in agreed:
        try:
            found.append(carry_out(conn, reader, one.id, key))
        except NotYet:
            found.append(one)
    return found


def cancel(conn: Connection, entry_id: str, *, actor: str) -> Entry:
    """Cancel what waits for its day; a vacation is cancelled as a whole. Raises AgendaEntryUnknown, NotAgreeable."""
    entry = entries.lock(conn, entry_id)
    if entry.kind in (entries.VACATION, entries.RETURN):
        way = f"'trunkline billing vacation {entry.service} --cancel' cancels both ends of its vacation"
        raise NotAgreeable(entry.service, way)
    return entries.cancel(conn, entry_id, actor=actor)


def landed(conn: Connection, set_id: str) -> None:
    """A change set that an entry asked for is on trunk."""
    entry = entries.by_set(conn, set_id)
    if entry is None or entry.state != entries.ASKED:
        return
    if entry.kind == entries.TRANSFER:
        transfers.landed(conn, entry)
    elif entry.kind == entries.MOVE:
        if entry.details["as_new"]:
            return  # done when the new service works
        moves.landed(conn, entry)
    entries.done(conn, entry)


def refused(conn: Connection, set_id: str, why: str) -> None:
    """A change set that an entry asked for cannot land: billing takes back what it did, and somebody hears of it."""
    entry = entries.by_set(conn, set_id)
    if entry is None or entry.state != entries.ASKED:
        return
    if entry.kind == entries.CHANGE:
        plans.refused(conn, entry)
    elif entry.kind in (entries.VACATION, entries.RETURN):
        vacations.refused(conn, entry)
    elif entry.kind == entries.MOVE:
        moves.refused(conn, entry)
    entries.failed(conn, entry, why)
