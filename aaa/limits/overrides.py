"""Overrides on this node: a service gets its free policy for a while, with everything else down.

`<home>/radius/overrides.journal` (0600) holds checksummed lines, synced before anybody is told. Workers look at the
file and at the clock; when the recorded database is back, the node brings the override into it, for every node to know.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import Literal

import msgspec
import structlog
from sqlalchemy.engine import Connection

from aaa.limits import store
from aaa.limits.limit import OVERRIDE, Limit
from aaa.view.overlay import frame, frames
from core import events, faults
from core.db import Database

BEFORE_SYNC = faults.declare("override.before_sync")
AFTER_SYNC = faults.declare("override.after_sync")
IN_TRANSACTION = faults.declare("override.in_transaction")
BEFORE_DONE = faults.declare("override.before_done")

_log = structlog.get_logger()
_LOOK = 0.1
"""Seconds between two looks at the file."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One line: begin or end an override, or (`done`) the database has what the line of that `at` said.

    `until` in epoch seconds, `at` in epoch microseconds.
    """

    what: Literal["begin", "end", "done"]
    service: str
    until: int
    reason: str
    actor: str
    at: int


class Override(msgspec.Struct, frozen=True):
    """An override as this node knows it. `until` in epoch seconds; `recorded`: the database has it, too."""

    service: str
    until: int
    reason: str
    actor: str
    at: int
    ended: bool = False
    recorded: bool = False

    def is_on(self, now: float) -> bool:
        """Whether it still counts at a moment in epoch seconds."""
        return not self.ended and self.until > now


def path_of(home: Path) -> Path:
    """The node's journal of overrides."""
    return home / "radius" / "overrides.journal"


def begin(home: Path, service: str, until: int, reason: str, actor: str, at: int) -> Override:
    """Begin, or begin anew with another end. Durable when it returns. Raises OSError."""
    _append(path_of(home), [Line("begin", service, until, reason, actor, at)])
    return Override(service, until, reason, actor, at)


def end(home: Path, service: str, actor: str, at: int) -> None:
    """End an override, here at once and in the database when that is there. Raises OSError."""
    _append(path_of(home), [Line("end", service, at, "", actor, at)])


def read(home: Path) -> dict[str, Override]:
    """Every override that the journal has, ended and past ones too; nothing for no file."""
    try:
        raw = path_of(home).read_bytes()
    except FileNotFoundError:
        return {}
    return fold(_lines(raw))


def fold(lines: Iterator[Line]) -> dict[str, Override]:
    """The last word on each service. Pure."""
    found: dict[str, Override] = {}
    for line in lines:
        known = found.get(line.service)
        if line.what == "begin":
            found[line.service] = Override(line.service, line.until, line.reason, line.actor, line.at)
        elif line.what == "end":
            before = known or Override(line.service, line.until, "", line.actor, line.at)
            found[line.service] = msgspec.structs.replace(
                before, ended=True, recorded=False, actor=line.actor, at=line.at
            )
        elif known is not None and known.at == line.at:
            found[line.service] = msgspec.structs.replace(known, recorded=True)
    return found


class Overrides(Mapping[str, float]):
    """What a worker asks: service -> epoch seconds until which it is free here; 0: it was ended here, and the database
    does not know yet. The file is looked at when somebody asks, ten times a second at most.
    """

    def __init__(self, home: Path) -> None:
        self._home, self._path = home, path_of(home)
        self._looked, self._seen = -1.0, (0, 0, 0)
        self._until: dict[str, int] = {}

    def __getitem__(self, service: str) -> float:
        return self._now()[service]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def _now(self) -> dict[str, int]:
        now = time.monotonic()
        if now - self._looked > _LOOK:
            self._looked = now
            self._refresh()
        return self._until

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
        except OSError:
            self._until, self._seen = {}, (0, 0, 0)
            return
        seen = stat.st_ino, stat.st_size, stat.st_mtime_ns
        if seen == self._seen:
            return
        try:
            known = read(self._home).values()
        except (OSError, msgspec.DecodeError) as error:
            _log.error("overrides cannot be read", path=str(self._path), error=str(error))
            return
        self._until = {
            one.service: 0 if one.ended else one.until for one in known if not (one.ended and one.recorded)
        }
        self._seen = seen


