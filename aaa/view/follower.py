"""The thread that keeps a worker's view at the newest sequence, and (one a node) the snapshot on disk."""

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from aaa.view.derived import follow_derived
from aaa.view.disk import Disk, base_of
from aaa.view.lookup import BATCH, View
from aaa.view.models import states
from aaa.view.probe import Probe
from aaa.view.written import Written
from core import clock
from core.db import Database, DatabaseAway
from core.errors import first_line
from core.settings import Settings

_log = structlog.get_logger()
_HEARTBEAT = 2.0
_REBASE = 2.0
_PATIENCE = 60.0
"""Seconds that a worker leaves the keeper for writing the base of a view that was built again."""
_FOLLOWED = "view.followed"


class Follower(threading.Thread):
    """Follow, acknowledge, and as `keeper` append every change to the overlay log and compact it now and then."""

    def __init__(
        self, settings: Settings, view: View, worker: str, stop: threading.Event, keeper: bool
    ) -> None:
        super().__init__(name="follow-view", daemon=True)
        self._settings, self._view, self._worker = settings, view, worker
        self._stop_event = stop
        self._folder = settings.home / "radius" / "view"
        self._disk = Disk(self._folder) if keeper else None
        self._following = True
        self._said = self._looked = -1000.0
        self._position = -1
        self._twin = False
        self._mapped = _identity(self._folder)
        self._other_since = 0.0
        self._reached = clock.monotonic()

    @property
    def silent(self) -> float:
        """Seconds since the derived database was last reached."""
        return clock.monotonic() - self._reached

    def run(self) -> None:
        """Until stopped; a database that is away is tried again without end."""
        db: Database | None = None
        probe: Probe | None = None
        written = Written(self._settings.index_url, self._stop_event)
        while not self._stop_event.is_set():
            try:
                db = db or follow_derived(self._settings)
                probe = probe or Probe(db)
                self.turn(db, probe)
                self._following, self._reached = True, clock.monotonic()
            except Exception as error:
                self._lost(error)
                _close(probe)
                probe = None
                self._stop_event.wait(0.5)
            written.wait(probe is not None and probe.saw)
        written.close()
        _close(probe)
        if self._disk is not None:
            self._disk.close()
        if db is not None:
            db.close()

    def turn(self, db: Database, probe: Probe) -> None:
        """One look: nothing moved and nothing is due costs next to nothing."""
        now = clock.monotonic()
        due, moved = now - self._said > _HEARTBEAT, probe.moved() or self._view.seq != self._position
        if moved or (due and probe.generation != self._view.generation):
            while self._step(db, probe.generation, due) >= BATCH:
                pass
        elif due:
            self._acknowledge(db)
        if now - self._looked > _REBASE:
            self._looked = now
            self._rebase()

    def _lost(self, error: Exception) -> None:
        """Say it once: what is known keeps answering, and everything is caught up later."""
        if self._following:
            _log.warning("the view is not followed", worker=self._worker, error=first_line(error))
        self._following = False

    def _step(self, db: Database, generation: str | None, due: bool) -> int:
        """Follow one batch; returns how many changes it had."""
        if not self._same_generation(db, generation):
            return 0
        before = self._view.generation
        changes = self._view.follow(db)
        if self._view.seq != self._position or due:
            self._acknowledge(db)
        if self._disk is not None and before != self._view.generation:
            self._disk.rewrite(db)
        elif self._disk is not None and changes:
            self._disk.keep(db, changes)
        return len(changes)

    def _acknowledge(self, db: Database) -> None:
        """A busy indexer makes us say it later; it never keeps us from following."""
        with suppress(DatabaseAway):
            self._view.acknowledge(db, self._worker)
            self._position, self._said = self._view.seq, clock.monotonic()
            self._tell_twin()
            if self._disk is not None:
                touch_followed(self._folder)

    def _tell_twin(self) -> None:
        """Say once that a name is taken twice: positions and leased addresses are by name."""
        if self._view.twin and not self._twin:
            _log.error(
                "another worker of this name is alive: give each node its own `node`", worker=self._worker
            )
        self._twin = self._view.twin

    def _same_generation(self, db: Database, generation: str | None) -> bool:
        """A view that was built again comes as a new base file, which the keeper writes and everybody maps: each
        worker holding all of it would be gigabytes. False: not yet. Who has nothing to answer from does not wait.
        """
        if generation in (None, self._view.generation):
            self._other_since = 0.0
            return True
        with db.read() as conn:
            (sealed,) = states(conn, "seal")
        self._view.check_seal(sealed)
        if self._disk is not None:
            _log.info("the view was built again: snapshot written", records=self._disk.rewrite(db))
        base = base_of(self._folder)
        if base is not None and base.generation == generation:
            self._view.adopt(base)
            self._mapped = _identity(self._folder)
            return True
        now = clock.monotonic()
        self._other_since = self._other_since or now
        return not self._view.generation or now - self._other_since > _PATIENCE

    def _rebase(self) -> None:
        """Map a base that was written since: what it contains leaves our own memory."""
        if self._disk is not None:
            self._disk.settle()
        there = _identity(self._folder)
        if there != self._mapped:
            self._mapped = there
            self._view.rebase(self._folder)


def touch_followed(folder: Path) -> None:
    """Remember beside the snapshot when the database was last followed."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / _FOLLOWED).touch(mode=0o600)


def followed_at(folder: Path) -> datetime | None:
    """When this node last followed the database; None when it never did."""
    try:
        return datetime.fromtimestamp((folder / _FOLLOWED).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None


def _identity(folder: Path) -> tuple[int, int]:
    """Which base file is there: another one has another inode or time."""
    try:
        found = os.stat(folder / "view.base")
    except FileNotFoundError:
        return (0, 0)
    return (found.st_ino, found.st_mtime_ns)


def _close(probe: Probe | None) -> None:
    if probe is not None:
        with suppress(Exception):  # its connection may be what broke
            probe.close()
