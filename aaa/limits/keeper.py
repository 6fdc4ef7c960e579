"""LimitKeeper: what time and counters do to limits. One at a time in the whole installation, by lease."""

from datetime import datetime

from aaa.limits import crowd, schedule, store, vouchers
from aaa.limits.counting import ReaderFactory, count_once
from aaa.limits.limit import OVERRIDE, PREPAID
from core import clock, events, leases
from core.db import Database

LEASE = "aaa.limits"
_LEASED = 15.0
_SLOTS = 5.0
_SLOW = 20.0
_AT_ONCE = 300


class LimitKeeper:
    """Lifts what is over, turns schedules, counts usage. `run_once` is cheap when nothing is due."""

    def __init__(self, db: Database, reader_factory: ReaderFactory, owner: str) -> None:
        self._db, self._reader, self._owner = db, reader_factory, owner
        self._due: dict[str, float] = {}

    def run_once(self) -> int:
        """One pass; returns how much was done. Somebody else's turn is nothing to do."""
        if self._is_time("lease", _LEASED / 3) and not self._leased():
            self._due.pop("lease")
            return 0
        now = clock.now()
        done = self._lifted(now) + count_once(self._db, self._reader)
        if self._is_time("slots", _SLOTS):
            with self._reader() as reader:
                slots = schedule.open_slots(reader, now)
            done += schedule.turn(self._db, slots)
        if self._is_time("slow", _SLOW):
            done += self._slowly(now)
        return done

    def _leased(self) -> bool:
        try:
            with self._db.write() as conn:
                leases.take(conn, LEASE, self._owner, _LEASED)
        except leases.LeaseHeld:
            return False
        return True

    def _lifted(self, now: datetime) -> int:
        with self._db.read() as conn:
            if not store.is_due(conn, now):
                return 0
        with self._db.write() as conn:
            gone = store.expire(conn, now)
            for service, cause in gone:
                if cause == PREPAID:
                    events.emit(
                        conn, "quota.crossed", service, {"kind": PREPAID, "percent": 100}, actor="aaa"
                    )
                if cause == OVERRIDE:
                    events.emit(conn, "service.override-ended", service, {"by": "time"}, actor="aaa")
        return len(gone)

    def _slowly(self, now: datetime) -> int:
        """Vouchers that ran out, services that are full no longer, the old end of the feed. What is due is looked for
        without keeping anybody from writing.
        """
        done = 0
        with self._db.read() as conn:
            due, free = vouchers.is_due(conn, now), crowd.relievable(conn)
        if due:
            with self._db.write() as conn:
                done += vouchers.tidy(conn, now)
        for begin in range(0, len(free), _AT_ONCE):
            with self._db.write() as conn:
                done += crowd.relieve(conn, free[begin : begin + _AT_ONCE])
        with self._db.write() as conn:
            store.forget_changes(conn)
        return done

    def _is_time(self, what: str, every: float) -> bool:
        now = clock.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every
        return True
