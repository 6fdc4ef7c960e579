"""Accounting merges: counters, order, duplicates, wraps. Pure, and on both databases."""

import fcntl
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from aaa.accounting import store
from aaa.accounting.commit import GroupCommit, Submitted
from aaa.accounting.journal import Journal
from aaa.accounting.merge import merge
from aaa.accounting.record import INTERIM, OFF, ON, START, STOP, AccountingRecord
from aaa.accounting.store import apply, close_silent
from aaa.models import session, usage_day
from aaa.view.records import read_class
from tests.aaa.opened import check_open

NOON = datetime(2025, 11, 20, 12, tzinfo=UTC).timestamp()
GIGA = 1 << 32


def record(kind: int, after: int = 0, up: int = 0, down: int = 0, **more: Any) -> AccountingRecord:
    """A record of session 0001 of S-1 on bng1, `after` seconds into the session; octets as one number each."""
    octets: dict[str, Any] = {"up_giga": up >> 32, "down_giga": down >> 32}
    given: dict[str, Any] = octets | {"session_id": b"0001", "service": "S-1"} | more
    return AccountingRecord(
        kind=kind,
        nas=given.pop("nas", "bng1"),
        source="127.0.0.1",
        at=given.pop("at", NOON + after),
        session_time=given.pop("session_time", after),
        up_low=up % GIGA,
        down_low=down % GIGA,
        policy_hash=given.pop("policy_hash", "p1"),
        wanted_hash=given.pop("wanted_hash", "p1"),
        **given,
    )


def stored(database) -> list:
    """All sessions; those that are open have their rows in the table of these."""
    check_open(database)
    with database.read() as conn:
        return list(
            conn.execute(sa.select(session).order_by(session.c.started_at, session.c.acct_session_id))
        )


def usage(database) -> dict:
    with database.read() as conn:
        return {
            (row.service, str(row.day)): (row.up_octets, row.down_octets)
            for row in conn.execute(sa.select(usage_day))
        }


def write(database, *records) -> None:
    with database.write() as conn:
        apply(conn, records)


def test_statements_that_were_deallocated_are_prepared_again(database):
    """psycopg deallocates all prepared statements of a connection when it thinks its own are stale: nothing is lost."""
    write(database, record(START))
    with database.write() as conn:
        if not database.is_sqlite:
            conn.exec_driver_sql("DEALLOCATE ALL")
    write(database, record(INTERIM, 60, up=7, down=9))
    with database.write() as conn:
        if not database.is_sqlite:
            conn.exec_driver_sql("DEALLOCATE ALL")
    write(database, record(STOP, 120, up=8, down=9))
    (row,) = stored(database)
    assert (row.state, row.up_octets, row.down_octets) == ("closed", 8, 9)


def test_a_session_from_start_to_stop(database):
    """Start, interims and Stop make one closed session, and its octets are the day's usage."""
    write(database, record(START))
    write(database, record(INTERIM, 300, 10, 20), record(STOP, 600, 30, 70, cause="lost-carrier"))
    (row,) = stored(database)
    assert (row.state, row.inferred, row.cause) == ("closed", False, "lost-carrier")
    assert (row.up_octets, row.down_octets, row.session_time) == (30, 70, 600)
    assert usage(database) == {("S-1", "2025-11-20"): (30, 70)}


