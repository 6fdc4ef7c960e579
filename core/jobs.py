"""Jobs: rows committed with the business change, performed at least once by whoever can.

A room registers its handler with `@handles("kind")`; a lower room may enqueue what an upper room performs.
A handler gets `(db, Job)` and opens its own transactions; it must be idempotent.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, events, logs
from core.db import Database, lock_row
from core.errors import Terminal
from core.models import job

MAX_ATTEMPTS = 12
_LEASE = timedelta(seconds=60)
_HANDLERS: dict[str, "Handler"] = {}


class Job(msgspec.Struct, frozen=True):
    """One claimed job."""

    job_id: int
    kind: str
    payload: dict[str, Any]
    attempts: int
    correlation: str | None = None


Handler = Callable[[Database, Job], None]


def handles(kind: str) -> Callable[[Handler], Handler]:
    """Register the decorated function as the handler of a kind of job."""

    def register(handler: Handler) -> Handler:
        _HANDLERS[kind] = handler
        return handler

    return register


def enqueue(
    conn: Connection,
    kind: str,
    payload: dict[str, Any],
    unique: str | None = None,
    run_at: datetime | None = None,
    correlation: str | None = None,
) -> bool:
    """Add a job in the caller's transaction. With `unique`, a job of that key that still waits stands for this one.

    Returns whether a row was added.
    """
    if unique is not None and _exists(conn, unique):
        return False
    moment = clock.now()
    conn.execute(
        sa.insert(job).values(
            kind=kind, payload=payload, unique_key=unique, correlation=correlation, state="queued",
            run_at=run_at or moment, attempts=0, created_at=moment,
        )
    )  # fmt: skip
    return True


def _exists(conn: Connection, unique: str) -> bool:
    return conn.execute(sa.select(job.c.job_id).where(job.c.unique_key == unique)).first() is not None


def backoff(attempts: int) -> timedelta:
    """Wait before the next try: 1 s doubling up to 10 minutes."""
    return timedelta(seconds=min(600, 2 ** max(0, attempts - 1)))


class Worker:
    """Claims due jobs in batches under a lease and performs them."""

    def __init__(self, db: Database, owner: str, kinds: Sequence[str] | None = None) -> None:
        self._db, self._owner, self._kinds = db, owner, kinds

    def run_once(self, limit: int = 50) -> int:
        """Perform what is due; returns how many jobs were tried."""
        claimed = self._claim(limit)
        for item in claimed:
            self._perform(item)
        return len(claimed)

    def run_until_idle(self, rounds: int = 1000) -> int:
        """Perform until nothing is due any more; returns how many jobs were tried."""
        total = 0
        for _ in range(rounds):
            tried = self.run_once()
            total += tried
            if not tried:
                break
        return total

    def _claim(self, limit: int) -> list[Job]:
        moment = clock.now()
        kinds = list(self._kinds or _HANDLERS)
        due = (
            sa.select(job)
            .where(job.c.kind.in_(kinds), job.c.run_at <= moment)
            .where(
                sa.or_(job.c.state == "queued", sa.and_(job.c.state == "leased", job.c.lease_until < moment))
            )
            .order_by(job.c.run_at, job.c.job_id)
            .limit(limit)
        )
        if not self._any(due):
            return []
        with self._db.write() as conn:
            statement = due if self._db.is_sqlite else due.with_for_update(skip_locked=True)
            rows = conn.execute(statement).all()
            conn.execute(
                sa.update(job)
                .where(job.c.job_id.in_([row.job_id for row in rows]))
                .values(
                    state="leased",
                    owner=self._owner,
                    lease_until=moment + _LEASE,
                    attempts=job.c.attempts + 1,
                )
            )
        return [Job(r.job_id, r.kind, r.payload, r.attempts + 1, r.correlation) for r in rows]

    def _any(self, due: sa.Select[Any]) -> bool:
        with self._db.read() as conn:
            return conn.execute(due.limit(1)).first() is not None

    def _perform(self, item: Job) -> None:
        try:
            _HANDLERS[item.kind](self._db, item)
        except Exception as error:  # a handler's mistake must not stop the others
            self._failed(item, error)
        else:
            with self._db.write() as conn:
                conn.execute(sa.delete(job).where(job.c.job_id == item.job_id, job.c.owner == self._owner))

    def _failed(self, item: Job, error: Exception) -> None:
        dead = isinstance(error, Terminal) or item.attempts >= MAX_ATTEMPTS
        logs.get("jobs").warning("job failed", kind=item.kind, job=item.job_id, error=str(error), dead=dead)
        moment = clock.now()
        with self._db.write() as conn:
            row = conn.execute(lock_row(conn, sa.select(job).where(job.c.job_id == item.job_id))).first()
            if row is None or row.owner != self._owner:
                return
            values: dict[str, Any] = {"last_error": f"{type(error).__name__}: {error}"}
            if dead:
                values |= {"state": "dead", "finished_at": moment, "unique_key": None}
                events.emit(
                    conn, "job.dead", str(item.job_id),
                    {"kind": item.kind, "error": str(error), "payload": item.payload},
                    actor="core", correlation=item.correlation,
                )  # fmt: skip
            else:
                values |= {"state": "queued", "run_at": moment + backoff(item.attempts), "owner": None}
            conn.execute(sa.update(job).where(job.c.job_id == item.job_id).values(**values))
