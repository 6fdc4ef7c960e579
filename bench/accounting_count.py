"""Counts what was acknowledged against what is in the database. Knows nothing of our code: SQL and a list.

`python bench/accounting_count.py DATABASE LIST`: a path of SQLite or a libpq string; lines
`start ID` or `stop ID OCTETS`.
"""

import sqlite3
import sys
from collections import Counter
from typing import Any

ROWS = "SELECT acct_session_id, state, up_octets, service FROM radius_session"
USED = "SELECT service, sum(up_octets) FROM usage_day GROUP BY service"


def rows_of(database: str, statement: str) -> list[Any]:
    """Every row."""
    if "=" not in database:
        return sqlite3.connect(database).execute(statement).fetchall()
    import psycopg

    with psycopg.connect(database) as conn:
        return conn.execute(statement).fetchall()


def count(database: str, listed: str) -> dict[str, int]:
    """acknowledged, missing, twice, wrong (octets or state), and octets of usage that are not the sessions'."""
    started, stopped = set(), {}
    with open(listed, encoding="ascii") as lines:
        for line in lines:
            words = line.split()
            if words[0] == "start":
                started.add(words[1])
            else:
                stopped[words[1]] = int(words[2])
    rows = rows_of(database, ROWS)
    times = Counter(bytes(row[0]).decode() for row in rows)
    found = {bytes(row[0]).decode(): (row[1], int(row[2])) for row in rows}
    wrong = sum(found.get(name) != ("closed", octets) for name, octets in stopped.items())
    by_service: Counter[str] = Counter()
    for row in rows:
        by_service[row[3]] += int(row[2])
    used = {service: int(octets) for service, octets in rows_of(database, USED)}
    return {
        "acknowledged": len(started) + len(stopped),
        "missing": len((started | stopped.keys()) - times.keys()),
        "twice": sum(number > 1 for number in times.values()),
        "wrong": wrong,
        "usage wrong": sum(used.get(service, 0) != octets for service, octets in by_service.items()),
    }


if __name__ == "__main__":
    told = count(*sys.argv[1:3])
    print(", ".join(f"{name} {number}" for name, number in told.items()))
    sys.exit(any(number for name, number in told.items() if name != "acknowledged"))
