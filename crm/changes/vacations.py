"""Vacations: from a day until a day the service is held and not billed, both local days of the account exactly."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy.engine import Connection

from billing import accounts, subscriptions
from billing.agenda import entries
from billing.agenda.dates import started_on
from billing.agenda.entries import Entry
from billing.agenda.errors import NotAgreeable
from billing.timeline import state_on
from billing.wallet import prepaid
from core import clock
from crm.changes.files import ACTOR, require_active, require_free
from intents import queue
from intents.dump import to_yaml
from intents.hold.schema import Hold
from intents.kinds import path_of
from intents.reader import Reader

REASON = "vacation"


def ask(
    conn: Connection, reader: Reader, service: str, since: date, until: date, *, actor: str
) -> tuple[Entry, Entry]:
    """Agree on a vacation: not billed on `[since, until)`; returns its beginning and its end.

    Raises ServiceNotBilled, ServiceUnknown, NotAgreeable.
    """
    item = subscriptions.item(conn, service)
    owner = accounts.lock(conn, item.account)
    require_active(reader, service)
    if prepaid.find(conn, service) is not None:
        raise NotAgreeable(
            service, "it is prepaid: what is not bought is not billed, so it needs no vacation"
        )
    started = started_on(item)
    if until <= since:
        raise NotAgreeable(
            service, f"a vacation until {until} does not begin on {since}; until is the first day after"
        )
    if started is None or since < started or state_on(item.events, since).terms is None:
        raise NotAgreeable(service, f"it is not active on {since}")
    require_free(conn, service, until, entries.VACATION, entries.RETURN)
    _require_apart(conn, service, since, until)
    begin = entries.add(conn, owner, service, entries.VACATION, since, {"until": str(until)}, actor)
    end = entries.add(conn, owner, service, entries.RETURN, until, {"vacation": begin.id}, actor)
    return begin, end


def _require_apart(conn: Connection, service: str, since: date, until: date) -> None:
    """Its other vacations, past ones too, neither overlap nor begin where it ends. Raises NotAgreeable."""
    found = entries.of_service(conn, service)
    for one in found:
        if one.kind != entries.VACATION or one.state not in (entries.ASKED, entries.DONE):
            continue
        end = _end_of(found, one, entries.ASKED, entries.DONE)
        if since < end and until >= one.due_on:
            raise NotAgreeable(
                service,
                f"its vacation from {one.due_on} until {end} is agreed already; say days before or after it",
            )


def until(conn: Connection, service: str, day: date, *, actor: str) -> Entry:
    """Let the vacation that was agreed end on another day, earlier or later. Raises NotAgreeable."""
    begin, end = _agreed(conn, service)
    if day <= begin.due_on:
        raise NotAgreeable(
            service, f"its vacation begins on {begin.due_on}; cancel it rather than end it on {day}"
        )
    owner = accounts.lock(conn, end.account_id)
    entries.cancel(conn, end.id, actor=actor)
    return entries.add(conn, owner, service, entries.RETURN, day, {"vacation": begin.id}, actor)


def cancel(conn: Connection, service: str, *, actor: str) -> Entry:
    """A vacation that has not begun is forgotten; one that has begun ends today. Returns its (new) end."""
    begin, end = _agreed(conn, service)
    if begin.state == entries.SCHEDULED:
        entries.cancel(conn, begin.id, actor=actor)
        return entries.cancel(conn, end.id, actor=actor)
    owner = accounts.lock(conn, end.account_id)
    entries.cancel(conn, end.id, actor=actor)
    return entries.add(conn, owner, service, entries.RETURN, owner.today, {"vacation": begin.id}, actor)


def begin(conn: Connection, reader: Reader, entry: Entry) -> None:
    """Billing stops on the day and the hold is asked for; a vacation that is over already needs no hold."""
    require_active(reader, entry.service)
    owner = accounts.lock(conn, entry.account_id)
    subscriptions.block(conn, entry.service, entry.due_on, entry.actor)
    agreed = entries.of_service(conn, entry.service)
    if _end_of(agreed, entry, entries.SCHEDULED) <= owner.today:
        entries.done(conn, entry)
        return
    since = clock.now().replace(microsecond=0)
    hold = Hold(effect="block", since=since, cause="vacation", batch=entry.id)
    set_id = _submit(conn, entry, "put", to_yaml("hold", hold))
    entries.asked(conn, entry, set_id, {"held": True})


def end(conn: Connection, reader: Reader, entry: Entry) -> None:
    """Billing goes on from the day and the hold goes, where there is one."""
    began = entries.lock(conn, entry.details["vacation"])
    subscriptions.unblock(conn, entry.service, entry.due_on, entry.actor)
    is_held = reader.get("hold", f"{entry.service}.{REASON}") is not None
    if began.set_id is None and not is_held:
        entries.done(conn, entry)
        return
    entries.asked(conn, entry, _submit(conn, entry, "delete", None), {"held": False})


def refused(conn: Connection, entry: Entry) -> None:
    """The hold could not be set: the service works, so it is billed. (One that could not be lifted: a person looks.)"""
    if entry.kind == entries.VACATION:
        subscriptions.unblock(conn, entry.service, entry.due_on, entry.actor)
        for one in entries.pending(entries.of_service(conn, entry.service), entries.RETURN):
            if one.details["vacation"] == entry.id and one.state == entries.SCHEDULED:
                entries.cancel(conn, one.id, actor=entry.actor)


def _agreed(conn: Connection, service: str) -> tuple[Entry, Entry]:
    """The vacation whose end still waits."""
    found = entries.of_service(conn, service)
    ends = [one for one in found if one.kind == entries.RETURN and one.state == entries.SCHEDULED]
    if not ends:
        raise NotAgreeable(service, "no vacation of it is agreed that has not ended")
    (begin,) = [one for one in found if one.id == ends[0].details["vacation"]]
    return begin, ends[0]


def _end_of(found: Sequence[Entry], begin: Entry, *states: str) -> date:
    """The last day on which an entry in one of the states ends a vacation; `date.max` where none does."""
    days = [
        one.due_on for one in found
        if one.kind == entries.RETURN and one.state in states and one.details["vacation"] == begin.id
    ]  # fmt: skip
    return max(days, default=date.max)


def _submit(conn: Connection, entry: Entry, op: queue.Op, content: bytes | None) -> str:
    name = f"{entry.service}.{REASON}"
    key = f"hold:{name}"
    change = queue.Change(
        path=path_of("hold", name), op=op, content=content, fence_key=key,
        fence_version=queue.bump_fence(conn, key),
    )  # fmt: skip
    return queue.submit(
        conn, actor=ACTOR, reason=REASON, changes=[change], correlation=entry.id, urgent=op == "delete"
    )
