"""The local journal: where acknowledged records wait while the database is away.

Segments `<folder>/<name>.journal` of checksummed frames. A record counts once its segment is synced; a torn tail was
never acknowledged. A drained segment is deleted only after the database committed it; draining twice is harmless.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path

import msgspec

from aaa.accounting.record import AccountingRecord
from aaa.view.overlay import frame, frames
from core import faults
from core.disk import sync_folder, write_whole
from core.ids import new_id

BEFORE_SYNC = faults.declare("accounting.before_journal_sync")
AFTER_SYNC = faults.declare("accounting.after_journal_sync")
DRAINED = faults.declare("accounting.drained_before_unlink")
DURING_DRAIN = faults.declare("accounting.during_drain")

_CHUNK = 500


class Journal:
    """One writer's journal. `append` is durable when it returns; raises OSError when the disk does not take it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: FileIO | None = None
        self._path: Path | None = None
        self._length = 0
        """So many octets of the segment are synced."""
        self._turn = threading.Lock()  # a drain ends the segment that an append writes to
        self._decoder = msgspec.msgpack.Decoder(AccountingRecord)

    def append(self, records: Sequence[AccountingRecord]) -> None:
        """Write and sync the records."""
        with self._turn:
            self._append(records)

    def _append(self, records: Sequence[AccountingRecord]) -> None:
        file = self._open()
        try:
            write_whole(file, b"".join(frame(msgspec.msgpack.encode(record)) for record in records))
        except OSError:
            self._take_back(file)
            raise
        faults.point(BEFORE_SYNC)
        try:
            os.fdatasync(file.fileno())
        except OSError:
            self._abandon()
            raise
        self._length = file.tell()
        faults.point(AFTER_SYNC)

    def set_aside(self, record: AccountingRecord) -> None:
        """Keep a record that the database never takes, for a person to look at."""
        path = self._folder / "refused.log"
        path.touch(mode=0o600)
        with path.open("ab") as file:
            file.write(frame(msgspec.msgpack.encode(record)))
            file.flush()
            os.fdatasync(file.fileno())  # its segment is deleted next

    @property
    def waiting(self) -> bool:
        """Whether there is anything to drain, ours or left by a writer that died."""
        return any(self._folder.glob("*.journal"))

    @property
    def segments(self) -> int:
        """How many segments wait on this node."""
        return len(list(self._folder.glob("*.journal")))

    def drain(self, apply: Callable[[Sequence[AccountingRecord]], None]) -> int:
        """Give every segment that nobody writes to `apply`, in order, and delete it; returns the records' number."""
        self.close()
        drained = 0
        for path in sorted(self._folder.glob("*.journal")):
            try:
                with path.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    drained += self._drain_one(file.read(), apply)
                    faults.point(DRAINED)
                    path.unlink()
            except (BlockingIOError, FileNotFoundError):
                continue  # another worker's live segment, or one that it has just drained
        return drained

    def close(self) -> None:
        """End the current segment; the next append begins another."""
        with self._turn:
            if self._file is not None:
                self._file.close()
                self._file = self._path = None

    def _drain_one(self, raw: bytes, apply: Callable[[Sequence[AccountingRecord]], None]) -> int:
        records = [self._decoder.decode(payload) for payload in frames(raw)]
        for start in range(0, len(records), _CHUNK):
            apply(records[start : start + _CHUNK])
            faults.point(DURING_DRAIN)
        return len(records)

    def _open(self) -> FileIO:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._folder / f"{new_id('acct')}.journal"
            # Locked before it has its name: a drain that came in between would delete the empty segment that we are
            # about to acknowledge records from.
            begun = path.with_suffix(".begun")
            file = begun.open("xb", buffering=0)
            self._file, self._path, self._length = file, path, 0
            try:
                os.chmod(begun, 0o600)
                fcntl.flock(file, fcntl.LOCK_EX)
                begun.rename(path)
                sync_folder(self._folder)
            except OSError:
                self._abandon()
                begun.unlink(missing_ok=True)
                raise
        return self._file

    def _take_back(self, file: FileIO) -> None:
        """The disk is full: a torn frame goes, so that the segment can be gone on with when there is room again."""
        try:
            file.truncate(self._length)
            file.seek(self._length)
        except OSError:
            self._abandon()

    def _abandon(self) -> None:
        """A torn segment keeps its whole frames, and nothing may follow the torn one; an empty one goes."""
        file, path, self._file, self._path = self._file, self._path, None, None
        with suppress(OSError):  # the disk is away; what it holds is whole frames up to the tear
            if file is not None:
                file.close()
            if path is not None and not self._length:
                path.unlink(missing_ok=True)
