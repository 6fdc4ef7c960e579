"""The local journal: where acknowledged records wait while the database is away.

Segments `<folder>/<name>.journal` of checksummed frames. A record counts once its segment is synced; a torn tail was
never acknowledged. A drained segment is deleted only after the database committed it; draining twice is harmless.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from aaa.accounting.record import AccountingRecord
from aaa.view.overlay import frame, frames
from core import faults
from core.disk import Segment, sync_folder
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
        self._segment: Segment | None = None
        self._turn = threading.Lock()  # a drain ends the segment that an append writes to
        self._decoder = msgspec.msgpack.Decoder(AccountingRecord)

    def append(self, records: Sequence[AccountingRecord]) -> None:
        """Write and sync the records."""
        with self._turn:
            self._append(records)

    def _append(self, records: Sequence[AccountingRecord]) -> None:
        segment = self._open()
        try:
            segment.append(
                b"".join(frame(msgspec.msgpack.encode(record)) for record in records),
                before_sync=partial(faults.point, BEFORE_SYNC),
            )
        finally:
            if not segment.usable:
                self._segment = None
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
            if self._segment is not None:
                self._segment.close()
                self._segment = None

    def _drain_one(self, raw: bytes, apply: Callable[[Sequence[AccountingRecord]], None]) -> int:
        records = [self._decoder.decode(payload) for payload in frames(raw)]
        for start in range(0, len(records), _CHUNK):
            apply(records[start : start + _CHUNK])
            faults.point(DURING_DRAIN)
        return len(records)

    def _open(self) -> Segment:
        if self._segment is None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._folder / f"{new_id('acct')}.journal"
            # Locked before it has its name: a drain that came in between would delete the empty segment that we are
            # about to acknowledge records from.
            begun = path.with_suffix(".begun")
            file = begun.open("xb", buffering=0)
            segment = Segment(path, file)
            try:
                os.chmod(begun, 0o600)
                fcntl.flock(file, fcntl.LOCK_EX)
                begun.rename(path)
                sync_folder(self._folder)
            except OSError:
                segment.abandon()
                begun.unlink(missing_ok=True)
                raise
            self._segment = segment
        return self._segment
