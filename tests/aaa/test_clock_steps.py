"""A node's clock that is set forth or back by more than five minutes: sessions stay one, and octets count once."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aaa.accounting import postgres
from aaa.accounting.record import INTERIM, START, STOP, AccountingRecord
from aaa.accounting.store import sweep_silent
from aaa.models import session
from aaa.radius.chores import Chores
from core import clock
from tests.aaa.test_accounting import NOON, record, stored, usage, write

STEPS = [timedelta(minutes=6), timedelta(hours=5), timedelta(minutes=-6), timedelta(hours=-5)]


def after(step: timedelta, kind: int, lasted: int, octets: int = 0, **more) -> AccountingRecord:
    """What a NAS says so many seconds into session 0001, as a clock dates it that was set by `step`."""
    at = NOON + lasted + step.total_seconds()
    return record(kind, lasted, octets, octets, at=at, **more)


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("batches", [1, 9])
def test_a_session_goes_on_over_a_step(database, step, batches):
    """Interims that repeat or overtake each other, an address that changes, and the Stop: one session, octets once."""
    write(database, record(START), record(INTERIM, 300, 10, 10), record(INTERIM, 600, 20, 20))
    told = [
        after(step, INTERIM, 900, 30, framed_address="100.64.0.1"),
        after(step, INTERIM, 900, 30, framed_address="100.64.0.1"),
        after(step, INTERIM, 600, 20),
        after(step, INTERIM, 1500, 50, framed_address="100.64.0.2"),
        after(step, INTERIM, 1200, 40, framed_address="100.64.0.1"),
        after(timedelta(), INTERIM, 300, 10),
        after(step, INTERIM, 1800, 60),
        after(step, STOP, 2000, 70),
    ]
    size = len(told) // batches + 1
    for begin in range(0, len(told), size):
        write(database, *told[begin : begin + size])
    (row,) = stored(database)
    assert (row.state, row.inferred, row.session_time, row.up_octets) == ("closed", False, 2000, 70)
    assert row.framed_address == "100.64.0.2"
    assert row.updated_at.timestamp() == NOON + 2000 + step.total_seconds()
    assert sum(up for up, _down in usage(database).values()) == 70


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize("kind", [INTERIM, STOP])
def test_a_session_that_has_just_begun_goes_on_over_a_step_too(database, step, kind):
    """Nothing but its Start is known."""
    write(database, record(START))
    write(database, after(step, kind, 300, 5))
    (row,) = stored(database)
    assert (row.session_time, usage(database).popitem()[1]) == (300, (5, 5))


@pytest.mark.parametrize("step", STEPS[1::2], ids=str)
def test_what_was_closed_as_silent_by_a_clock_that_jumped_lives_on(database, step):
    """Set forth by a day, swept, and set right or set back: the next interim is of that session, and opens it."""
    write(database, record(START, interim=300), record(INTERIM, 300, 10, 10, interim=300))
    assert sweep_silent(database, datetime.fromtimestamp(NOON, UTC) + timedelta(days=1)) == 1
    write(database, after(step, INTERIM, 600, 20))
    (row,) = stored(database)
    assert (row.state, row.inferred, row.up_octets) == ("open", False, 20)


def test_an_id_that_is_used_again_without_a_start_is_another_session(database):
    """Its Acct-Session-Time is less than what is known of the other: that one is over."""
    write(database, record(START), record(INTERIM, 600, 20, 20))
    write(database, record(INTERIM, 7200, 5, 5, session_time=300))
    older, younger = stored(database)
    assert (older.state, older.cause, younger.state, younger.up_octets) == ("closed", "superseded", "open", 5)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("step", STEPS, ids=str)
def test_postgresql_takes_the_interims_after_a_step_itself(database, step):
    """The first one is merged the long way; from then on the newest record says when the session began."""
    write(database, record(START), record(INTERIM, 600, 20, 20))
    write(database, after(step, INTERIM, 900, 30))
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        assert postgres.take(conn, [after(step, INTERIM, 1200, 40)]) == ([], [])
    assert [row.up_octets for row in stored(database)] == [40]


class Rounds(threading.Event):
    """Lets so many rounds of chores pass, and sets the clock before one of them."""

    def __init__(self, rounds: int, at: int, step: timedelta) -> None:
        super().__init__()
        self.left, self.at, self.step = rounds, at, step

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        if self.left == self.at:
            clock.advance(self.step)
        return self.left < 0


@pytest.mark.parametrize("step", [0, 5, -5])
def test_a_step_is_no_silence(server, node, database, step):
    """The keeper's sweep gives every session three intervals from the moment at which the clock was set."""
    write(database, record(START, interim=60))
    worker = server.worker
    with clock.frozen(datetime.fromtimestamp(NOON + 30, UTC)):
        chores = Chores(node.home, database, worker._journal, worker.answers, worker.watched, keeper=True)
        chores.run(Rounds(60, 30, timedelta(hours=step)), ())
        assert [row.state for row in stored(database)] == ["open"]
        clock.advance(timedelta(hours=6))
        chores._offset += timedelta(hours=6).total_seconds()
        chores.run(Rounds(60, -1, timedelta()), ())
        assert [row.cause for row in stored(database)] == ["silent"]
    with database.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(session)) == 1
