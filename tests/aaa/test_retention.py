"""Retention: sessions become history, days become months, and everything goes in the end; nothing is counted twice."""

from datetime import UTC, date, datetime, timedelta
from itertools import count

import sqlalchemy as sa

from aaa.accounting import retention
from aaa.accounting.record import INTERIM, START, STOP
from aaa.accounting.retention import KIND, Kept, register, retain, schedule
from aaa.accounting.usage import Used, between, by_month, usage_of
from aaa.models import (
    accepted_login,
    enforcement,
    refusal,
    retention_place,
    session_history,
    usage_day,
    usage_month,
)
from core import clock
from core.jobs import Worker
from core.settings import Settings
from tests.aaa.test_accounting import NOON, record, stored, usage, write

KEPT = Kept(sessions=30, addresses=365, refusals=30, logins=30, usage_days=60, usage_months=800)


def at(days: float) -> datetime:
    return datetime.fromtimestamp(NOON, UTC) + timedelta(days=days)


def history(database) -> list:
    with database.read() as conn:
        return list(conn.execute(sa.select(session_history)))


def test_sessions_become_history_and_that_is_forgotten(database):
    """Closed ones move after their days with what a trace needs, open ones stay; history goes after its own days."""
    write(database, *(record(START, session_id=b"%d" % n, framed_address=f"100.64.0.{n}") for n in range(5)))
    write(database, *(record(STOP, 60, 7, 9, session_id=b"%d" % n) for n in range(4)))
    assert retain(database, KEPT, at(29))
    assert len(stored(database)) == 5
    assert retain(database, KEPT, at(31))
    assert retain(database, KEPT, at(31))
    assert [row.acct_session_id for row in stored(database)] == [b"4"]
    rows = history(database)
    assert sorted((row.framed_address, row.up_octets) for row in rows) == [
        (f"100.64.0.{n}", 7) for n in range(4)
    ]
    assert {(row.started_at, row.stopped_at) for row in rows} == {(at(0), at(0) + timedelta(seconds=60))}
    assert retain(database, KEPT, at(366))
    assert history(database) == []
    assert len(stored(database)) == 1


def test_days_are_rolled_into_whole_months_and_a_late_record_is_added_once(database):
    """The octets of a service stay the same through the roll-up, also those that come after it."""
    write(database, record(START), record(INTERIM, 86400, 10, 20), record(INTERIM, 15 * 86400, 30, 60))
    assert retain(database, KEPT, at(75))  # 2026-02-03: all before December is rolled
    assert usage(database) == {("S-1", "2025-12-05"): (20, 40)}
    write(database, record(INTERIM, 2 * 86400, 35, 60))  # late: it belongs to November
    with database.read() as conn:
        assert between(conn, "S-1", date(2025, 11, 1)) == Used(35, 60)
        assert between(conn, "S-1", date(2025, 12, 1)) == Used(20, 40)
        assert between(conn, "S-1", date(2025, 11, 1), date(2025, 12, 1)) == Used(15, 20)
    assert retain(database, KEPT, at(75))
    with database.read() as conn:
        rows = conn.execute(sa.select(usage_month)).all()
        assert [(str(row.month), row.up_octets, row.down_octets) for row in rows] == [("2025-11-01", 15, 20)]
        assert by_month(conn, "S-1") == [(date(2025, 11, 1), Used(15, 20)), (date(2025, 12, 1), Used(20, 40))]
        assert usage_of(conn, ["S-1", "S-9"], date(2025, 1, 1)) == {"S-1": Used(35, 60)}
    assert retain(database, KEPT, at(2000))
    with database.read() as conn:
        assert usage_of(conn, ["S-1"], date.min) == {}


def test_refusals_logins_and_enforcement_are_forgotten_and_zero_keeps_for_ever(database):
    """Old rows of append-only tables go; with 0 days nothing goes."""
    old = {"login": "a", "nas": "bng1", "reason": "unknown", "detail": ""}
    done = {"session_ref": "s", "service": "S-1", "wanted_hash": "p", "action": "coa", "outcome": "acked"}
    with database.write() as conn:
        for moment in (at(0), at(20)):
            conn.execute(sa.insert(refusal).values(at=moment, **old))
            conn.execute(sa.insert(accepted_login).values(at=moment, login="a", nas="bng1"))
            conn.execute(sa.insert(enforcement).values(at=moment, code=0, milliseconds=1, **done))
    never = Kept(sessions=0, addresses=0, refusals=0, logins=0, usage_days=0, usage_months=0)
    assert retain(database, never, at(9999))
    assert retain(database, KEPT, at(31))
    with database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(refusal)) == 1
        assert conn.scalar(sa.select(sa.func.count()).select_from(accepted_login)) == 1
        assert conn.scalar(sa.select(sa.func.count()).select_from(enforcement)) == 2


def test_without_time_left_the_rest_is_for_the_next_round(database):
    """A round that has no time says that there is more; the next one does it."""
    write(database, record(START), record(STOP, 60, 1, 1))
    assert not retain(database, KEPT, at(31), budget=-1)
    assert retain(database, KEPT, at(31))
    assert len(history(database)) == 1


def test_the_job_runs_once_an_hour_with_the_days_of_the_settings(database, tmp_path):
    """Scheduling twice queues one job; it keeps what the settings say."""
    write(database, record(START), record(STOP, 60, 1, 1))
    register(Settings.load(tmp_path, env={}, retention_sessions=1))
    with clock.frozen(at(10)):
        schedule(database)
        schedule(database)
        assert Worker(database, "test", [KIND]).run_until_idle() == 1
    assert len(history(database)) == 1
    with database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(usage_day)) == 1


def test_a_round_goes_on_where_the_last_one_had_no_time_left(database, monkeypatch):
    """Ten sessions that have to stay are older than one that is due, and each round has time for two pages of two: it
    gets there, and the round after the end begins at the oldest again.
    """
    monkeypatch.setattr(retention, "_LOOK", 2)
    for number in range(10):
        write(database, record(START, session_id=b"%d" % number, service=f"S-{number}"))
    write(database, record(START, session_id=b"due"), record(STOP, 60, session_id=b"due"))
    for number in (0, 5):  # closed, but not for long enough
        write(database, record(STOP, 20 * 86400, session_id=b"%d" % number, service=f"S-{number}"))
    rounds = 0
    while not history(database):
        monkeypatch.setattr(clock, "monotonic", count().__next__)  # a page a second
        assert not retain(database, KEPT, at(31), budget=1.5)
        rounds += 1
        assert rounds < 8
    assert [row.acct_session_id for row in history(database)] == [b"due"]
    monkeypatch.undo()
    assert retain(database, KEPT, at(31))
    with database.read() as conn:
        assert conn.scalars(sa.select(retention_place.c.after)).all() == []
    assert retain(database, KEPT, at(51))
    assert sorted(row.acct_session_id for row in history(database)) == [b"0", b"5", b"due"]
