"""The indexer follows trunk by its first parents and keeps the index at it, whatever arrives.

Bad documents stay outside (quarantine) and everything else goes on; only a bad `trunkline.yaml`, a missing data
key or a rewritten history stop it.
"""

from collections.abc import Sequence

from core import events, faults, logs
from core.db import Database
from core.settings import Settings
from intents.index import cold, hold_events, layout, position, stopping
from intents.index.position import IndexChange, IndexMovedOn
from intents.index.step import Step
from intents.repository import Repository

PIN = "refs/trunkline/indexed"
AFTER_PIN = faults.declare("indexer.after_pin")
_log = logs.get("indexer")


class Indexer:
    """`run_once` brings the index to trunk and returns what changed in it."""

    def __init__(self, settings: Settings, db: Database, repo: Repository, index_db: Database) -> None:
        self._settings, self._db, self._repo, self._index_db = settings, db, repo, index_db
        self._step = Step(db, repo, index_db)
        layout.prepare(index_db)

    def run_once(self) -> list[IndexChange]:
        """Apply every commit that trunk has and the index has not; stops where it must not go on."""
        head = self._repo.head()
        before = self._where()
        if head is None:
            return []
        with self._index_db.read() as conn:
            since = position.last_seq(conn)
        try:
            self._follow(before.commit, head)
        except IndexMovedOn as error:
            _log.info("another indexer was here", why=str(error))
        return self._since(since)

    def is_stopped(self) -> bool:
        """Whether the index does not follow trunk now."""
        return self._where().status == "stopped"

    def accept_history(self, actor: str) -> str | None:
        """Go on from a rewritten history: one step with the whole difference. Returns the commit, or None."""
        head, base = self._repo.head(), self._where().commit
        if head is None or base is None or self._repo.is_ancestor(base, head):
            return None
        self._repo.set_ref(f"refs/trunkline/abandoned/{base}", base)
        self._step.take(base, head, gated=False)
        self._settle(head)
        with self._db.write() as conn:
            told = {"from": base, "to": head}
            events.emit(conn, "index.accepted", head, told, actor=actor, revision=head)
        return head

    def _follow(self, base: str | None, head: str) -> None:
        found = stopping.reason(self._settings, self._repo, base or self._repo.ref(PIN), head)
        target = head if found is None else stopping.last_good(self._repo, found, base, head)
        if target is not None:
            self._go(base, target)
        if found is not None:
            self._stop(found, head)

    def _go(self, base: str | None, target: str) -> None:
        if base is None:
            cold.build(self._step, self._db, self._repo, target)
        elif base == target:
            self._step.revisit(base)
            self._resume()
        else:
            self._step.walk(base, target)
        self._settle(target)

    def _settle(self, commit: str) -> None:
        if self._repo.ref(PIN) != commit:
            self._repo.set_ref(PIN, commit)
        faults.point(AFTER_PIN)
        hold_events.tell(self._db, self._repo, commit)

    def _stop(self, found: stopping.Reason, head: str) -> None:
        if self._where().reason == found.code:
            return
        with (
            self._db.write() as conn
        ):  # first: who dies in between stops again, and the unique key tells it once
            told = {"reason": found.code, "why": found.why, "head": head}
            unique = f"stopped:{found.code}:{head}"
            events.emit(conn, "index.stopped", head, told, actor="indexer", revision=head, unique=unique)
        with self._index_db.write() as conn:
            position.stop(conn, found.code, found.why)

    def _resume(self) -> None:
        if self.is_stopped():
            with self._index_db.write() as conn:
                position.resume(conn)

    def _where(self) -> position.Position:
        with self._index_db.read() as conn:
            return position.position(conn)

    def _since(self, seq: int) -> list[IndexChange]:
        found: list[IndexChange] = []
        with self._index_db.read() as conn:
            while some := position.changes_after(conn, found[-1].seq if found else seq):
                found += some
        return found


def stopped_reason(index_db: Database) -> Sequence[str] | None:
    """(code, why) when the index has stopped; for `status`."""
    with index_db.read() as conn:
        where = position.position(conn)
    return (where.reason or "", where.why or "") if where.status == "stopped" else None
