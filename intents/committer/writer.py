"""The committer: fold -> check -> guard -> build -> record -> publish -> mark, one group at a time."""

from collections.abc import Sequence

from core import faults, leases, logs
from core.db import Database
from core.settings import Settings
from intents.committer import lease, pending, record
from intents.committer.build import build
from intents.committer.decide import Ground, Verdict, decide
from intents.committer.recover import HELD, STAGING, recover
from intents.committer.tip import Tip
from intents.guards import Totals
from intents.index.indexer import Indexer
from intents.index.reader import open_reader
from intents.repository import RefMoved, Repository
from intents.states import State

TRIES = 5
_log = logs.get("committer")

AFTER_HOLD = faults.declare("committer.after_hold")
AFTER_BUILD = faults.declare("committer.after_build")
AFTER_RECORD = faults.declare("committer.after_record")
AFTER_UPDATE_REF = faults.declare("committer.after_update_ref")
AFTER_MARK = faults.declare("committer.after_mark")


class Committer:
    """The only writer of trunk. `run_once` writes one group of change sets and says how many it dealt with."""

    def __init__(self, settings: Settings, db: Database, repo: Repository, index_db: Database) -> None:
        self._settings, self._db, self._repo, self._index_db = settings, db, repo, index_db
        self._indexer = Indexer(settings, db, repo, index_db)
        self._recovered = False

    def run_once(self) -> int:
        """Deal with the next group; 0 when nothing is queued or somebody else is the writer."""
        if self._recovered and not self._is_asked():
            return 0
        try:
            with lease.file_lock(self._repo.path):
                epoch = lease.take(self._db, self._settings.node)
                self._recover(epoch)
                return self._write_group(epoch)
        except (lease.WriterElsewhere, leases.LeaseHeld) as error:
            _log.info("not the writer", why=str(error))
            return 0

    def run_until_idle(self, rounds: int = 1000) -> int:
        """Deal with everything that is queued now; returns how many sets."""
        total = 0
        for _ in range(rounds):
            dealt = self.run_once()
            total += dealt
            if not dealt:
                break
        return total

    def _is_asked(self) -> bool:
        with self._db.read() as conn:
            return pending.is_anything_queued(conn)

    def _recover(self, epoch: int) -> None:
        if not self._recovered:
            with self._db.write() as conn:
                lease.require(conn, self._settings.node, epoch)
            recover(self._db, self._repo)
            self._recovered = True

    def _write_group(self, epoch: int) -> int:
        self._recovered = False  # until this group's end is written down
        for _ in range(TRIES):
            parent = self._repo.head()
            if parent is None:
                break
            self._indexer.run_once()
            if self._indexer.is_stopped():
                break  # what nobody can follow nobody may build on; the queue waits
            verdicts = self._decide(parent)
            if verdicts is None:
                continue
            if self._write(epoch, parent, verdicts):
                self._recovered = True
                return len(verdicts)
        return 0

    def _decide(self, parent: str) -> list[Verdict] | None:
        """None when the index does not stand at the parent: it has stopped, or trunk moved on."""
        with open_reader(self._index_db) as reader, self._db.read() as conn:
            if reader.revision != parent:
                return None
            totals = Totals(services=reader.count("service"), devices=reader.count("device"))
            return decide(Ground(conn, totals, Tip(self._repo, parent, reader)), pending.queued(conn))

    def _write(self, epoch: int, parent: str, verdicts: Sequence[Verdict]) -> bool:
        """Build, record, publish, mark. False when trunk moved meanwhile: decide again."""
        landing = [one for one in verdicts if one.state is State.BATCHED]
        batch = record.new_batch()
        held = self._hold(parent, verdicts)
        commits = self._build(batch, parent, landing)
        self._record(epoch, batch, parent, verdicts, held | commits)
        if not commits:
            return True
        try:
            self._repo.update_ref(self._repo.trunk_ref, list(commits.values())[-1], parent)
        except RefMoved as error:
            _log.info("trunk moved", why=str(error))
            self._mark(epoch, batch, landed=False)
            return False
        faults.point(AFTER_UPDATE_REF)
        self._mark(epoch, batch, landed=True)
        self._unpin(landing)
        return True

    def _unpin(self, landed: Sequence[Verdict]) -> None:
        for one in landed:
            if one.pending.released_by is not None:
                self._repo.delete_ref(HELD + one.pending.set_id)

    def _hold(self, parent: str, verdicts: Sequence[Verdict]) -> dict[str, str]:
        """Pin the would-be commit of every parked set."""
        found: dict[str, str] = {}
        for one in verdicts:
            if one.state is State.PARKED and one.landing:
                set_id = one.pending.set_id
                found[set_id] = build(self._repo, HELD + set_id, parent, [one.landing])[0]
                faults.point(AFTER_HOLD)
        return found

    def _build(self, batch: str, parent: str, landing: Sequence[Verdict]) -> dict[str, str]:
        landings = [one.landing for one in landing if one.landing]
        if not landings:
            return {}
        commits = build(self._repo, STAGING + batch, parent, landings)
        faults.point(AFTER_BUILD)
        return dict(zip([one.set_id for one in landings], commits, strict=True))

    def _record(
        self, epoch: int, batch: str, parent: str, verdicts: Sequence[Verdict], commits: dict[str, str]
    ) -> None:
        batched = [one.pending.set_id for one in verdicts if one.state is State.BATCHED]
        with self._db.write() as conn:
            lease.require(conn, self._settings.node, epoch)
            for one in verdicts:
                record.settle(conn, one, commits.get(one.pending.set_id))
            if batched:
                record.open_batch(conn, batch, parent, commits[batched[-1]], batched)
        faults.point(AFTER_RECORD)

    def _mark(self, epoch: int, batch: str, *, landed: bool) -> None:
        with self._db.write() as conn:
            lease.require(conn, self._settings.node, epoch)
            (record.land_batch if landed else record.abandon_batch)(conn, batch)
        self._repo.delete_ref(STAGING + batch)
        faults.point(AFTER_MARK)