def free_until(service: str, viewed: int, here: Mapping[str, float]) -> float:
    """Epoch seconds until which a service is free (0: it is not): the later of what the view and this node say. Ended
    here it is over, though the view learns that from the database only.
    """
    mine = here.get(service, -1)
    return max(viewed, mine) if mine else 0


def drain(home: Path, db: Database, now: int) -> int:
    """Bring into the database what it does not have, and take from the journal what is over; returns how many.

    What ended elsewhere ends here: after the database has it, the database's word counts. Raises what it raises.
    """
    known = read(home)
    if not known:
        return 0
    news = [one for one in known.values() if not one.recorded]
    with db.write() if news else db.read() as conn:
        for one in news:
            _record(conn, one, now)
            faults.point(IN_TRANSACTION)
        there = {one.service for one in store.read(conn, known) if one.cause == OVERRIDE}
    faults.point(BEFORE_DONE)
    _settle(path_of(home), news, there, now)
    return len(news)


def _record(conn: Connection, one: Override, now: int) -> None:
    if one.ended:
        if store.lift(conn, [(one.service, OVERRIDE)]):
            data = {"by": one.actor}
            events.emit(conn, "service.override-ended", one.service, data, actor=one.actor)
    elif one.until > now:
        put(conn, one.service, one.until, one.reason, one.actor, at=one.at)


def put(conn: Connection, service: str, until: int, reason: str, actor: str, at: int) -> bool:
    """Record an override, with its event; the same one again is nothing new."""
    data = {"reason": reason, "actor": actor, "at": at}
    if not store.put(conn, [Limit(service, OVERRIDE, "release", until=until, data=data)], actor):
        return False
    told = {"until": until, "reason": reason}
    events.emit(conn, "service.overridden", service, told, actor=actor)
    return True


def _settle(path: Path, news: list[Override], there: set[str], now: int) -> None:
    """Write down what is recorded, and keep only what is still to be said or still counts."""
    said = {(one.service, one.at) for one in news}
    with _locked(path) as file:
        raw = file.read()
        latest = fold(_lines(raw))
        kept: list[Line] = []
        for one in latest.values():
            recorded = one.recorded or (one.service, one.at) in said
            over = one.ended or one.until <= now or one.service not in there
            if recorded and over:
                continue
            kept += _as_lines(one, recorded)
        wanted = b"".join(frame(msgspec.msgpack.encode(line)) for line in kept)
        if wanted == raw:
            return
        partial = path.with_name(f"{path.name}.partial")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as fresh:
            fresh.write(wanted)
            fresh.flush()
            os.fdatasync(fresh.fileno())
        _belong(partial)
        partial.replace(path)


def _as_lines(one: Override, recorded: bool) -> list[Line]:
    what: Literal["begin", "end"] = "end" if one.ended else "begin"
    lines = [Line(what, one.service, one.until, one.reason, one.actor, one.at)]
    return [*lines, Line("done", one.service, one.until, "", one.actor, one.at)] if recorded else lines


def _append(path: Path, lines: list[Line]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path) as file:
        # What a crash tore off was never promised; behind it nothing would be found.
        file.seek(file.truncate(sum(len(frame(payload)) for payload in frames(file.read()))))
        file.write(b"".join(frame(msgspec.msgpack.encode(line)) for line in lines))
        file.flush()
        faults.point(BEFORE_SYNC)
        os.fdatasync(file.fileno())
    faults.point(AFTER_SYNC)


@contextmanager
def _locked(path: Path) -> Iterator[BufferedRandom]:
    """The journal's file, nobody else's meanwhile; the one that has the name when we have the lock."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "r+b")
        _belong(path)
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            break
        file.close()
    try:
        yield file
    finally:
        file.close()


def _belong(path: Path) -> None:
    """Root at the keyboard writes for whoever runs the node."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _lines(raw: bytes) -> Iterator[Line]:
    decoder = msgspec.msgpack.Decoder(Line)
    return (decoder.decode(payload) for payload in frames(raw))
