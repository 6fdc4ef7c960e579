"""One step of the index: from a commit to the next, in one transaction of the index."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import db as sql
from core import faults
from core.db import Database
from intents.config.schema import Config
from intents.guards import Totals
from intents.index import held, origin, position
from intents.index.apply import apply, set_quarantine
from intents.index.contents import Contents
from intents.index.models import quarantine
from intents.index.reader import IndexReader
from intents.index.trial import Bad, Candidate, Good, trial
from intents.kinds import is_foreign
from intents.models import index_position
from intents.overlay import NOTHING
from intents.reader import Reader
from intents.repository import Repository
from intents.treediff import Delta

CLEAN = "clean"
HOLDS = "holds/"
"""Nothing refers to holds: they mend nobody, so a release is never slowed down by what is in quarantine."""
BEFORE_APPLY = faults.declare("indexer.before_apply")
AFTER_CLEAN = faults.declare("indexer.after_clean")
AFTER_APPLY = faults.declare("indexer.after_apply")


class Step:
    """Takes the index from commit to commit."""

    def __init__(self, db: Database, repo: Repository, index_db: Database) -> None:
        self._db, self._repo, self._index_db = db, repo, index_db

    def walk(self, base: str | None, target: str) -> None:
        """Take every commit on the first-parent line after `base`."""
        for commit in self._repo.first_parents(base, target):
            self.take(base, commit)
            base = commit

    def take(self, base: str | None, commit: str, *, gated: bool = True) -> None:
        """Apply the difference from `base` to `commit`, and what was outside and is well now."""
        fresh = [_candidate(delta, commit) for delta in self._repo.diff(base, commit)]
        fresh = [one for one in fresh if not is_foreign(one.path)]
        with self._index_db.read() as conn:
            outside = _outside(conn)
            reader = IndexReader(conn)
            parked = self._gate(reader, commit, fresh) if gated and base is not None else []
            self._try(reader, base, commit, fresh, parked, outside)

    def take_clean(self, commit: str) -> bool:
        """Fill the empty index with a whole tree; False, and nothing written, when anything in it is bad."""
        whole = self._repo.diff(None, commit)
        candidates = [_candidate(delta, commit) for delta in whole if not is_foreign(delta.path)]
        del whole
        outcome = trial(NOTHING, candidates, Contents(self._repo))
        if outcome.bad:
            return False
        self._write(None, commit, outcome.good, [], set())
        return True

    def revisit(self, commit: str) -> None:
        """Apply what people have released since; nothing to do when nothing waits for them."""
        with self._index_db.read() as conn:
            outside = _outside(conn)
            waiting = {bad.candidate.commit for bad, why in outside if why == "guard"}
            if not waiting or not self._released(sorted(waiting)):
                return
            self._try(IndexReader(conn), commit, commit, [], [], outside)

    def _try(
        self,
        reader: Reader,
        base: str | None,
        commit: str,
        fresh: Sequence[Candidate],
        parked: Sequence[Bad],
        outside: Sequence[tuple[Bad, str]],
    ) -> None:
        """Separate good from bad and write both down."""
        gated = {bad.candidate.path for bad in parked}
        touched = {one.path for one in fresh}
        released = self._released([bad.candidate.commit for bad, why in outside if why == "guard"])
        hopeful = bool(released) or any(not one.path.startswith(HOLDS) for one in fresh)
        again = [
            bad.candidate
            for bad, why in outside
            if bad.candidate.path not in touched
            and ((why == "problem" and hopeful) or bad.candidate.commit in released)
        ]
        candidates = [one for one in fresh if one.path not in gated] + again
        outcome = trial(reader, candidates, Contents(self._repo))
        bad = [(one, "problem") for one in outcome.bad] + [(one, "guard") for one in parked]
        gone = touched | {one.path for one in again}
        if base is not None and bad and not outside:
            self._remember_clean(base)
        self._write(base, commit, outcome.good, bad, gone if outside or bad else set())

    def _write(
        self,
        base: str | None,
        commit: str,
        good: Sequence[Good],
        bad: Sequence[tuple[Bad, str]],
        gone: Iterable[str],
    ) -> None:
        faults.point(BEFORE_APPLY)
        with self._index_db.write() as conn:
            position.advance(conn, base, commit)  # first: its row lock keeps another indexer out
            apply(conn, commit, good)
            if bad or gone:
                set_quarantine(conn, gone, bad)
        faults.point(AFTER_APPLY)

    def _gate(self, reader: IndexReader, commit: str, fresh: Sequence[Candidate]) -> list[Bad]:
        """The paths that a guard keeps out, when a person's commit trips one and nobody said yes."""
        config: Config | None = reader.get("config", "trunkline")
        with self._db.read() as conn:
            ours = origin.set_of(conn, commit) is not None
        if ours or config is None:
            return []
        totals = Totals(services=reader.count("service"), devices=reader.count("device"))
        tripped = held.judge(config.guards, totals, fresh)
        if tripped is None:
            return []
        kept = [one for one in fresh if not held.is_release(one)]
        with self._db.write() as conn:
            state = held.hold(conn, commit, tripped, kept, origin.actor_of(conn, self._repo, commit))
        return [] if state == "released" else [held.as_bad(one, tripped) for one in kept]

    def _released(self, commits: Sequence[str]) -> set[str]:
        if not commits:
            return set()
        with self._db.read() as conn:
            found = held.states(conn, sorted(set(commits)))
        return {commit for commit, state in found.items() if state == "released"}

    def _remember_clean(self, commit: str) -> None:
        """Where a cold build may start when the head has something outside."""
        with self._db.write() as conn:
            sql.upsert(conn, index_position, [{"name": CLEAN, "commit_id": commit}], ["name"])
        faults.point(AFTER_CLEAN)


def _candidate(delta: Delta, commit: str) -> Candidate:
    return Candidate(delta.path, delta.new, delta.mode, commit)


def _outside(conn: Connection) -> list[tuple[Bad, str]]:
    """What is in quarantine: (bad, why)."""
    rows = conn.execute(sa.select(quarantine).order_by(quarantine.c.path))
    return [(Bad(Candidate(row.path, row.blob, row.mode, row.commit_id), ()), row.why) for row in rows]
