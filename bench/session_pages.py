"""Pages over millions of sessions: how long each takes, on PostgreSQL and on SQLite."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from aaa.accounting.usage import usage_of
from aaa.models import session, session_history, session_open
from aaa.support import sessions
from aaa.who import who
from bench import radius_postgres
from bench.radius_postgres import postgres
from core.db import Database
from core.migrate import upgrade

ROWS = int(os.environ.get("TRUNKLINE_BENCH_ROWS", "5000000"))
LIVE = ROWS // 20
TIMES = 15
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PAGES: dict[str, Callable[[Connection, int], Any]] = {
    "open, newest": lambda conn, _n: sessions(conn),
    "open, after one": lambda conn, n: sessions(conn, before=_ref(n % LIVE)),
    "of a service": lambda conn, n: sessions(conn, service=f"S-{n % LIVE}", closed=True),
    "of a NAS, open": lambda conn, n: sessions(conn, nas=f"bng{n % 200}"),
    "to be corrected": lambda conn, _n: sessions(conn, stale=True),
    "who, IPv4": lambda conn, n: who(conn, _address(n % ROWS), BEGAN, 4000),
    "who, IPv6": lambda conn, n: who(conn, f"2001:db8:{n % 65536:x}::7", BEGAN),
    "usage of 100": lambda conn, n: usage_of(conn, [f"S-{n + i}" for i in range(100)], BEGAN),
}


def main() -> None:
    """Print a table: page, median and worst milliseconds."""
    print(f"{ROWS:,} sessions in history, {LIVE:,} live")
    with tempfile.TemporaryDirectory() as folder, closing(Database(f"sqlite:///{folder}/pages.db")) as db:
        _measure(db, "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {last}) ")
        print(f"SQLite file: {Path(folder, 'pages.db').stat().st_size / 1e6:.0f} MB")
    if absent := radius_postgres.missing():
        print(f"PostgreSQL not measured: install {absent}")
        return
    with postgres(max_wal_size="8GB", shared_buffers="256MB") as base:
        base.create("pages")
        with closing(Database(base.url("pages"))) as db:
            _measure(db, "WITH s(n) AS (SELECT generate_series(0, {last})) ")


def _measure(db: Database, numbers: str) -> None:
    upgrade(db)
    _fill(db, numbers)
    name = "SQLite" if db.is_sqlite else "PostgreSQL"
    print(f"{name:<20}{'median ms':>10}{'worst ms':>10}")
    for page, ask in PAGES.items():
        spent = [_timed(db, ask, turn * 7919) for turn in range(TIMES)]
        print(f"{page:<20}{statistics.median(spent):>10.1f}{max(spent):>10.1f}", flush=True)


def _timed(db: Database, ask: Callable[[Connection, int], Any], number: int) -> float:
    with db.read() as conn:
        begun = time.perf_counter()
        ask(conn, number)
        return (time.perf_counter() - begun) * 1000


def _fill(db: Database, numbers: str) -> None:
    for table, count in ((session_history, ROWS), (session, LIVE)):
        values = ", ".join(_value(column.name, db.is_sqlite, table is session) for column in table.columns)
        names = ", ".join(column.name for column in table.columns)
        chosen = numbers.format(last=count - 1)
        statement = f"INSERT INTO {table.name} ({names}) {chosen} SELECT {values} FROM s"
        with db.write() as conn:
            conn.exec_driver_sql(statement if db.is_sqlite else statement.replace("%", "%%"))
    names = ", ".join(column.name for column in session_open.columns)
    with db.write() as conn:
        conn.exec_driver_sql(f"INSERT INTO session_open ({names}) SELECT {names} FROM radius_session")
    with db.write() as conn:
        conn.exec_driver_sql("ANALYZE")


def _value(name: str, sqlite: bool, live: bool) -> str:
    """SQL of a column in row n."""
    moment = "timestamptz '2025-12-01 00:00:00Z' + n % 2592000 * interval '1 second'"
    if sqlite:
        moment = "datetime('2025-12-01', '+' || (n % 2592000) || ' seconds') || '.000000'"
    ended = "'2026-01-02 00:00:00.000000'" if sqlite else "timestamptz '2026-01-02 00:00:00Z'"
    told = {
        "session_ref": f"'ses_' || {_padded('n', sqlite)}",
        "service": f"'S-' || (n % {LIVE})",
        "nas": "'bng' || (n % 200)",
        "acct_session_id": "cast(cast(n AS text) AS blob)" if sqlite else "convert_to(n::text, 'UTF8')",
        "circuit": "x''" if sqlite else "''",
        "started_at": moment,
        "updated_at": ended,
        "stopped_at": "NULL" if live else ended,
        "state": "'open'",
        "stale": "n % 10007 = 0",
        "framed_address": "'10.' || (n / 65536 % 256) || '.' || (n / 256 % 256) || '.' || (n % 256)",
        "delegated_prefix": f"'2001:db8:' || {_hex(sqlite)} || '::/48'",
    }
    flags, numbers = ("inferred", "gigawords"), ("nas_port", "session_time", "up_octets", "down_octets")
    if name in flags:
        return "false"
    if name in (*numbers, "interim", "port_first", "port_last"):
        return "0"
    return told.get(name, "''")


def _padded(number: str, sqlite: bool) -> str:
    return f"printf('%026d', {number})" if sqlite else f"lpad({number}::text, 26, '0')"


def _hex(sqlite: bool) -> str:
    return "printf('%x', n % 65536)" if sqlite else "to_hex(n % 65536)"


def _ref(number: int) -> str:
    return f"ses_{number:026d}"


def _address(number: int) -> str:
    return f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}"
