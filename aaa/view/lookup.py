"""View: what a worker asks. A mapped base under a small overlay, following the derived database by sequence."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa

from aaa.errors import ViewFileNotUsable, ViewIsForeign, ViewNotBuilt, ViewNotThere
from aaa.view import overlay
from aaa.view.base import Base, write_base
from aaa.view.models import (
    is_built,
    newest,
    records_of,
    state,
    states,
    view_change,
    view_position,
    view_record,
)
from core import clock
from core.db import Database, upsert
from core.ids import new_id

BATCH = 2000
"""So many changes are followed at a time."""
_UNCHANGED = b"in the base"
"""Known by identity; no record looks like it."""
Listener = Callable[[bytes, bytes | None], None]


class View:
    """Records by key. `follow` is called by one thread; `lookup` by any.

    `fingerprint` names the view key that opens its secrets; "" follows whatever there is (tools).
    """

    def __init__(
        self, base: Base | None, changes: list[overlay.Change] | None = None, fingerprint: str = ""
    ) -> None:
        self.fingerprint = fingerprint
        self.boot = new_id("boot")
        self.twin = False
        """Whether another process acknowledges under our name, and whether it was there before us."""
        self.late = False
        self._spoke = False
        self._base = base
        self._over: dict[bytes, bytes | None] = {}
        self.seq = base.seq if base else 0
        self.generation = base.generation if base else ""
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        for change in changes or []:
            self._apply(change)

    @classmethod
    def load(cls, folder: Path, fingerprint: str = "") -> "View":
        """From a node's snapshot: base file and overlay log. Raises ViewNotThere without a usable base."""
        path = folder / "view.base"
        try:
            base = Base(path, prove=True)
        except (FileNotFoundError, ViewFileNotUsable) as error:
            raise ViewNotThere(str(path)) from error
        return cls(base, overlay.read(log_path(folder, base), base.seq), fingerprint)

    def lookup(self, key: bytes) -> bytes | None:
        """The record behind a key, or None."""
        changed = self._over.get(key, _UNCHANGED)
        if changed is not _UNCHANGED:
            return changed
        return self._base.get(key) if self._base else None

    def items(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Every (key, record) whose key begins with `prefix`; for NAS tables and tools, not for requests."""
        with self._lock:
            over = dict(self._over)
        for key, record in self._base.items() if self._base else ():
            if key.startswith(prefix) and key not in over:
                yield key, record
            elif key > prefix and not key.startswith(prefix):
                break  # they are sorted
        for key, changed in over.items():
            if changed is not None and key.startswith(prefix):
                yield key, changed

    def on_change(self, listener: Listener) -> None:
        """Call `listener(key, record|None)` for every followed change."""
        self._listeners.append(listener)

    @property
    def changed(self) -> int:
        """Records that changed since the base file was written."""
        return len(self._over)

    def follow(self, db: Database) -> list[overlay.Change]:
        """Take over what the derived database has beyond our sequence, and return it.

        A rebuilt database (another generation) is taken over whole. Raises what the database raises, and
        ViewIsForeign rather than taking over secrets that our view key does not open.
        """
        with db.read() as conn:
            generation, sealed = states(conn, "generation", "seal")
            self.check_seal(sealed)
            if generation != self.generation:
                # Half a view would lock people out: what we know answers until the build is done.
                return self._take_over(conn) if is_built(conn) else []
            rows = conn.execute(_changes_after(self.seq)).all()
            keys = {bytes(row.key) for row in rows}
            records = _records(conn, keys)
        changes = [(int(row.seq), bytes(row.key), records.get(bytes(row.key))) for row in rows]
        with self._lock:
            for change in changes:
                self._apply(change)
        return changes

    def check_seal(self, sealed: str | None) -> None:
        """Raise ViewIsForeign for a database whose secrets our view key does not open."""
        if self.fingerprint and sealed and sealed != self.fingerprint:
            raise ViewIsForeign(f"the database ({sealed})", self.fingerprint)

    def acknowledge(self, db: Database, worker: str) -> None:
        """Write this worker's position, for those who wait until every worker knows.

        A worker that still answers from another generation is at its beginning: sequences began anew.
        """
        with db.write() as conn:
            seq = self.seq if state(conn, "generation") == self.generation else -1
            there = conn.scalar(sa.select(view_position.c.boot).where(view_position.c.worker == worker))
            # Once we have spoken, only another living process writes over us.
            twin = self._spoke and there is not None and there != self.boot
            row = {"worker": worker, "seq": seq, "seen_at": clock.now(), "boot": self.boot, "twin": twin}
            upsert(conn, view_position, [row], key=["worker"])
        self.twin, self._spoke = twin, True
        self.late = twin and str(there) < self.boot

    def rebase(self, folder: Path) -> None:
        """Map the folder's newer base, if there is one, and forget what it already contains."""
        with contextlib.suppress(FileNotFoundError, ViewFileNotUsable):
            base = Base(folder / "view.base", prove=True)
            if self._wants(base):
                with self._lock:
                    self._base = base
                    self._over = {k: v for k, v in self._over.items() if base.get(k) != v}

    def adopt(self, base: Base) -> None:
        """Take a base of another generation in place of all that we have, without copying it into the overlay."""
        told = [key for prefix in (b"n:", b"r:") for key, _record in self.items(prefix)]
        with self._lock:
            self._base, self._over = base, {}
            self.generation, self.seq = base.generation, base.seq
        told += [key for prefix in (b"n:", b"r:") for key, _record in self.items(prefix)]
        for key in told:
            for listener in self._listeners:
                listener(key, base.get(key))

    def _wants(self, base: Base) -> bool:
        """Whether a base is of our generation, not ahead of us, and newer than the one that we have."""
        if base.generation != self.generation or base.seq > self.seq:
            return False
        have = self._base
        return have is None or have.generation != base.generation or have.seq < base.seq

    def _take_over(self, conn: sa.Connection) -> list[overlay.Change]:
        """Everything anew from the database, into the overlay: rare, and right whatever the base was."""
        seq = newest(conn)
        fresh = dict(_all(conn))
        old = [key for key, _record in self.items(b"") if key not in fresh]
        changes: list[overlay.Change] = [(seq, key, record) for key, record in fresh.items()]
        changes += [(seq, key, None) for key in old]
        with self._lock:
            self.generation = state(conn, "generation") or ""
            self.seq = seq
            for change in changes:
                self._apply(change)
        return changes

    def _apply(self, change: overlay.Change) -> None:
        seq, key, record = change
        self._over[key] = record
        self.seq = max(self.seq, seq)
        for listener in self._listeners:
            listener(key, record)


def damage(folder: Path) -> str:
    """Why a folder's snapshot cannot be used; "" where it can, or where there is none."""
    try:
        Base(folder / "view.base", prove=True).close()
    except FileNotFoundError:
        return ""
    except ViewFileNotUsable as error:
        return str(error)
    return ""


def log_path(folder: Path, base: Base) -> Path:
    """The overlay log that belongs to a base."""
    return folder / f"view.{base.generation or 'none'}.{base.seq}.log"


def snapshot(db: Database, folder: Path) -> int:
    """Write the derived database's records as the folder's base file; returns how many. Raises ViewNotBuilt."""
    with db.read() as conn:
        if not is_built(conn):
            raise ViewNotBuilt
        count = write_base(
            folder / "view.base", _all(conn), newest(conn), generation=state(conn, "generation") or ""
        )
    base = Base(folder / "view.base")
    for stale in folder.glob("view.*.log"):
        if stale != log_path(folder, base):
            stale.unlink(missing_ok=True)
    base.close()
    return count


def _changes_after(seq: int) -> sa.Select[tuple[int, bytes]]:
    columns = sa.select(view_change.c.seq, view_change.c.key)
    return columns.where(view_change.c.seq > seq).order_by(view_change.c.seq).limit(BATCH)


def _all(conn: sa.Connection) -> Iterator[tuple[bytes, bytes]]:
    """Every effective (key, record), sorted: of two owners the smaller."""
    rows = conn.execution_options(yield_per=5000).execute(
        sa.select(view_record.c.key, view_record.c.record).order_by(view_record.c.key, view_record.c.owner)
    )
    last = None
    for key, record in rows:
        if key != last:
            yield bytes(key), bytes(record)
        last = key


def _records(conn: sa.Connection, keys: set[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    wanted = sorted(keys)
    for start in range(0, len(wanted), 500):
        found |= records_of(conn, wanted[start : start + 500])
    return found
