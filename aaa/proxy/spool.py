"""The spool of one server: accounting that we have acknowledged and it has not. The journal's rules hold: an entry
counts once its segment is synced, and a segment goes only after every entry of it is delivered (or set aside).

A segment that is delivered again after a crash is sent twice: accounting servers know a record that they have.
"""

import os
import threading
from collections.abc import Sequence
from io import BufferedWriter
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from aaa.view.overlay import frame, frames
from core import clock, faults

BEFORE_SYNC = faults.declare("proxy.before_spool_sync")
AFTER_SYNC = faults.declare("proxy.after_spool_sync")

_MOST = 2000


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
        self._file: BufferedWriter | None = None
        self._path: Path | None = None
        self._count = 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Write and sync; durable when it returns."""
        with self._lock:
            file = self._open()
            try:
                file.write(b"".join(frame(msgspec.msgpack.encode(entry)) for entry in entries))
                file.flush()
                faults.point(BEFORE_SYNC)
                os.fdatasync(file.fileno())
            except OSError:
                self._close()  # nothing may follow a torn frame
                raise
            self._count += len(entries)
            if self._count >= _MOST:
                self._close()
        faults.point(AFTER_SYNC)

    def oldest(self) -> Path | None:
        """The segment to deliver next; the one that is written to is closed for it when there is no other."""
        with self._lock:
            closed = [path for path in sorted(self._folder.glob("*.spool")) if path != self._path]
            if closed:
                return closed[0]
            path = self._path
            self._close()
            return path

    def set_aside(self, entry: Entry) -> None:
        """Keep an entry that the server never takes, for a person to look at."""
        path = self._folder / "refused.log"
        path.touch(mode=0o600)
        with path.open("ab") as file:
            file.write(frame(msgspec.msgpack.encode(entry)))

    def close(self) -> None:
        """End the current segment."""
        with self._lock:
            self._close()

    def _open(self) -> BufferedWriter:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path = self._folder / f"{int(clock.now().timestamp() * 1e6):020d}.spool"
            self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return self._file

    def _close(self) -> None:
        file, self._file, self._path, self._count = self._file, None, None, 0
        if file is not None:
            file.close()


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
