"""The node's snapshot on disk: a base file and the log of what changed since. One worker a node keeps it.

When the log has grown, a process of its own writes base and log together as the next base: the workers go on answering,
and no database is asked. A crash at any point leaves either the old pair or the new one.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import structlog

from aaa.errors import ViewFileNotUsable
from aaa.view import overlay
from aaa.view.base import Base
from aaa.view.compact import NEXT
from aaa.view.lookup import log_path, snapshot
from core.db import Database

_log = structlog.get_logger()
_COMPACT = 10_000


class Disk:
    """Keeps one folder. `compact_at`: so many changes in the log are worth a new base."""

    def __init__(self, folder: Path, compact_at: int = _COMPACT) -> None:
        self._folder, self._compact_at = folder, compact_at
        self._logged: int | None = None
        self._writer: subprocess.Popen[bytes] | None = None

    def rewrite(self, db: Database) -> int:
        """Everything anew from the database: for a view that was built again. Returns how many records."""
        self._stop_writer()
        count = snapshot(db, self._folder)
        self._logged = 0
        return count

    def keep(self, db: Database, changes: list[overlay.Change]) -> None:
        """Append followed changes to the log; without a usable base, write one."""
        base = base_of(self._folder)
        if base is None:
            _log.info("snapshot of the view written", records=self.rewrite(db))
            return
        with base:
            log = log_path(self._folder, base)
            if self._logged is None:  # we have just begun: what an earlier worker logged counts too
                self._logged = len(overlay.read(log, base.seq))
            overlay.append(log, changes)
        self._logged += len(changes)
        if self._logged >= self._compact_at and self._writer is None:
            self._writer = start_writer(self._folder)

    def settle(self) -> bool:
        """Put a finished next base in place of the old one; whether there was one."""
        if self._writer is None or self._writer.poll() is None:
            return False
        failed, self._writer = self._writer.returncode, None
        base, fresh = base_of(self._folder), base_of(self._folder, NEXT)
        if failed or base is None or fresh is None or fresh.generation != base.generation:
            _log.warning("the view was not compacted; it is tried again", status=failed)
            self._logged = 0
            return False
        with base, fresh:
            left = overlay.read(log_path(self._folder, base), fresh.seq)
            log_path(self._folder, fresh).unlink(missing_ok=True)
            overlay.append(log_path(self._folder, fresh), left)
            (self._folder / NEXT).replace(self._folder / "view.base")
            log_path(self._folder, base).unlink(missing_ok=True)
            _log.info("the view was compacted", records=fresh.count, seq=fresh.seq)
        self._logged = len(left)
        return True

    def close(self) -> None:
        """End a writer that still writes; its half file is nobody's."""
        self._stop_writer()

    def _stop_writer(self) -> None:
        if self._writer is not None:
            self._writer.kill()
            self._writer.wait()
            self._writer = None


def start_writer(folder: Path) -> subprocess.Popen[bytes]:
    """`python -m aaa.view.compact FOLDER`, with our own import path."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "aaa.view.compact", str(folder)]
    return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def base_of(folder: Path, name: str = "view.base") -> Base | None:
    """The mapped base file, or None without a usable one."""
    with suppress(FileNotFoundError, ViewFileNotUsable):
        return Base(folder / name)
    return None
