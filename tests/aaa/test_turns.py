"""Writers of sessions take turns: in whatever order accounting writes its rows, nobody waits in a circle."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from aaa.accounting import postgres as accounting
from aaa.accounting.batch import Batch
from aaa.accounting.merge import Session
from aaa.accounting.record import INTERIM, START, STOP
from aaa.accounting.retention import move_closed
from aaa.accounting.store import session_of, sweep_silent, write
from aaa.coa.correct import record as record_outcomes
from aaa.coa.decide import Action
from aaa.coa.outcome import Outcome
from aaa.enforcement import Correction, unmark
from aaa.limits import crowd
from aaa.limits.crowd import Rule
from aaa.models import session
from core.db import Database
from tests.aaa.opened import check_open
from tests.aaa.test_accounting import NOON, record
from tests.support import eventually

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
SOON = datetime.fromtimestamp(NOON, UTC) + timedelta(hours=1)
Writer = Callable[[Database, list[Session]], object]


def outcomes(db: Database, found: list[Session]) -> None:
    done = [(Correction(one, "gone", None, Action("disconnect")), Outcome("acked")) for one in found]
    with db.write() as conn:
        record_outcomes(conn, done)


def crowds(db: Database, found: list[Session]) -> None:
    with db.write() as conn:
        crowd.settle(conn, {"S-1": Rule(1, False)}, [found[-1].session_ref])


WRITERS: dict[str, Writer] = {
    "outcomes of enforcement": outcomes,
    "a crowd": crowds,
    "the sweep": lambda db, _found: sweep_silent(db, SOON),
}


@pytest.fixture
def base(postgres):
    """A PostgreSQL database with two open sessions of S-1 on bng1."""
    with postgres.fresh_database() as url:
        db = Database(url)
        for name in (b"1", b"2"):  # one after the other: so their refs are
            with db.write() as conn:
                write(conn, [record(START, session_id=name, interim=60)])
        yield db
        check_open(db)
        db.close()


def there(db: Database) -> list[Session]:
    with db.read() as conn:
        return [session_of(row) for row in conn.execute(sa.select(session).order_by(session.c.session_ref))]


@pytest.mark.parametrize("who", WRITERS)
def test_accounting_and_another_writer_do_not_wait_in_a_circle(base, postgres, who):
    """Accounting has written the second session (its counters alone moved) when the other one comes for both, in the
    order of their refs; then accounting writes the first, whose address changed.
    """
    counted = record(INTERIM, 60, 5, 5, session_id=b"2")
    moved = record(INTERIM, 60, 7, 7, session_id=b"1", framed_address="100.64.0.9")
    found = there(base)
    with ThreadPoolExecutor(1) as pool, base.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        assert accounting.take(conn, [counted]) == ([], [])
        other = pool.submit(WRITERS[who], base, found)
        eventually(lambda: postgres.sql(WAITING) == "1", cap=5)
        batch = Batch(accounting.load(conn, [("bng1", b"1")]))
        batch.take(moved)
        accounting.save(conn, batch)
        conn.commit()
        other.result(timeout=10)
    assert [one.up_octets for one in there(base)] == [7, 5]


def test_who_can_come_back_passes_by_what_accounting_writes(base):
    """Taking marks off, and retention: they neither wait nor touch the row, and what is free is done."""
    with base.write() as conn:
        write(conn, [record(STOP, 60, session_id=name) for name in (b"1", b"2")])
        conn.execute(sa.update(session).values(stale=True))
    found = there(base)
    with ThreadPoolExecutor(1) as pool, base.write() as conn:
        conn.execute(
            sa.update(session).where(session.c.session_ref == found[1].session_ref).values(login="x")
        )
        pool.submit(unmark, base, [one.session_ref for one in found], []).result(timeout=10)
        assert [one.stale for one in there(base)] == [False, True]
        pool.submit(lambda: list(move_closed(base, SOON + timedelta(days=9)))).result(timeout=10)
    assert [one.login for one in there(base)] == ["x"]
