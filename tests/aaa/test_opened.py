"""The table of open sessions: what an older version wrote beside it misleads nobody, and is put right."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from aaa import enforcement, health, support
from aaa.accounting import retention
from aaa.accounting.record import INTERIM, START, STOP
from aaa.coa import disconnect
from aaa.limits import crowd
from aaa.limits.crowd import Rule
from aaa.models import session, session_open
from aaa.opened import follow, mend
from core import clock, jobs
from core.db import Database
from core.ids import first_id, new_id
from tests.aaa.network import settings_in
from tests.aaa.opened import check_open
from tests.aaa.test_accounting import record, stored, write

ENDED = {"state": "closed", "stopped_at": datetime(2025, 11, 20, 13, tzinfo=UTC)}


@pytest.fixture
def drifted(database: Database) -> Database:
    """S-1 ended and S-2 began on a node that does not know the table; S-3 is as it should be."""
    write(database, *[record(START, session_id=b"%d" % n, service=f"S-{n}") for n in (1, 2, 3)])
    with database.write() as conn:
        conn.execute(sa.update(session).where(session.c.service == "S-1").values(ENDED))
        conn.execute(sa.delete(session_open).where(session_open.c.service == "S-2"))
    return database


def _listed(database: Database, **which: Any) -> list[str]:
    with database.read() as conn:
        return sorted(one.service for one in support.sessions(conn, **which))


def test_a_row_of_a_session_that_is_over_finds_nobody(drifted: Database):
    """No page, nobody who corrects sessions and nobody who ends them takes it for open."""
    with drifted.read() as conn:
        assert [one.service for one in support.sessions(conn)] == ["S-3"]
        assert support.sessions(conn, nas="bng1") == support.sessions(conn)
        assert support.sessions(conn, service="S-1") == []
        for name in ("S-1", "1"):
            with pytest.raises(disconnect.NoSuchSession):
                disconnect.named(conn, name)
    found = [one.service for chunk in enforcement._open_sessions(drifted, None) for one in chunk]
    assert found == ["S-3"]
    mend(drifted, clock.now())


def test_what_an_older_version_wrote_is_mended_once(drifted: Database):
    """The row too many goes, the missing one is made, the third stays; then there is nothing to do."""
    assert mend(drifted, clock.now()) == 2
    check_open(drifted)
    assert mend(drifted, clock.now()) == 0
    assert _listed(drifted) == ["S-2", "S-3"]
    with drifted.read() as conn:
        assert health.live_sessions(conn) == {"bng1": 2}
        assert [one.service for one in disconnect.named(conn, "S-2")] == ["S-2"]


def test_the_hourly_round_mends(drifted: Database, tmp_path: Path):
    """Nobody has to know of it."""
    retention.register(settings_in(tmp_path))
    retention.schedule(drifted)
    assert jobs.Worker(drifted, "here", [retention.KIND]).run_once() == 1
    check_open(drifted)


def test_only_what_began_lately_is_looked_for(drifted: Database):
    """An installation may have tens of millions of old sessions; rows too many are found whatever their age."""
    assert mend(drifted, clock.now() + timedelta(days=3)) == 1
    assert _listed(drifted) == ["S-3"]
    mend(drifted, clock.now())


def test_a_first_id_sorts_before_all_of_its_moment_and_behind_those_before():
    """To the millisecond."""
    before = new_id("ses")
    now = clock.now() + timedelta(milliseconds=5)
    assert before < first_id("ses", now) < first_id("ses", now + timedelta(milliseconds=1))
    assert first_id("ses", now - timedelta(hours=1)) < before
    assert len(first_id("ses", now)) == len(before)


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
