"""The thread that keeps a worker's view at the newest sequence, and (one a node) the snapshot on disk."""

import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from aaa.errors import ViewFileNotUsable
from aaa.view import overlay
from aaa.view.base import Base
from aaa.view.derived import follow_derived
from aaa.view.lookup import View, log_path, snapshot
from core import clock
from core.db import Database, DatabaseAway
from core.settings import Settings

_log = structlog.get_logger()
_PAUSE = 0.05
_HEARTBEAT = 2.0
_REBASE = 30.0
_COMPACT = 20_000
_FOLLOWED = "view.followed"


class Follower(threading.Thread):
    """Follow, acknowledge, and as `keeper` append every change to the overlay log and compact it now and then."""

    def __init__(
        self, settings: Settings, view: View, worker: str, stop: threading.Event, keeper: bool
    ) -> None:
        super().__init__(name="follow-view", daemon=True)
        self._settings, self._view, self._worker = settings, view, worker
        self._stop_event, self._keeper = stop, keeper
        self._folder = settings.home / "radius" / "view"
        self._logged = 0
        self._following = True
        self._said = self._looked = -1000.0
        self._position = -1
        self._twin = False
        self._reached = clock.monotonic()

    @property
    def silent(self) -> float:
        """Seconds since the derived database was last reached."""
        return clock.monotonic() - self._reached

    def run(self) -> None:
        """Until stopped; a database that is away is tried again without end."""
        db = None
        while not self._stop_event.wait(_PAUSE):
            try:
                db = db or follow_derived(self._settings)
                self._step(db)
                self._following, self._reached = True, clock.monotonic()
            except Exception as error:
                self._lost(error)
                self._stop_event.wait(0.5)
        if db is not None:
            db.close()

    def _lost(self, error: Exception) -> None:
        """Say it once: what is known keeps answering, and everything is caught up later."""
        if self._following:
            _log.warning("the view is not followed", worker=self._worker, error=str(error).splitlines()[0])
        self._following = False

    def _step(self, db: Database) -> None:
        before = self._view.generation
        changes = self._view.follow(db)
        now = clock.monotonic()
        if self._view.seq != self._position or now - self._said > _HEARTBEAT:
            # A busy indexer makes us say it later; it never keeps us from following.
            with suppress(DatabaseAway):
                self._view.acknowledge(db, self._worker)
                self._position, self._said = self._view.seq, now
                self._tell_twin()
                if self._keeper:
                    touch_followed(self._folder)
        if self._keeper and (changes or before != self._view.generation):
            self._keep(db, changes, whole=before != self._view.generation)
        if now - self._looked > _REBASE:
            self._looked = now
            self._view.rebase(self._folder)

    def _tell_twin(self) -> None:
        """Say once that a name is taken twice: positions and leased addresses are by name."""
        if self._view.twin and not self._twin:
            _log.error(
                "another worker of this name is alive: give each node its own `node`", worker=self._worker
            )
        self._twin = self._view.twin

    def _keep(self, db: Database, changes: list[overlay.Change], whole: bool) -> None:
        """Make the snapshot say what the worker knows."""
        self._logged += len(changes)
        base = _base(self._folder)
        if base is None or whole or self._logged > max(_COMPACT, base.count // 10):
            count = snapshot(db, self._folder)
            self._logged = 0
            self._view.rebase(self._folder)
            _log.info("snapshot of the view written", records=count, seq=self._view.seq)
        else:
            overlay.append(log_path(self._folder, base), changes)
        if base is not None:
            base.close()


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


def _base(folder: Path) -> Base | None:
    with suppress(FileNotFoundError, ViewFileNotUsable):
        return Base(folder / "view.base")
    return None
