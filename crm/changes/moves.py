"""Moves: a service goes to another line or address and keeps its login, its plan and its billing."""

from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from billing import accounts, subscriptions
from billing.agenda import entries
from billing.agenda.dates import day_of
from billing.agenda.entries import Entry
from billing.agenda.errors import NotAgreeable
from core import events
from core.crypto import DataKey
from crm import cessation, documents, resources
from crm.access import Access, Existing, Options, Radio, read_access
from crm.activation import _free_id
from crm.changes import replacing
from crm.changes.files import ACTOR, require_active, require_free, service_change
from crm.errors import NotOrderable
from crm.resources import Place, Reserved
from intents import queue
from intents.dump import to_mapping
from intents.kinds import path_of
from intents.reader import Reader
from inventory import allocation


def ask(
    conn: Connection,
    reader: Reader,
    service: str,
    access: Access,
    at: str,
    *,
    actor: str,
    as_new: bool = False,
) -> Entry:
    """Agree that a service is reached another way from `at` on; `as_new`: by a new service in its place.

    Raises ServiceNotBilled, NotAgreeable, NotOrderable.
    """
    item = subscriptions.item(conn, service)
    owner = accounts.lock(conn, item.account)
    intent = require_active(reader, service)
    if intent.line is None:
        raise NotAgreeable(service, "it is on a router's port, not on a line: move it by a pull request")
    if isinstance(access, Existing) and access.line == intent.line:
        raise NotAgreeable(service, f"it is on line {access.line} already")
    resources.place_of(reader, access)
    if as_new:
        replacing.require_replaceable(conn, reader, service)
    day = max(day_of(owner, item, at), owner.today)
    require_free(conn, service, day, entries.MOVE, entries.CEASE)
    details = {"access": msgspec.to_builtins(access), "as_new": as_new}
    return entries.add(conn, owner, service, entries.MOVE, day, details, actor)


def carry_out(conn: Connection, reader: Reader, entry: Entry, key: DataKey | None = None) -> None:
    """Reserve, and write the new line, the service and the end of the old line as one change set."""
    if entry.details["as_new"]:
        replacing.carry_out(conn, reader, entry, key)
        return
    intent = require_active(reader, entry.service)
    access = read_access(entry.details["access"])
    place = resources.place_of(reader, access)
    line = access.line if isinstance(access, Existing) else _free_id(conn, reader, "line", "L")
    before = allocation.owned(conn, entry.service)
    reserved, stays = _reserve(conn, reader, entry, intent, place, line)
    after = allocation.owned(conn, entry.service)
    changes = [
        service_change(conn, entry.service, _service_file(entry, intent, place, reserved, line, stays))
    ]
    if not isinstance(access, Existing):
        changes.append(_new_line(access, reserved, line))
    old = cessation._line_to_end(reader, entry.service, intent.line)
    if old is not None:
        changes.append(cessation._ceased("line", old, reader.get("line", old)))
    set_id = queue.submit(conn, actor=ACTOR, reason="move", changes=changes, correlation=entry.id)
    kept = {f"pool:{name}" for name in _pools(place)} if stays else set()
    undo = {
        "new": sorted(set(after) - set(before)), "new_line": None if isinstance(access, Existing) else line,
        "old": sorted(scope for scope in before if scope not in kept and not _used(scope, place)),
        "old_line": old, "rests": cessation._rests(reader), "line": line, "from": intent.line,
    }  # fmt: skip
    entries.asked(conn, entry, set_id, undo)


def landed(conn: Connection, entry: Entry) -> None:
    """It is there: what the old place had comes to rest."""
    undo = entry.undo or {}
    for scope in undo["old"]:
        rest = timedelta(seconds=undo["rests"].get(scope.split(":", 1)[0], 0))
        allocation.release(conn, entry.service, rest, scope)
    if undo["old_line"] is not None:
        cessation._release(conn, undo["old_line"], undo["rests"])
    told = {"service": entry.service, "from": undo["from"], "to": undo["line"], "on": str(entry.due_on)}
    events.emit(conn, "service.moved", entry.service, told, actor=entry.actor)


def refused(conn: Connection, entry: Entry) -> None:
    """It stays where it is: what was reserved is free at once (nobody ever used it)."""
    if entry.details["as_new"]:
        return  # its order has failed and gave everything back
    undo = entry.undo or {}
    for scope in undo["new"]:
        allocation.release(conn, entry.service, timedelta(0), scope)
    if undo["new_line"] is not None:
        allocation.release(conn, undo["new_line"], timedelta(0))


def _reserve(
    conn: Connection, reader: Reader, entry: Entry, intent: Any, place: Place, line: str
) -> tuple[Reserved, bool]:
    """What the new place needs; addresses stay where the edge stays."""
    here = resources.place_of(reader, Existing(line=intent.line))
    stays = here.edge == place.edge
    wants = Options(
        ipv4=intent.ipv4.mode if intent.ipv4 is not None and not stays else "none",
        delegate=intent.ipv6 is not None and intent.ipv6.pd is not None and not stays,
    )
    return resources.reserve_for(conn, reader, place, line, entry.service, wants, intent.type), stays


def _service_file(
    entry: Entry, intent: Any, place: Place, reserved: Reserved, line: str, stays: bool
) -> bytes:
    fields = {**to_mapping(intent), "line": line}
    fields.pop("attach", None)
    if attach := documents._attach(place, reserved, intent.type):
        fields["attach"] = attach
    if "session" in fields:
        fields["session"] = _session(entry.service, fields["session"], place)
    if not stays:
        if intent.ipv4 is not None and intent.ipv4.mode == "fixed":
            fields["ipv4"] = {"mode": "fixed", "address": reserved.address}
        if "ipv6" in fields:
            fields["ipv6"] = {
                name: value for name, value in fields["ipv6"].items() if name not in ("pd", "address")
            }
            fields["ipv6"] |= {"pd": reserved.prefix} if reserved.prefix else {}
    return documents._checked("service", entry.service, fields)


def _session(service: str, session: dict[str, Any], place: Place) -> dict[str, Any]:
    """The login stays; what ties it to the old circuit or port goes."""
    said = {name: value for name, value in session.items() if name not in ("circuit-id", "port", "bind")}
    bind = ["circuit"] if place.circuit else []
    if "mac" in session.get("bind", []):
        bind.append("mac")
        if isinstance(place.access, Radio) and place.access.mac:
            said["mac"] = place.access.mac
    if said["method"] == "ipoe" and not bind:
        raise NotOrderable(
            f"service {service}", "neither a circuit nor a MAC would tell who it is on that line"
        )
    return {**said, "bind": bind} if bind else said


def _new_line(access: Access, reserved: Reserved, line: str) -> queue.Change:
    content = documents.line_of(access, reserved, line)
    return queue.Change(path=path_of("line", line), content=content, precondition="absent")


def _pools(place: Place) -> list[str]:
    pools = place.edge.pools if place.edge is not None else None
    return [name for name in (pools.pd, pools.public) if name] if pools is not None else []


def _used(scope: str, place: Place) -> bool:
    """Whether the new place uses the value that the service has in this scope."""
    return scope == f"cvlan:{place.svlan}"
