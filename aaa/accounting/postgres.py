"""Sessions on PostgreSQL: a batch is two exchanges: read the sessions, write everything, as arrays.

Writers of one NAS take turns by an advisory lock (aaa/turns.py): in whatever order the statements here write rows,
nobody waits in a circle. Writers of different NASes never wait for each other.
"""

# ruff: noqa: S608 (the only names put into SQL here are our own columns')

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from psycopg import pq
from psycopg.adapt import Transformer
from sqlalchemy.engine import Connection

from aaa.accounting.arrays import ARRAY_OF, BOOL, BYTEA, DATE, INT4, INT8, MOMENT, TEXT, array
from aaa.accounting.batch import Batch, Key
from aaa.accounting.exchange import Statement, exchange
from aaa.accounting.light import AnyRecord
from aaa.accounting.merge import Session
from aaa.accounting.record import AccountingRecord
from aaa.accounting.usual import sorted_out, usual
from aaa.turns import LOCKS, numbers

_KINDS = {
    "acct_session_id": BYTEA, "started_at": MOMENT, "updated_at": MOMENT, "stopped_at": MOMENT,
    "stale": BOOL, "inferred": BOOL, "gigawords": BOOL, "nas_port": INT8, "session_time": INT8,
    "up_octets": INT8, "down_octets": INT8, "interim": INT4, "port_first": INT4, "port_last": INT4,
    "circuit": BYTEA,
}  # fmt: skip
_COLUMNS = tuple(field.name for field in msgspec.structs.fields(Session))
_COUNTERS = ("updated_at", "session_time", "up_octets", "down_octets", "gigawords")
# Someone else may have written these since we read them (the enforcement lane): only what we changed is set.
_SHARED = ("policy_hash", "stale")
_ENDING = ("state", "inferred", "stopped_at", "cause")
_REST = (
    "started_at", "service", "source", "framed_address", "framed_prefix", "delegated_prefix", "framed_address6",
    "multi_session_id", "public_address", "port_first", "port_last", "circuit", *_COUNTERS,
)  # fmt: skip
_WIDE = (*_SHARED, *_ENDING, *_REST)


def _unnest(columns: Sequence[str]) -> str:
    return f"unnest({', '.join(f'${number}' for number in range(1, len(columns) + 1))})"


def _types(columns: Sequence[str]) -> tuple[int, ...]:
    return tuple(ARRAY_OF[_KINDS.get(name, TEXT)] for name in columns)


def _update(columns: Sequence[str], sets: Sequence[str]) -> str:
    return (
        f"UPDATE radius_session AS s SET {', '.join(sets)} FROM {_unnest(('session_ref', *columns))} "
        f"AS n(ref, {', '.join(columns)}) WHERE s.session_ref = n.ref"
    )


