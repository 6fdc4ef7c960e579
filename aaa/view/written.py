"""When to look at SQLite's file again: as soon as somebody has written to its log, told by the kernel (inotify(7)).

Looking twenty times a second instead is what a worker without logins would do most of its time, and it finds a change
25 ms later. PostgreSQL is asked twenty times a second: there is no file.
"""

import ctypes
import os
import select
import struct
import threading
from pathlib import Path

import sqlalchemy as sa

from core import clock

PAUSE = 0.05
"""Seconds between two looks where nobody tells us anything."""
_LOOK = 0.5
"""The longest time without a look, whatever the kernel told: somebody may have put another file there."""
_VISIBLE, _PATIENCE = 0.002, 0.2
"""SQLite writes to its log before the commit can be seen: when to look first, and how long to go on looking."""
_MODIFIED, _DELETED, _MOVED, _IGNORED = 0x2, 0x400, 0x800, 0x8000
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Written:
    """Of one database. Where the kernel tells nothing (PostgreSQL, no watches left) it waits `PAUSE`."""

    def __init__(self, url: str, stop: threading.Event) -> None:
        made = sa.make_url(url)
        is_file = made.get_backend_name() == "sqlite" and made.database not in (None, "", ":memory:")
        self._log = Path(f"{made.database}-wal") if is_file else None
        self._stop = stop
        self._descriptor = -1
        self._expected_until = 0.0

    def wait(self, seen: bool) -> None:
        """Until it is time to look, or to stop. `seen`: the last look found that somebody had committed."""
        if seen:
            self._expected_until = 0.0
        if clock.monotonic() < self._expected_until or not self._watch():
            self._stop.wait(PAUSE)
        elif self._told():
            self._expected_until = clock.monotonic() + _PATIENCE
            self._stop.wait(_VISIBLE)

    def close(self) -> None:
        """Watch no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _watch(self) -> bool:
        """Whether the kernel watches the log: it is there from the first connection on, until the last one ends."""
        if self._descriptor >= 0:
            return True
        if self._log is None or not self._log.exists():
            return False
        self._descriptor = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        mask = _MODIFIED | _DELETED | _MOVED
        if self._descriptor >= 0 and _libc.inotify_add_watch(self._descriptor, bytes(self._log), mask) < 0:
            self.close()
        return self._descriptor >= 0

    def _told(self) -> bool:
        """Whether it was written to within `_LOOK`. A log that went away is watched anew when it is there again."""
        waiting = select.poll()  # `select` knows no descriptor above 1023
        waiting.register(self._descriptor, select.POLLIN)
        if not waiting.poll(_LOOK * 1000):
            return False
        masks = [_EVENT.unpack_from(one)[1] for one in _events(os.read(self._descriptor, 65536))]
        if any(mask & (_DELETED | _MOVED | _IGNORED) for mask in masks):
            self.close()
        return True


def _events(raw: bytes) -> list[bytes]:
    """Each event: 16 octets, and a name as long as the last four of them say (none of a watched file)."""
    found = []
    while raw:
        size = _EVENT.size + _EVENT.unpack_from(raw)[3]
        found.append(raw[:size])
        raw = raw[size:]
    return found
