"""The usual records, merged by PostgreSQL itself: one statement inserts the sessions of Starts, another finds those of
Interims or Stops, moves their counters and adds their octets to the day. Nothing is read into Python first.

It takes a record only where the end is beyond doubt that of `merge`: a Start of an id that its NAS never used, or a
record of the newest session of that id, open, of that service, with nothing else to change. It says which it did not
take; the careful way takes those. A test compares the two.
"""

# ruff: noqa: S608 (the only names put into SQL here are our own columns')

import struct
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from aaa.accounting.arrays import (
    ARRAY_OF,
    BOOL,
    EMPTY,
    FALSE,
    INT4,
    INT8,
    MOMENT,
    TEXT,
    TRUE,
    array,
    cell,
    column,
    moment_cell,
)
from aaa.accounting.arrays import BYTEA as OCTETS
from aaa.accounting.exchange import Statement
from aaa.accounting.light import AnyRecord, Light
from aaa.accounting.merge import SURE
from aaa.accounting.record import INTERIM, START, STOP, AccountingRecord
from aaa.limits.limit import VOUCHER_ID
from core.ids import new_ids

_GIGA_MOST = 1 << 24
"""Gigawords of a counter that `merge` passes over as impossible."""
COUNTED = {
    "nas": TEXT, "id": OCTETS, "moment": MOMENT, "lasted": INT8, "up": INT8, "down": INT8, "service": TEXT,
    "wanted": TEXT, "source": TEXT, "cause": TEXT, "framed_address": TEXT, "framed_prefix": TEXT,
    "delegated_prefix": TEXT, "framed_address6": TEXT, "counts": BOOL,
}  # fmt: skip
"""Columns of an Interim or Stop, and their types; a record's cells are in this order."""
_ADDRESSES = ("framed_address", "framed_prefix", "delegated_prefix", "framed_address6")
_HELD = (
    "ctid", "started_at", "state", "inferred", "stale", "service", "source", "policy_hash", "updated_at",
    "session_time", "up_octets", "down_octets", *_ADDRESSES,
)  # fmt: skip
BEGUN = {
    "nas": TEXT, "acct_session_id": OCTETS, "started_at": MOMENT, "service": TEXT, "policy_hash": TEXT,
    "stale": BOOL, "source": TEXT, "login": TEXT, "calling": TEXT, "framed_address": TEXT,
    "framed_prefix": TEXT, "delegated_prefix": TEXT, "nas_port": INT8, "nas_port_id": TEXT, "gigawords": BOOL,
    "interim": INT4, "framed_address6": TEXT, "multi_session_id": TEXT, "circuit": OCTETS,
}  # fmt: skip
"""The same of a Start."""
_NEAR = int(SURE) - 1
_TAKEN = struct.Struct(">ii")
_TOOK = "CASE WHEN count(*) < cardinality($1) THEN coalesce(array_agg(i::int), '{}') END"
"""Numbers of those that were taken, from 1; NULL: all."""


