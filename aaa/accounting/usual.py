"""The usual Interim and Stop, merged by PostgreSQL itself: one statement finds the session, moves its counters and adds
its octets to the day. Nothing is read into Python first.

It takes a record only where the end is beyond doubt that of `merge`: the newest session of that id, open, of that
service, with nothing else to change. It says which it took; the careful way takes the others. A test compares the two.
"""

# ruff: noqa: S608 (the only names put into SQL here are our own columns')

import struct
from collections.abc import Sequence
from typing import NamedTuple

from aaa.accounting.arrays import ARRAY_OF, BOOL, INT8, MOMENT, TEXT, array, moments
from aaa.accounting.arrays import BYTEA as OCTETS
from aaa.accounting.exchange import Statement
from aaa.accounting.record import INTERIM, STOP, AccountingRecord

_GIGA_MOST = 1 << 24
"""Gigawords of a counter that `merge` passes over as impossible."""
_COLUMNS = {
    "nas": TEXT, "id": OCTETS, "began": MOMENT, "moment": MOMENT, "lasted": INT8, "up": INT8, "down": INT8,
    "service": TEXT, "wanted": TEXT, "source": TEXT, "cause": TEXT,
    "framed_address": TEXT, "framed_prefix": TEXT, "delegated_prefix": TEXT, "framed_address6": TEXT, "counts": BOOL,
}  # fmt: skip
_ADDRESSES = ("framed_address", "framed_prefix", "delegated_prefix", "framed_address6")
_HELD = (
    "ctid", "started_at", "state", "inferred", "stale", "service", "source", "policy_hash", "updated_at",
    "up_octets", "down_octets", *_ADDRESSES,
)  # fmt: skip
_TAKEN = struct.Struct(">ii")


def _statement(name: str, only: str, sets: str) -> Statement:
    """The look-up is by the one index that can do it: `|| ''` forbids one that knows the NAS only. A session that
    somebody changes meanwhile has another ctid then, and is left to the careful way.
    """
    arrays = ", ".join(f"${number}" for number in range(1, len(_COLUMNS) + 1))
    told = " AND ".join(f"({one} = '' OR {one} = had_{one})" for one in _ADDRESSES)
    sql = f"""
    WITH held AS MATERIALIZED (
      SELECT * FROM (
        SELECT n.*, {", ".join(f"s.{one} AS had_{one}" for one in _HELD)},
          row_number() OVER (PARTITION BY n.i ORDER BY s.started_at DESC) AS age
        FROM unnest({arrays}) WITH ORDINALITY AS n({", ".join(_COLUMNS)}, i)
        CROSS JOIN LATERAL (
          SELECT {", ".join(_HELD)} FROM session
          WHERE session.acct_session_id = n.id AND session.nas || '' = n.nas OFFSET 0
        ) AS s
      ) AS n
      WHERE age = 1 AND had_state = 'open' AND NOT had_inferred AND had_service = service AND had_source = source
        AND had_policy_hash <> '' AND had_updated_at <= moment
        AND had_started_at BETWEEN began - interval '299 s' AND began + interval '299 s'
        AND {told} AND {only}
    ), taken AS (
      UPDATE session AS s SET {sets}updated_at = h.moment, session_time = greatest(s.session_time, h.lasted),
        up_octets = greatest(s.up_octets, h.up), down_octets = greatest(s.down_octets, h.down), gigawords = true
      FROM held AS h WHERE s.ctid = h.had_ctid
      RETURNING h.i, h.counts, s.service, (h.moment AT TIME ZONE 'UTC')::date AS day,
        s.up_octets - h.had_up_octets AS up, s.down_octets - h.had_down_octets AS down
    ), used AS MATERIALIZED (
      SELECT t.*, d.known FROM (
        SELECT service, day, sum(up)::bigint AS up, sum(down)::bigint AS down FROM taken
        WHERE counts AND (up > 0 OR down > 0) GROUP BY service, day ORDER BY service, day
      ) AS t LEFT JOIN LATERAL (
        SELECT true AS known FROM usage_day AS d WHERE d.service = t.service AND d.day = t.day OFFSET 0
      ) AS d ON true
    ), added AS (
      UPDATE usage_day AS d SET up_octets = d.up_octets + u.up, down_octets = d.down_octets + u.down
      FROM used AS u WHERE u.known AND d.service = u.service AND d.day = u.day
    ), begun AS (
      INSERT INTO usage_day AS d (service, day, up_octets, down_octets)
      SELECT service, day, up, down FROM used WHERE known IS NULL ON CONFLICT (service, day) DO UPDATE
      SET up_octets = d.up_octets + excluded.up_octets, down_octets = d.down_octets + excluded.down_octets
    ) SELECT array_agg(i::int) FROM taken"""
    return Statement(name, " ".join(sql.split()), tuple(ARRAY_OF[kind] for kind in _COLUMNS.values()))