_LOCK = Statement(
    "acct_lock",
    f"SELECT pg_advisory_xact_lock({LOCKS}, n) FROM unnest($1) AS n",
    (ARRAY_OF[INT4],),
)
# One look-up a key, by the one index that can do it: OFFSET 0 forbids a join over the whole table. Statistics may be
# old; this is right with any.
_LOAD = Statement(
    "acct_load",
    f"SELECT s.* FROM unnest($1, $2) AS k(nas, id) CROSS JOIN LATERAL (SELECT {', '.join(_COLUMNS)} "
    "FROM radius_session AS r WHERE r.acct_session_id = k.id AND r.nas = k.nas OFFSET 0) AS s",
    (ARRAY_OF[TEXT], ARRAY_OF[BYTEA]),
)
_INSERT = Statement(
    "acct_insert",
    f"INSERT INTO radius_session ({', '.join(_COLUMNS)}) SELECT * FROM {_unnest(_COLUMNS)}",
    _types(_COLUMNS),
)
_COUNT = Statement(
    "acct_count",
    _update(_COUNTERS, [f"{name} = n.{name}" for name in _COUNTERS]),
    _types(("session_ref", *_COUNTERS)),
)
_UPDATE = Statement(
    "acct_update",
    _update(
        _WIDE,
        [
            *(f"{name} = coalesce(n.{name}, s.{name})" for name in _SHARED),
            *(f"{name} = CASE WHEN n.state IS NULL THEN s.{name} ELSE n.{name} END" for name in _ENDING),
            *(f"{name} = n.{name}" for name in _REST),
        ],
    ),
    _types(("session_ref", *_WIDE)),
)
_USAGE = Statement(
    "acct_usage",
    "INSERT INTO usage_day (service, day, up_octets, down_octets) "
    "SELECT * FROM unnest($1, $2, $3, $4) ON CONFLICT (service, day) DO UPDATE "
    "SET up_octets = usage_day.up_octets + excluded.up_octets, "
    "down_octets = usage_day.down_octets + excluded.down_octets",
    (ARRAY_OF[TEXT], ARRAY_OF[DATE], ARRAY_OF[INT8], ARRAY_OF[INT8]),
)
# What aaa/opened.py says of sessions, in our exchange.
_GONE = Statement(
    "acct_gone",
    "DELETE FROM session_open AS o USING radius_session AS s "
    "WHERE o.session_ref = ANY ($1) AND s.session_ref = o.session_ref AND s.state <> 'open'",
    (ARRAY_OF[TEXT],),
)
_OPEN = Statement(
    "acct_open",
    "INSERT INTO session_open (session_ref, nas, service, stale) "
    "SELECT session_ref, nas, service, stale FROM radius_session WHERE session_ref = ANY ($1) AND state = 'open' "
    "ON CONFLICT (session_ref) DO UPDATE SET service = excluded.service, stale = excluded.stale "
    "WHERE (session_open.service, session_open.stale) IS DISTINCT FROM (excluded.service, excluded.stale)",
    (ARRAY_OF[TEXT],),
)
# Few have a second one: only of those the sessions are read.
_CROWDED = Statement(
    "acct_crowded",
    "SELECT k.service FROM unnest($1) AS k(service) WHERE "
    "(SELECT count(*) FROM session_open AS o WHERE o.service = k.service) > 1 AND "
    "(SELECT min(bundle) < max(bundle) FROM "
    "(SELECT coalesce(nullif(s.multi_session_id, ''), s.session_ref) AS bundle FROM session_open AS o "
    "JOIN radius_session AS s ON s.session_ref = o.session_ref WHERE o.service = k.service AND s.state = 'open') AS b)",
    (ARRAY_OF[TEXT],),
)

_COMMIT = Statement("acct_commit", "COMMIT", ())

# A plan is kept as long as nothing analyses the table: one made for an empty table must not outlive it.
_FORGET_PLANS = Statement("acct_replan", "DISCARD PLANS", ())
_REPLAN = 2000


def take(
    conn: Connection, records: Sequence[AnyRecord]
) -> tuple[list[AccountingRecord], list[tuple[AnyRecord, str]]]:
    """Lock the NASes of these records until the transaction ends, and let the database take the usual ones itself.

    Returns the others, in their order (load their sessions, merge, save), and the Starts that were taken, each with the
    session_ref that was made for it.
    """
    asked, rest = usual(records)
    if not asked:
        return rest, []
    statements = [(one.statement, one.values) for one in asked]
    nases = {record.nas for record in records}
    _locked, *answers = _exchange(conn, [_locking(nases), *statements])
    begun: list[tuple[AnyRecord, str]] = []
    for one, answer in zip(asked, answers, strict=True):
        made, left = sorted_out(one, answer.get_value(0, 0))
        begun += made
        rest += left
    return rest, begun


