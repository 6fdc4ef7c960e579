"""The spool of one server: accounting that we have acknowledged and it has not. The journal's rules hold: an entry
counts once its segment is synced, and goes, alone or with its segment, only after it is delivered (or set aside).

A segment that is delivered again after a crash is sent twice: accounting servers know a record that they have.
"""

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from io import FileIO
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from aaa.view.overlay import frame, frames
from core import clock, faults
from core.disk import Segment, sync_folder, write_whole

BEFORE_SYNC = faults.declare("proxy.before_spool_sync")
AFTER_SYNC = faults.declare("proxy.after_spool_sync")
BEFORE_RENAME = faults.declare("proxy.before_spool_rename")

_MOST = 2000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """An Accounting-Request as the NAS sent it, for the server of a route; `received` in epoch seconds."""

    route: str
    packet: bytes
    nas: str
    received: float


class Spool:
    """Appended to by one thread, read by another. Raises OSError when the disk does not take it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._aside = threading.Lock()
        self._segment: Segment | None = None
        self._count = self._last = 0
        """Entries of the segment that are synced; the name of the last one."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Write and sync; durable when it returns."""
        with self._lock:
            segment = self._open()
            try:
                segment.append(_framed(entries), before_sync=partial(faults.point, BEFORE_SYNC))
            finally:
                if not segment.usable:
                    self._segment, self._count = None, 0
            self._count += len(entries)
            if self._count >= _MOST:
                self._close()
        faults.point(AFTER_SYNC)

    def segments(self, end: bool = True) -> list[Path]:
        """What can be delivered, oldest first. `end`: also the one that is written to, which is closed for it; else
        only when there is no other.
        """
        with self._lock:
            closed = self._closed()
            if self._count and (end or not closed):
                self._close()
                closed = self._closed()
            return closed

    def set_aside(self, entry: Entry) -> None:
        """Keep an entry that the server never takes, for a person to look at; synced, since its segment goes next."""
        path = self._folder / "refused.log"
        with self._aside, os.fdopen(os.open(path, _APPEND, 0o600), "ab", buffering=0) as file:
            length = file.tell()
            try:
                write_whole(file, _framed([entry]))
                os.fdatasync(file.fileno())
            except OSError:
                with suppress(OSError):  # nothing may follow a torn frame
                    file.truncate(length)
                raise
            if not length:
                sync_folder(self._folder)

    def close(self) -> None:
        """End the current segment."""
        with self._lock:
            self._close()

    def _closed(self) -> list[Path]:
        open_one = self._segment.path if self._segment is not None else None
        return [path for path in sorted(self._folder.glob("*.spool")) if path != open_one]

    def _open(self) -> Segment:
        if self._segment is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # After all others, whatever became of the clock: their names are their order.
            there = (int(one.stem) for one in self._folder.glob("*.spool") if one.stem.isdecimal())
            self._last = max(int(clock.now().timestamp() * 1e6), max(there, default=0) + 1, self._last + 1)
            path = self._folder / f"{self._last:020d}.spool"
            segment = Segment(path, FileIO(os.open(path, _NEW, 0o600), "wb"))
            try:
                sync_folder(self._folder)
            except OSError:
                segment.abandon()
                raise
            self._segment, self._count = segment, 0
        return self._segment

    def _close(self) -> None:
        segment, self._segment, self._count = self._segment, None, 0
        if segment is not None:
            segment.close()


def rewrite(path: Path, left: Sequence[Entry]) -> None:
    """Only what is left of a segment, in its place: it is whole before or after, whenever the power goes."""
    new = path.with_suffix(".left")
    try:
        with new.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(_framed(left))
            file.flush()
            os.fsync(file.fileno())
        faults.point(BEFORE_RENAME)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)  # the disk may be full
        raise
    with suppress(OSError):  # after a crash it may be the old one, which is sent twice
        sync_folder(path.parent)


def read_segment(path: Path) -> list[Entry]:
    """The whole entries of a segment, in order."""
    decoder = msgspec.msgpack.Decoder(Entry)
    return [decoder.decode(payload) for payload in frames(path.read_bytes())]


def folder_name(route: str) -> str:
    """A route's folder: whatever a realm is called, it is one name and no path."""
    return "r-" + quote(route, safe="")


def routes_in(folder: Path) -> list[str]:
    """Routes with something in the spool."""
    return sorted({unquote(path.parent.name[2:]) for path in folder.glob("r-*/*.spool")})


def _framed(entries: Sequence[Entry]) -> bytes:
    return b"".join(frame(msgspec.msgpack.encode(entry)) for entry in entries)