_INTERIM = _statement(
    "acct_interim",
    "had_stale = (wanted <> '' AND had_policy_hash <> wanted)",
    "",
)
_STOP = _statement(
    "acct_stop",
    "true",
    "state = 'closed', stale = false, stopped_at = h.moment, cause = h.cause, ",
)


class Asked(NamedTuple):
    """A statement, its values, and the records that it may take."""

    statement: Statement
    values: list[bytes]
    records: list[AccountingRecord]


def usual(records: Sequence[AccountingRecord]) -> tuple[list[Asked], list[AccountingRecord]]:
    """What the database is asked to take by itself, and the records that it is not even asked about."""
    seen: dict[tuple[str, bytes], int] = {}
    for record in records:
        key = record.nas, record.session_id
        seen[key] = seen.get(key, 0) + 1
    by_kind: dict[int, list[AccountingRecord]] = {INTERIM: [], STOP: []}
    rest: list[AccountingRecord] = []
    for record in records:
        alone = seen[record.nas, record.session_id] == 1  # else their order matters
        (by_kind[record.kind] if alone and is_usual(record) else rest).append(record)
    asked = [
        Asked(statement, _values(some), some)
        for statement, some in ((_INTERIM, by_kind[INTERIM]), (_STOP, by_kind[STOP]))
        if some
    ]
    return asked, rest


def is_usual(record: AccountingRecord) -> bool:
    """Whether a record may be taken so: an Interim or Stop of a known service that tells of nothing rare."""
    up, down = record.up_giga, record.down_giga
    return (
        record.kind in (INTERIM, STOP)
        and up is not None
        and down is not None
        and up < _GIGA_MOST
        and down < _GIGA_MOST
        and bool(record.service)
        and not (record.metered or record.multi_session_id or record.port_first or record.circuit)
        and not (record.reject and record.kind == STOP)
    )


def left(asked: Asked, told: bytes | None) -> list[AccountingRecord]:
    """The records that the database did not take, by its answer: an int4 array of their numbers from 1."""
    if told is None:
        return asked.records
    taken = {number for _size, number in _TAKEN.iter_unpack(told[20:])}
    if len(taken) == len(asked.records):
        return []
    return [record for number, record in enumerate(asked.records, 1) if number not in taken]


def _values(some: Sequence[AccountingRecord]) -> list[bytes]:
    """The records as an array a column, in the order of `_COLUMNS`."""
    return [
        array(TEXT, [one.nas for one in some]),
        array(OCTETS, [one.session_id for one in some]),
        moments([one.at - one.session_time for one in some]),
        moments([one.at for one in some]),
        array(INT8, [one.session_time for one in some]),
        array(INT8, [(one.up_giga or 0) << 32 | one.up_low for one in some]),
        array(INT8, [(one.down_giga or 0) << 32 | one.down_low for one in some]),
        array(TEXT, [one.service for one in some]),
        array(TEXT, [one.wanted_hash for one in some]),
        array(TEXT, [one.source for one in some]),
        array(TEXT, [one.cause for one in some]),
        array(TEXT, [one.framed_address for one in some]),
        array(TEXT, [one.framed_prefix for one in some]),
        array(TEXT, [one.delegated_prefix for one in some]),
        array(TEXT, [one.framed_address6 for one in some]),
        array(BOOL, [one.counts for one in some]),
    ]
