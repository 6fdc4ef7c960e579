"""Jobs and events: committed with the business change, performed at least once."""

from contextlib import suppress
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core import clock, events, jobs
from core.db import Database
from core.errors import Retryable, Terminal
from core.jobs import Job, Worker
from core.models import job
from core.register import deliver_event


@pytest.fixture(autouse=True)
def _handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers and subscribers of a test end with it."""
    monkeypatch.setattr(jobs, "_HANDLERS", {events.DELIVERY: deliver_event})
    monkeypatch.setattr(events, "_SUBSCRIBERS", {k: dict(v) for k, v in events._SUBSCRIBERS.items()})


def test_a_job_of_a_rolled_back_change_does_not_exist(database: Database) -> None:
    """The job belongs to the caller's transaction."""
    with suppress(ValueError), database.write() as conn:
        jobs.enqueue(conn, "x", {})
        raise ValueError("no")
    with database.read() as conn:
        assert conn.execute(sa.select(job)).first() is None


def test_a_unique_job_stands_once(database: Database) -> None:
    """Asking twice is asking once."""
    with database.write() as conn:
        assert jobs.enqueue(conn, "x", {}, unique="k")
        assert not jobs.enqueue(conn, "x", {}, unique="k")


def test_a_failing_job_waits_longer_each_time_and_a_terminal_one_dies_aloud(database: Database) -> None:
    """Retryable comes again by itself; Terminal is an event for a person."""
    seen: list[int] = []

    @jobs.handles("t.retry")
    def retry(_db: Database, item: Job) -> None:
        seen.append(item.attempts)
        if item.attempts < 3:
            raise Retryable("away")

    @jobs.handles("t.dead")
    def dead(_db: Database, _item: Job) -> None:
        raise Terminal("never")

    worker = Worker(database, "w", ["t.retry", "t.dead"])
    with clock.frozen(clock.now()):
        with database.write() as conn:
            jobs.enqueue(conn, "t.retry", {})
            jobs.enqueue(conn, "t.dead", {})
        for _ in range(5):
            worker.run_once()
            clock.advance(timedelta(seconds=10))
    assert seen == [1, 2, 3]
    with database.read() as conn:
        assert [row.state for row in conn.execute(sa.select(job))] == ["dead"]
        assert [e.data["error"] for e in events.recent(conn, ["job.dead"])] == ["never"]


def test_a_dead_workers_job_is_taken_over(database: Database) -> None:
    """A lease that is over belongs to the next worker."""
    done: list[str] = []

    @jobs.handles("t.lease")
    def handler(_db: Database, _item: Job) -> None:
        done.append("x")

    with clock.frozen(clock.now()):
        with database.write() as conn:
            jobs.enqueue(conn, "t.lease", {})
            conn.execute(
                sa.update(job).values(
                    state="leased", owner="dead", lease_until=clock.now() + timedelta(seconds=5)
                )
            )
        worker = Worker(database, "w", ["t.lease"])
        assert worker.run_once() == 0
        clock.advance(timedelta(seconds=6))
        assert worker.run_once() == 1
    assert done == ["x"]


def test_an_event_reaches_each_subscriber_and_a_failing_one_is_retried_alone(database: Database) -> None:
    """Delivery is a job per subscriber."""
    got: list[str] = []

    @events.on("t.happened")
    def fine(_db: Database, event: events.Event) -> None:
        got.append(f"fine {event.data['n']}")

    @events.on("t.happened")
    def flaky(_db: Database, _event: events.Event) -> None:
        got.append("flaky")
        if got.count("flaky") == 1:
            raise Retryable("once")

    with clock.frozen(clock.now()):
        with database.write() as conn:
            assert events.emit(conn, "t.happened", "s", {"n": 1}, actor="t", unique="u")
            assert events.emit(conn, "t.happened", "s", {"n": 2}, actor="t", unique="u") is None
        worker = Worker(database, "w")
        worker.run_until_idle()
        clock.advance(timedelta(seconds=10))
        worker.run_until_idle()
    assert sorted(got) == ["fine 1", "flaky", "flaky"]
