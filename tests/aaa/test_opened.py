"""The table of open sessions: kept by whoever writes sessions, and by nobody else."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from aaa import enforcement, support
from aaa.accounting.commit import _is_the_databases
from aaa.accounting.record import INTERIM, START, STOP
from aaa.coa import disconnect
from aaa.limits import crowd
from aaa.limits.crowd import Rule
from aaa.models import session
from aaa.opened import follow
from core.db import Database, DatabaseAway
from tests.aaa.test_accounting import record, stored, write

ENDED = {"state": "closed", "stopped_at": datetime(2025, 11, 20, 13, tzinfo=UTC)}


def _listed(database: Database, **which: Any) -> list[str]:
    with database.read() as conn:
        return sorted(one.service for one in support.sessions(conn, **which))


def test_a_row_of_a_session_that_is_over_finds_nobody(database: Database):
    """However it came there: no page, nobody who corrects sessions and nobody who ends them takes it for open."""
    write(database, *[record(START, session_id=b"%d" % n, service=f"S-{n}") for n in (1, 3)])
    over = session.c.service == "S-1"
    with database.write() as conn:
        conn.execute(sa.update(session).where(over).values(ENDED))
        refs = conn.scalars(sa.select(session.c.session_ref).where(over)).all()
    with database.read() as conn:
        assert [one.service for one in support.sessions(conn)] == ["S-3"]
        assert support.sessions(conn, nas="bng1") == support.sessions(conn)
        assert support.sessions(conn, service="S-1") == []
        for name in ("S-1", "1"):
            with pytest.raises(disconnect.NoSuchSession):
                disconnect.named(conn, name)
    found = [one.service for chunk in enforcement._open_sessions(database, None) for one in chunk]
    assert found == ["S-3"]
    with database.write() as conn:
        follow(conn, refs)


def test_under_the_old_name_sessions_are_read_and_not_written(database: Database):
    """A version that does not know the table of open ones writes none; reports of one's own go on."""
    write(database, record(START))
    with database.read() as conn:
        assert conn.exec_driver_sql("SELECT service, state FROM session").all() == [("S-1", "open")]
    for statement in ("UPDATE session SET state = 'closed'", "DELETE FROM session"):
        with pytest.raises((sa.exc.DBAPIError, DatabaseAway)) as refused, database.write() as conn:
            conn.exec_driver_sql(statement)
        assert _is_the_databases(refused.value)


def test_whoever_ends_marks_or_reopens_a_session_is_followed(database: Database):
    """A mark, a ghost's end, an end and a record that opens again: the row says what the session says."""
    write(database, record(START), record(START, 5, session_id=b"2", session_time=0))
    refs = [one.session_ref for one in stored(database)]
    with database.write() as conn:
        crowd.settle(conn, {"S-1": Rule(1, False)}, [refs[1]])
    assert _listed(database, stale=True) == ["S-1", "S-1"]
    assert [one.stale for one in stored(database)] == [True, True]
    enforcement.unmark(database, refs[:1], [])
    assert [one.stale for one in stored(database)] == [False, True]
    assert list(enforcement.marked_sessions(database)) == refs[1:]
    write(database, record(STOP, 60, session_id=b"2", session_time=55))
    assert [one.state for one in stored(database)] == ["open", "closed"]
    with database.write() as conn:
        conn.execute(sa.update(session).values(ENDED | {"inferred": True, "stale": False}))
        follow(conn, refs)
    assert _listed(database) == []
    write(database, record(INTERIM, 9000, 5, 5))
    assert [one.state for one in stored(database)] == ["open", "closed"]
    assert _listed(database, nas="bng1") == ["S-1"]