def _statement(name: str, only: str, sets: str, told: str = "", then: str = "") -> Statement:
    """An Interim's or a Stop's; `then` does more with what is `told` of the sessions that were `taken`.

    A session that somebody changes meanwhile has another ctid then (and, where PostgreSQL does not look at that again
    after a wait, another state or counters), and is left to the careful way.
    """
    arrays = ", ".join(f"${number}" for number in range(1, len(COUNTED) + 1))
    same = " AND ".join(f"(n.{one} = '' OR n.{one} = s.{one})" for one in _ADDRESSES)
    began = "n.moment - n.lasted * interval '1 s'"
    sql = f"""
    WITH held AS MATERIALIZED (
      SELECT n.i, n.moment, n.lasted, n.up, n.down, n.cause, n.counts,
        s.ctid AS had, s.up_octets AS had_up, s.down_octets AS had_down
      FROM unnest({arrays}) WITH ORDINALITY AS n({", ".join(COUNTED)}, i)
      CROSS JOIN LATERAL (
        SELECT {", ".join(_HELD)} FROM radius_session AS r
        WHERE r.acct_session_id = n.id AND r.nas = n.nas ORDER BY r.started_at DESC LIMIT 1
      ) AS s
      WHERE s.state = 'open' AND NOT s.inferred AND s.service = n.service AND s.source = n.source
        AND s.policy_hash <> '' AND s.updated_at <= n.moment AND n.lasted > 0
        AND (s.started_at BETWEEN {began} - interval '{_NEAR} s' AND {began} + interval '{_NEAR} s'
          OR s.updated_at - s.session_time * interval '1 s'
            BETWEEN {began} - interval '{_NEAR} s' AND {began} + interval '{_NEAR} s')
        AND {same} AND {only}
    ), taken AS (
      UPDATE radius_session AS s SET {sets}updated_at = h.moment, session_time = greatest(s.session_time, h.lasted),
        up_octets = greatest(s.up_octets, h.up), down_octets = greatest(s.down_octets, h.down), gigawords = true
      FROM held AS h WHERE s.ctid = h.had AND s.state = 'open' AND s.up_octets = h.had_up
        AND s.down_octets = h.had_down
      RETURNING h.i, h.counts, {told}s.service, (h.moment AT TIME ZONE 'UTC')::date AS day,
        s.up_octets - h.had_up AS up, s.down_octets - h.had_down AS down
    ), added AS (
      INSERT INTO usage_day AS d (service, day, up_octets, down_octets)
      SELECT service, day, sum(up)::bigint, sum(down)::bigint FROM taken
      WHERE counts AND (up > 0 OR down > 0) GROUP BY service, day ORDER BY service, day
      ON CONFLICT (service, day) DO UPDATE
      SET up_octets = d.up_octets + excluded.up_octets, down_octets = d.down_octets + excluded.down_octets
    ){then} SELECT {_TOOK} FROM taken"""
    return Statement(name, " ".join(sql.split()), tuple(ARRAY_OF[kind] for kind in COUNTED.values()))


def _insertion() -> Statement:
    columns = {"session_ref": TEXT, **BEGUN}
    arrays = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    given = ", ".join(columns)
    sql = f"""
    WITH taken AS MATERIALIZED (
      SELECT * FROM unnest({arrays}) WITH ORDINALITY AS n({given}, i) WHERE NOT EXISTS (
        SELECT FROM radius_session AS r WHERE r.acct_session_id = n.acct_session_id AND r.nas = n.nas OFFSET 0
      )
    ), made AS (
      INSERT INTO radius_session ({given}, updated_at, state, inferred, cause, session_time, up_octets, down_octets,
        public_address, port_first, port_last)
      SELECT {given}, started_at, 'open', false, '', 0, 0, 0, '', 0, 0 FROM taken
    ), opened AS (
      INSERT INTO session_open (session_ref, nas, service, stale) SELECT session_ref, nas, service, stale FROM taken
    ) SELECT {_TOOK} FROM taken"""
    return Statement("acct_begun", " ".join(sql.split()), tuple(ARRAY_OF[kind] for kind in columns.values()))


_INTERIM = _statement(
    "acct_interim",
    "s.stale = (n.wanted <> '' AND s.policy_hash <> n.wanted)",
    "",
)
_STOP = _statement(
    "acct_stop",
    "true",
    "state = 'closed', stale = false, stopped_at = h.moment, cause = h.cause, ",
    "s.session_ref, ",
    ", gone AS (DELETE FROM session_open AS o USING taken AS t WHERE o.session_ref = t.session_ref)",
)
_START = _insertion()


class Asked(NamedTuple):
    """A statement, its values, and the records that it may take; of Starts, the ids of their sessions."""

    statement: Statement
    values: list[bytes]
    records: list[AnyRecord]
    refs: list[str] = []


