"""No page of sessions reads a table through: every statement of every page, explained by both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from aaa import support
from aaa.accounting.record import START
from aaa.accounting.retention import Kept, retain
from aaa.accounting.usage import by_day, usage_of
from aaa.models import session, session_history, usage_day
from aaa.opened import follow
from aaa.who import who
from core.db import Database, insert_many
from tests.aaa.test_accounting import NOON, record, stored, write

ROWS = 3000
PLACES = ("framed_address", "framed_address6", "framed_prefix", "delegated_prefix", "public_address")


@pytest.fixture
def full(database):
    """Thousands of sessions, half of them closed, thousands of old ones, and statistics."""
    write(database, record(START))
    (one,) = stored(database)
    made = [_row(one, number) for number in range(ROWS)]
    names = [column.name for column in session_history.columns]
    past = [
        {name: row[name] for name in names} | {"session_ref": f"old_{row['session_ref']}"} for row in made
    ]
    days = [
        {
            "service": f"S-{n}",
            "day": datetime.fromtimestamp(NOON, UTC).date(),
            "up_octets": n,
            "down_octets": n,
        }
        for n in range(ROWS)
    ]
    with database.write() as conn:
        insert_many(conn, session, made)
        follow(conn, [row["session_ref"] for row in made])
        insert_many(conn, session_history, [row | {"stopped_at": row["updated_at"]} for row in past])
        insert_many(conn, usage_day, days)
    with database.write() as conn:
        conn.exec_driver_sql("ANALYZE")
    return database


def _row(one: Any, number: int) -> dict[str, Any]:
    begun = one.started_at + timedelta(seconds=number)
    closed = number % 2 == 0
    return dict(one._mapping) | {
        "session_ref": f"ses_{number:026d}",
        "acct_session_id": b"%d" % number,
        "nas": f"bng{number % 40}",
        "service": f"S-{number % 1000}",
        "started_at": begun,
        "updated_at": begun + timedelta(hours=1),
        "state": "closed" if closed else "open",
        "stopped_at": begun + timedelta(hours=1) if closed else None,
        "stale": number % 501 == 1,
        "framed_address": f"100.64.{number >> 8}.{number & 255}",
        "delegated_prefix": f"2001:db8:{number:x}::/56",
    }


PAGES: dict[str, Any] = {
    "open": lambda conn: support.sessions(conn),
    "open, next": lambda conn: support.sessions(conn, before=f"ses_{ROWS // 2:026d}"),
    "all": lambda conn: support.sessions(conn, closed=True),
    "all, next": lambda conn: support.sessions(conn, closed=True, before=f"ses_{ROWS // 2:026d}"),
    "of a service": lambda conn: support.sessions(conn, service="S-7", closed=True),
    "of a service, open": lambda conn: support.sessions(conn, service="S-7"),
    "of a NAS": lambda conn: support.sessions(conn, nas="bng7", closed=True),
    "of a NAS, open, next": lambda conn: support.sessions(conn, nas="bng7", before=f"ses_{ROWS // 2:026d}"),
    "stale": lambda conn: support.sessions(conn, stale=True),
    "bundle": lambda conn: support.bundle(
        conn, msgspec.structs.replace(support.sessions(conn, service="S-7")[0], multi_session_id="M")
    ),
    "who, IPv4": lambda conn: who(conn, "100.64.1.7", datetime.fromtimestamp(NOON + 900, UTC), 2000),
    "who, IPv6": lambda conn: who(conn, "2001:db8:1:1::1", datetime.fromtimestamp(NOON + 900, UTC)),
    "usage": lambda conn: usage_of(conn, ["S-1", "S-2"], datetime.fromtimestamp(NOON, UTC)),
    "usage by day": lambda conn: by_day(conn, "S-1", datetime.fromtimestamp(NOON, UTC)),
}


def test_no_page_of_sessions_reads_a_table_through(full):
    """Every statement of every page goes by an index, and retention's do; pages are whole and end where they should."""
    for name, page in PAGES.items():
        asked = _statements(full, lambda page=page: _read(full, page))
        assert asked
        for statement, given in asked:
            plan = _plan(full, statement, given)
            assert not _reads_through(plan), f"{name}: {statement}\n{plan}"
    _pages_are_whole(full)
    _retention_is_in_small_steps(full)


def _pages_are_whole(full: Database) -> None:
    """Page by page, every open session comes once, the newest first."""
    seen: list[str] = []
    while True:
        before = seen[-1] if seen else ""
        page = _read(full, lambda conn, before=before: support.sessions(conn, limit=700, before=before))
        seen += [one.session_ref for one in page]
        if len(page) < 700:
            break
    assert len(seen) == len(set(seen)) == ROWS // 2 + 1
    with pytest.raises(support.SessionNotKnown, match="ses_none"):
        _read(full, lambda conn: support.sessions(conn, before="ses_none"))


def _retention_is_in_small_steps(full: Database) -> None:
    """No transaction changes more than 200 rows of sessions, and none reads history or usage through."""
    changed: list[int] = []

    def note(_conn: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("DELETE"):
            changed.append(cursor.rowcount)

    kept = Kept(sessions=1, addresses=300, refusals=1, logins=1, usage_days=40, usage_months=0)
    now = datetime.fromtimestamp(NOON, UTC) + timedelta(days=100)
    sa.event.listen(full.engine, "after_cursor_execute", note)
    try:
        asked = _statements(full, lambda: retain(full, kept, now))
    finally:
        sa.event.remove(full.engine, "after_cursor_execute", note)
    assert max(changed) <= 200
    assert sum(changed) >= ROWS // 2 + ROWS  # sessions moved, days rolled
    for statement, given in {statement: (statement, given) for statement, given in asked}.values():
        if "FROM session_history" in statement or "FROM usage_day" in statement:
            assert not _reads_through(_plan(full, statement, given)), statement


def _read(database: Database, work: Any) -> Any:
    with database.read() as conn:
        return work(conn)


def _statements(database: Database, work: Any) -> list[tuple[str, Any]]:
    asked: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, given: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, given))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)
    return asked


def _plan(database: Database, statement: str, given: Any) -> str:
    how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    with database.read() as conn:
        if not database.is_sqlite:  # a few thousand rows are read through faster; millions are not
            conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
        return "\n".join(str(row[-1]) for row in conn.exec_driver_sql(f"{how} {statement}", given))


def _reads_through(plan: str) -> bool:
    """A scan of a whole table; on SQLite also one by an index that only gives an order nobody asked for."""
    if "Sort Key" in plan and "Index" in plan and "Index Cond" not in plan and "Presorted" not in plan:
        return "ix_session_open_stale" not in plan  # all of that one is the answer
    for line in plan.splitlines():
        words = line.strip(" ->")
        if words.startswith("Seq Scan"):
            return True
        if words.startswith("SCAN") and "USING" not in words:
            return True
        if "USE TEMP B-TREE FOR ORDER BY" in words and "LAST TERM" not in words and "SCAN" in plan:
            return True
    return False