def load(conn: Connection, keys: Sequence[Key]) -> list[Session]:
    """Lock the NASes of these keys until the transaction ends, then read the sessions."""
    nases, ids = [nas for nas, _session_id in keys], [session_id for _nas, session_id in keys]
    looked_up = _LOAD, [array(TEXT, nases), array(BYTEA, ids)]
    _locked, rows = _exchange(conn, [_locking(set(nases)), looked_up])
    # psycopg's own loaders, in C: reading value by value took a third of a batch.
    reading = Transformer(conn.connection.driver_connection)
    reading.set_pgresult(rows, format=pq.Format.BINARY)
    return reading.load_rows(0, rows.ntuples, lambda values: Session(*values))


def save(conn: Connection, batch: Batch) -> None:
    """Write what the batch made new, what it changed, and the octets."""
    asked: list[tuple[Statement, list[bytes]]] = []
    counted, moved = batch.split()
    if new := batch.new:
        asked.append((_INSERT, _turned(new, _COLUMNS)))
    if counted:
        asked.append((_COUNT, _turned(counted, ("session_ref", *_COUNTERS))))
    if moved:
        asked.append((_UPDATE, _moved(moved)))
    if changed := [one.session_ref for one in (*new, *(after for _before, after in moved))]:
        asked += [(_GONE, [array(TEXT, changed)]), (_OPEN, [array(TEXT, changed)])]
    if usage := sorted(batch.usage.items()):
        services, days = [service for (service, _day), _ in usage], [day for (_service, day), _ in usage]
        up, down = [octets[0] for _key, octets in usage], [octets[1] for _key, octets in usage]
        asked.append((_USAGE, [array(TEXT, services), array(DATE, days), array(INT8, up), array(INT8, down)]))
    if asked:
        _exchange(conn, asked)


def commit(conn: Connection) -> None:
    """Commit, and wait for it no longer than for anything else."""
    _exchange(conn, [(_COMMIT, [])])


def crowded(conn: Connection, services: Sequence[str]) -> list[str]:
    """Those of the services that have more than one open session; a bundle is one."""
    (rows,) = _exchange(conn, [(_CROWDED, [array(TEXT, services)])])
    return [rows.get_value(row, 0).decode() for row in range(rows.ntuples)]


def _locking(nases: Iterable[str]) -> tuple[Statement, list[bytes]]:
    return _LOCK, [array(INT4, numbers(nases))]


def _exchange(conn: Connection, asked: list[tuple[Statement, list[bytes]]]) -> list[Any]:
    link = conn.connection
    raw: Any = link.driver_connection
    known = link.info.get("trunkline_prepared")
    if known is None:
        known = link.info["trunkline_prepared"] = {}
        raw.prepare_threshold = (
            None  # psycopg prepares nothing of its own here, and so deallocates nothing of ours
        )
    uses = known["uses"] = known.get("uses", 0) + 1
    if uses % _REPLAN == 0 or uses.bit_count() == 1:
        asked = [(_FORGET_PLANS, []), *asked]
        return exchange(raw, known, asked)[1:]
    return exchange(raw, known, asked)


def _turned(rows: Sequence[Session], columns: Sequence[str]) -> list[bytes]:
    """Rows as an array a column."""
    return [array(_KINDS.get(name, TEXT), [getattr(row, name) for row in rows]) for name in columns]


def _moved(pairs: Sequence[tuple[Session, Session]]) -> list[bytes]:
    after = [after for _before, after in pairs]
    arrays = [array(TEXT, [one.session_ref for one in after])]
    arrays += [
        array(_KINDS.get(name, TEXT), [_set(before, now, name) for before, now in pairs]) for name in _SHARED
    ]
    ended = [any(getattr(b, name) != getattr(a, name) for name in _ENDING) for b, a in pairs]
    for name in _ENDING:
        told = [getattr(one, name) if ends else None for one, ends in zip(after, ended, strict=True)]
        arrays.append(array(_KINDS.get(name, TEXT), told))
    return arrays + _turned(after, _REST)


def _set(before: Session, after: Session, name: str) -> Any:
    """The new value where we changed it, else None: leave it."""
    new = getattr(after, name)
    return None if getattr(before, name) == new else new