def usual(records: Sequence[AnyRecord]) -> tuple[list[Asked], list[AccountingRecord]]:
    """What the database is asked to take by itself, and the records that it is not even asked about."""
    keys = [(record.nas, record.session_id) for record in records]
    times = Counter(keys) if len(set(keys)) < len(keys) else {}
    by_kind: dict[int, list[AnyRecord]] = {START: [], INTERIM: [], STOP: []}
    rest: list[AccountingRecord] = []
    for key, record in zip(keys, records, strict=True):
        alone = times.get(key, 1) == 1  # else their order matters
        if alone and (isinstance(record, Light) or is_usual(record)):
            by_kind[record.kind].append(record)
        else:
            rest.append(record.whole())
    asked = []
    if starts := by_kind[START]:
        refs = new_ids("ses", len(starts))
        asked.append(Asked(_START, [array(TEXT, refs), *_columns(BEGUN, starts)], starts, refs))
    for statement, some in ((_INTERIM, by_kind[INTERIM]), (_STOP, by_kind[STOP])):
        if some:
            asked.append(Asked(statement, _columns(COUNTED, some), some))
    return asked, rest


def is_usual(record: AccountingRecord) -> bool:
    """Whether a record may be taken so: of a known service, and it tells of nothing rare."""
    if not record.service or record.port_first or record.ports or record.also:
        return False
    up, down = record.up_giga, record.down_giga
    if record.kind == START:
        return not (record.up_low or record.down_low or up or down or record.session_time) and not (
            record.service.startswith(VOUCHER_ID)
        )
    return (
        up is not None
        and down is not None
        and up < _GIGA_MOST
        and down < _GIGA_MOST
        and not (record.metered or record.multi_session_id or record.circuit)
        and not (record.reject and record.kind == STOP)
    )


def sorted_out(
    asked: Asked, told: bytes | None
) -> tuple[list[tuple[AnyRecord, str]], list[AccountingRecord]]:
    """By the database's answer (NULL or an int4 array, see `_TOOK`): the Starts that it took, each with its session's
    ref, and the records that it did not take.
    """
    begun = list(zip(asked.records, asked.refs, strict=True)) if asked.refs else []
    if told is None:
        return begun, []
    taken = {number for _size, number in _TAKEN.iter_unpack(told[20:])}
    left = [record.whole() for number, record in enumerate(asked.records, 1) if number not in taken]
    return [one for number, one in enumerate(begun, 1) if number in taken], left


def cells_of(record: AccountingRecord) -> tuple[bytes, ...]:
    """A record's cells, in the order of `BEGUN` or `COUNTED`; of a Start what `merge` makes of it alone."""
    return _begun(record) if record.kind == START else _counted(record)


def _columns(kinds: dict[str, int], some: Sequence[AnyRecord]) -> list[bytes]:
    """The records as an array a column."""
    rows = [one.cells if isinstance(one, Light) else cells_of(one) for one in some]
    return [column(kind, cells) for kind, cells in zip(kinds.values(), zip(*rows, strict=True), strict=True)]


def _begun(one: AccountingRecord) -> tuple[bytes, ...]:
    policy = one.policy_hash or one.wanted_hash
    return (
        _text(one.nas),
        cell(one.session_id),
        moment_cell(one.at),
        _text(one.service),
        _text(policy),
        _flag(bool(one.wanted_hash) and policy != one.wanted_hash),
        _text(one.source),
        _text(one.login),
        _text(one.calling),
        _text(one.framed_address),
        _text(one.framed_prefix),
        _text(one.delegated_prefix),
        _long(one.nas_port),
        _text(one.nas_port_id),
        _flag(one.up_giga is not None or one.down_giga is not None),
        cell(one.interim.to_bytes(4)),
        _text(one.framed_address6),
        _text(one.multi_session_id),
        cell(one.circuit),
    )


def _counted(one: AccountingRecord) -> tuple[bytes, ...]:
    return (
        _text(one.nas),
        cell(one.session_id),
        moment_cell(one.at),
        _long(one.session_time),
        _long((one.up_giga or 0) << 32 | one.up_low),
        _long((one.down_giga or 0) << 32 | one.down_low),
        _text(one.service),
        _text(one.wanted_hash),
        _text(one.source),
        _text(one.cause),
        _text(one.framed_address),
        _text(one.framed_prefix),
        _text(one.delegated_prefix),
        _text(one.framed_address6),
        _flag(one.counts),
    )


def _text(value: str) -> bytes:
    return cell(value.encode()) if value else EMPTY


def _long(number: int) -> bytes:
    return cell(number.to_bytes(8))


def _flag(value: bool) -> bytes:
    return TRUE if value else FALSE
