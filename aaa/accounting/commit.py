"""Group commit: collect while the last commit runs, commit once, then answer. No answer without durability.

Order of refuge: the database; the local journal; silence (the NAS sends again).
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import NamedTuple

import psycopg
import sqlalchemy as sa
import structlog

from aaa.accounting.journal import Journal
from aaa.accounting.light import AnyRecord
from aaa.accounting.record import AccountingRecord
from aaa.accounting.store import close_some, commit, restarts, settle_crowds, write
from aaa.limits.noted import Noted
from core import clock, faults
from core.db import Database, DatabaseAway, DatabaseDamaged
from core.errors import first_line

BEFORE_COMMIT = faults.declare("accounting.before_commit")
IN_TRANSACTION = faults.declare("accounting.in_transaction")
AFTER_COMMIT = faults.declare("accounting.after_commit")
CLOSING = faults.declare("accounting.closing")
AFTER_REPLY = faults.declare("accounting.after_reply")

_BATCH = 1000
_LINGER = 0.01
_BUSY = 16
_LOOK = 0.25
_RETRY = 1.0
_RETRY_MOST = 8.0
_log = structlog.get_logger()

Reply = Callable[[bool], None]
"""Called once for a record: True when it is durable (answer it), False when it is not (forget it, stay silent)."""


class Submitted(NamedTuple):
    """Records that came together. `settle(numbers, durable)` is called with the numbers of those that are settled: all
    of them, or one after another.
    """

    records: Sequence[AnyRecord]
    settle: Callable[[Sequence[int], bool], None]


class GroupCommit(threading.Thread):
    """The thread that makes records durable. `submit` from any thread; `stop` finishes what is queued."""

    def __init__(self, db: Database, journal: Journal, name: str = "accounting") -> None:
        super().__init__(name=name, daemon=True)
        self._db = db
        self._journal = journal
        self._queue: SimpleQueue[Submitted | None] = SimpleQueue()
        self._away_until = 0.0
        self._pause = 0.0
        self._last = 0
        self._came = self._taken = 0
        self._counting = threading.Lock()
        self._ends = threading.Event()
        self._drainer = threading.Thread(target=self._keep_draining, name=f"{name} journal", daemon=True)
        self._new: SimpleQueue[Noted] = SimpleQueue()
        """What batches noted of services with a session more or less, since the last look for crowded ones."""

    def submit(self, record: AccountingRecord, reply: Reply) -> None:
        """Queue a record; `reply` is called from this thread."""
        self.submit_all(Submitted([record], lambda _numbers, durable: reply(durable)))

    def submit_all(self, some: Submitted) -> None:
        """Queue records that came together; they are settled from this thread."""
        with self._counting:
            self._came += len(some.records)
        self._queue.put(some)

    @property
    def waiting(self) -> int:
        """How many records wait for their commit."""
        return max(0, self._came - self._taken)

    def stop(self) -> None:
        """Commit what is queued and end."""
        self._queue.put(None)
        self.join(timeout=30)
        self._ends.set()
        self._drainer.join(timeout=30)
        self._journal.close()

    def run(self) -> None:
        """Until stopped: one batch after another. The journal is drained beside it: nobody waits for that."""
        self._drainer.start()
        going = True
        while going:
            batch, going = self._collect()
            with _going_on():
                if batch:
                    self.settle(batch)
                if not self._pause and not self._new.empty():
                    self._look_for_crowds()

    def settle(self, batch: Sequence[Submitted]) -> None:
        """Make a batch durable and answer it."""
        records = [record for some in batch for record in some.records]
        faults.point(BEFORE_COMMIT)
        try:
            durable = self._durable(records)
        except faults.FaultInjected:
            raise
        except Exception:  # a bug for one record must not end the thread that answers all others
            self._one_by_one(batch)
            return
        for some in batch:
            _answer(some, range(len(some.records)), durable)
        faults.point(AFTER_REPLY)

    def _keep_draining(self) -> None:
        while not self._ends.wait(_LOOK):
            with _going_on():
                if self._journal.waiting:
                    self.drain()

    def drain(self) -> int:
        """Bring the journal into the database, when that is there. Returns the number of records."""
        if clock.monotonic() < self._away_until:
            return 0
        try:
            drained = self._journal.drain(self._drained)
        except faults.FaultInjected:
            raise
        except Exception as error:
            if _is_the_databases(error):
                self._mark_away(error)
                return 0
            # An unreadable segment waits for a person; live records go on.
            _log.error("the accounting journal cannot be drained", error=first_line(error))
            self._away_until = clock.monotonic() + _RETRY_MOST
            return 0
        self._pause = 0.0
        if drained:
            _log.info("accounting journal drained", records=drained)
        return drained

    def _drained(self, records: Sequence[AccountingRecord]) -> None:
        """Apply a chunk of the journal; a record that the database refuses is set aside, the others go on."""
        try:
            self._finish(self._apply(records))
        except faults.FaultInjected:
            raise
        except Exception as error:
            if _is_the_databases(error):
                raise
            if len(records) > 1:
                for record in records:
                    self._drained([record])
                return
            _log.error(
                "a journalled record is refused and set aside", nas=records[0].nas, error=first_line(error)
            )
            self._journal.set_aside(records[0])

    def _look_for_crowds(self) -> None:
        """After the commit and after the answers: of two nodes that each began a session, the later sees both."""
        noted = Noted()
        while not self._new.empty():
            noted.join(self._new.get())
        try:
            with self._db.write() as conn:
                settle_crowds(conn, noted)
                commit(conn)
        except Exception as error:
            if _is_the_databases(error):
                self._new.put(noted)  # when the database is back
                self._mark_away(error)
                return
            _log.error("services with a session more could not be marked", error=first_line(error))

    def _collect(self) -> tuple[list[Submitted], bool]:
        try:
            item = self._queue.get(timeout=0.25)
        except Empty:
            return [], True
        if item is not None and len(item.records) < _BUSY <= self._last:
            time.sleep(_LINGER)  # under load a commit of many costs little more than one of a few
        batch: list[Submitted] = []
        count = 0
        while item is not None:
            batch.append(item)
            self._last = count = count + len(item.records)
            if count >= _BATCH:
                break
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
        self._taken += count
        return batch, item is not None

    def _durable(self, records: Sequence[AnyRecord]) -> bool:
        """While the database is known to be away, only draining asks it again: no NAS waits for its time-out."""
        if self._pause and self._journalled(records):
            return True
        return self._committed(records) or self._journalled(records)

    def _committed(self, records: Sequence[AnyRecord]) -> bool:
        try:
            left = self._apply(records)
            if left and not self._journalled(left):  # the drain does the rest, beside the live records
                self._finish(left)
        except Exception as error:
            if not _is_the_databases(error):
                raise
            self._mark_away(error)
            return False
        self._pause = 0.0
        faults.point(AFTER_COMMIT)
        return True

    def _apply(self, records: Sequence[AnyRecord]) -> list[AccountingRecord]:
        """Write the records; returns those that say that a NAS restarted of which more is to do."""
        noted = Noted()
        try:
            with self._db.write() as conn:
                noted = write(conn, records)
                faults.point(IN_TRANSACTION)
                commit(conn)
        finally:  # after a commit that may have been: done again, its sessions are not new any more
            if noted:
                self._new.put(noted)
        return [one for one in restarts(records) if self._close(one, "") is not None]

    def _finish(self, left: Iterable[AccountingRecord]) -> None:
        """Close what is left of the sessions of NASes that restarted."""
        for record in left:
            after: str | None = ""
            while after is not None:
                after = self._close(record, after)

    def _close(self, record: AccountingRecord, after: str) -> str | None:
        """Some of them, in a transaction of their own; where to go on."""
        with self._db.write() as conn:
            place = close_some(conn, record, after)
            commit(conn)
        faults.point(CLOSING)
        return place

    def _journalled(self, records: Sequence[AnyRecord]) -> bool:
        try:
            self._journal.append([record.whole() for record in records])
        except OSError as error:
            _log.error("accounting is not durable: no answers are sent", error=str(error))
            return False
        return True

    def _one_by_one(self, batch: Sequence[Submitted]) -> None:
        """One record that the database refuses must not silence the others."""
        for some in batch:
            for number, record in enumerate(some.records):
                try:
                    durable = self._durable([record])
                except Exception as error:
                    _log.error("an accounting record is refused", nas=record.nas, error=first_line(error))
                    durable = False
                _answer(some, [number], durable)

    def _mark_away(self, error: Exception) -> None:
        self._pause = min(max(_RETRY, self._pause * 2), _RETRY_MOST)
        self._away_until = clock.monotonic() + self._pause
        self._db.close()  # the next attempt is by a new connection: an old one may still be told "read-only"
        _log.warning("the database is away: accounting goes to the journal", error=first_line(error))


@contextmanager
def _going_on() -> Iterator[None]:
    """A mistake of ours costs what was at hand and a line in the log, never the thread: nobody replaces it."""
    try:
        yield
    except faults.FaultInjected:
        raise
    except Exception:
        _log.exception("accounting stumbled and goes on")


def _answer(some: Submitted, numbers: Sequence[int], durable: bool) -> None:
    """An answer that cannot be given costs its NAS a retransmission, and never the thread."""
    try:
        some.settle(numbers, durable)
    except Exception as error:
        nas = some.records[numbers[0]].nas
        _log.error("accounting could not be answered", nas=nas, error=first_line(error))


def _is_the_databases(error: Exception) -> bool:
    """Whether an error says something of the database and nothing of a record: it is away, read-only, full, without
    our tables or rights, or whatever else. Of a record are a value that fits no column, and what we stumble over.
    """
    if not isinstance(error, _OF_DATABASES) or type(error) is sa.exc.StatementError:
        return False  # such a one is ours: a value that no statement takes
    return not isinstance(getattr(error, "orig", error), _OF_RECORDS)


_OF_DATABASES = (DatabaseAway, DatabaseDamaged, sa.exc.SQLAlchemyError, psycopg.Error, sqlite3.Error)
_OF_RECORDS = (psycopg.DataError, psycopg.IntegrityError, sqlite3.DataError, sqlite3.IntegrityError)
"""SQLSTATE classes 22 and 23."""