def test_any_order_and_any_repetition_gives_the_same_end(database):
    """200 shuffles with repetitions of a session's records end like the tidy order, usage too."""
    tidy = [record(START), *(record(INTERIM, 60 * n, 5 * n, GIGA // 3 * n) for n in range(1, 9))]
    tidy.append(record(STOP, 600, 50, 3 * GIGA))
    rng = random.Random(7)
    for run in range(20):
        messy = [one for one in tidy for _ in range(rng.randint(1, 2))]
        rng.shuffle(messy)
        named = [msgspec.structs.replace(one, session_id=b"%04d" % run, service=f"S-{run}") for one in messy]
        for start in range(0, len(named), 3):
            write(database, *named[start : start + 3])
    rows = stored(database)
    assert len(rows) == 20
    assert {(row.state, row.up_octets, row.down_octets) for row in rows} == {("closed", 50, 3 * GIGA)}
    assert set(usage(database).values()) == {(50, 3 * GIGA)}


def test_a_retransmission_with_another_delay_time_is_the_same_event(database):
    """A new packet with a longer Acct-Delay-Time says the same moment: nothing is counted twice."""
    write(database, record(START), record(STOP, 60, 5, 6))
    write(database, record(START), record(STOP, 60, 5, 6))
    assert len(stored(database)) == 1
    assert usage(database) == {("S-1", "2025-11-20"): (5, 6)}


def test_an_id_used_again_is_another_session(database):
    """After a reboot the NAS counts from 0001 again: another start, another session; the older one is over."""
    write(database, record(START))
    write(database, record(START, at=NOON + 7200, session_time=0))
    first, second = stored(database)
    assert (first.state, first.inferred, first.cause) == ("closed", True, "superseded")
    assert second.state == "open"


def test_a_nas_whose_clock_drifts_keeps_its_session_for_months(database):
    """100 ppm are more than five minutes after 60 days: another session would count all its octets again."""
    write(database, record(START))
    for day in (30, 60, 90):
        real = day * 86400
        write(database, record(INTERIM, real, up=day, down=day, session_time=real - real // 10_000))
    assert [row.up_octets for row in stored(database)] == [90]
    assert sum(up for up, _down in usage(database).values()) == 90


def test_counters_never_go_down_and_wrap_without_gigawords():
    """A late record changes nothing; a smaller counter in a newer record of a NAS without gigawords is a wrap."""
    plain = {"up_giga": None, "down_giga": None}
    one = merge(None, record(INTERIM, 300, 100, GIGA - 10, **plain)).session
    late = merge(one, record(INTERIM, 200, 50, 1000, **plain))
    assert (late.up, late.down, late.session.down_octets) == (0, 0, GIGA - 10)
    wrapped = merge(one, record(INTERIM, 600, 200, 90, **plain))
    assert (wrapped.up, wrapped.down) == (100, 100)
    # A NAS that does send gigawords and leaves them out once did not wrap.
    known = merge(one, record(INTERIM, 600, 200, GIGA + 5)).session
    assert merge(known, record(INTERIM, 900, 300, 3, **plain)).down == 0


@pytest.mark.parametrize("kind", [ON, OFF])
def test_on_and_off_close_the_earlier_sessions_of_that_nas_only(database, kind):
    """Accounting-On closes what began before on this NAS; later sessions and other NASes live on."""
    write(database, record(START), record(START, nas="bng2", session_id=b"x"))
    write(database, record(START, at=NOON + 900, session_id=b"0002", service="S-2"))
    write(database, record(kind, at=NOON + 600, session_id=b"", service=""))
    states = {(row.nas, row.acct_session_id): row.state for row in stored(database)}
    assert states == {("bng1", b"0001"): "closed", ("bng2", b"x"): "open", ("bng1", b"0002"): "open"}


def test_a_silent_session_is_closed_as_inferred_and_may_reopen(database):
    """After three missed interims it is closed; an interim that comes after all opens it, a late Stop is final."""
    write(database, record(START, interim=60))
    with database.write() as conn:
        assert close_silent(conn, datetime.fromtimestamp(NOON + 100, UTC)) == 0
        just_up = datetime.fromtimestamp(NOON + 150, UTC)
        assert close_silent(conn, datetime.fromtimestamp(NOON + 200, UTC), just_up) == 0
        assert close_silent(conn, datetime.fromtimestamp(NOON + 200, UTC)) == 1
    assert [(row.state, row.inferred, row.cause) for row in stored(database)] == [("closed", True, "silent")]
    write(database, record(INTERIM, 300, 1, 1, interim=60))
    assert [row.state for row in stored(database)] == ["open"]
    write(database, record(STOP, 400, 1, 1), record(INTERIM, 350, 1, 1))
    assert [(row.state, row.inferred) for row in stored(database)] == [("closed", False)]


def test_a_sweep_fetches_only_sessions_that_seem_silent(database, monkeypatch):
    """However many are open, those that were heard cost no page of their own."""
    monkeypatch.setattr(store, "_SWEEP", 2)
    write(database, *(record(START, session_id=bytes([one]), service=f"S-{one}") for one in range(9)))
    write(database, *(record(INTERIM, 3000, session_id=bytes([one]), service=f"S-{one}") for one in range(8)))
    pages: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *told: pages.append(told[2]))
    moment = datetime.fromtimestamp(NOON + 1800, UTC)
    assert store.sweep_silent(database, moment) == 0
    assert store.sweep_silent(database, moment + timedelta(seconds=1), up_since=moment) == 0
    assert store.sweep_silent(database, moment + timedelta(seconds=1)) == 1
    assert len([one for one in pages if "session.interim" in one]) == 3


def test_a_session_on_an_old_policy_is_marked_and_a_crowded_service_too(database):
    """A Start or Interim whose policy is not the wanted one is marked stale; so is a second session of a service."""
    write(database, record(START, wanted_hash="p2"))
    assert [row.stale for row in stored(database)] == [True]
    write(database, record(INTERIM, 60, wanted_hash="p1"))
    assert [row.stale for row in stored(database)] == [False]
    write(database, record(START, 90, session_id=b"0002", session_time=0))
    assert [row.stale for row in stored(database)] == [True, True]


def test_any_octets_are_an_acct_session_id(database):
    """Debian's pppd sends a malformed Acct-Session-Id: any octets name a session."""
    for octets in (b"%lX\x00\xff5F3", bytes(range(200)), b""):
        write(database, record(START, session_id=octets), record(STOP, 1, 1, 1, session_id=octets))
    assert len(stored(database)) == 3


def test_session_is_the_table():
    """The Session structure and table `session` have the same fields in the same order."""
    from aaa.accounting.merge import Session

    assert [field.name for field in msgspec.structs.fields(Session)] == [c.name for c in session.columns]


class Refusing(GroupCommit):
    """A database that never takes the record of call 2."""

    def _apply(self, records) -> list[AccountingRecord]:
        if any(record.session_id == b"2" for record in records):
            raise ValueError("never")
        return super()._apply(records)


def test_one_record_that_is_refused_does_not_silence_the_others(database, tmp_path):
    """Live: the bad one is not answered, the others are. From the journal: it is set aside, the others are recorded."""
    commit = Refusing(database, Journal(tmp_path))
    answers: dict[bytes, bool] = {}
    names = [b"1", b"2", b"3"]
    records = [record(START, session_id=name, service=f"S-{name.decode()}") for name in names]

    def settle(numbers, durable):
        answers.update({names[number]: durable for number in numbers})

    commit.settle([Submitted(records, settle)])
    assert answers == {b"1": True, b"2": False, b"3": True}
    journal = Journal(tmp_path)
    journal.append([record(START, session_id=name, service="S-9") for name in (b"4", b"2", b"5")])
    journal.close()
    assert commit.drain() == 3
    assert not journal.waiting
    assert (tmp_path / "refused.log").stat().st_size > 0
    assert (tmp_path / "refused.log").stat().st_mode & 0o777 == 0o600
    assert sorted(row.acct_session_id for row in stored(database)) == [b"1", b"3", b"4", b"5"]


def test_a_drain_beside_the_beginning_of_a_segment_loses_nothing(tmp_path, monkeypatch):
    """Another worker that drains just before a new segment is locked leaves it alone."""
    append, other = Journal(tmp_path), Journal(tmp_path)
    taken: list[AccountingRecord] = []
    lock = fcntl.flock

    def drained_first(file: Any, how: int) -> None:
        if how == fcntl.LOCK_EX:
            other.drain(taken.extend)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", drained_first)
    append.append([record(START)])
    append.close()
    assert (other.drain(taken.extend), taken) == (1, [record(START)])
    assert not list(tmp_path.iterdir())


def test_impossible_counters_and_a_strange_class_are_passed_over():
    """Eight exabytes are a NAS's mistake, not usage; a Class that is not exactly ours is nobody's."""
    one = merge(None, record(START)).session
    assert merge(one, record(INTERIM, 60, (1 << 64) - 1, 5)).up == 0
    assert read_class(b"TL1:abc:S-1") == ("S-1", "abc")
    for strange in (
        b"TL1:abc:S-1\0",
        b"TL1::S-1",
        b"TL1:abc:" + b"S" * 64,
        b"TL2:abc:S-1",
        b"",
        b"\xff" * 30,
    ):
        assert read_class(strange) is None
