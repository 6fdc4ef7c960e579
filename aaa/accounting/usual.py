"""The usual records, merged by PostgreSQL itself: one statement inserts the sessions of Starts, another finds those of
Interims or Stops, moves their counters and adds their octets to the day. Nothing is read into Python first.

It takes a record only where the end is beyond doubt that of `merge`: a Start of an id that its NAS never used, or a
record of the newest session of that id, open, of that service, with nothing else to change. It says which it did not
take; the careful way takes those. A test compares the two.
"""

# ruff: noqa: S608 (the only names put into SQL here are our own columns')

import struct
from collections.abc import Sequence
from typing import NamedTuple

from aaa.accounting.arrays import ARRAY_OF, BOOL, INT4, INT8, MOMENT, TEXT, array, moments
from aaa.accounting.arrays import BYTEA as OCTETS
from aaa.accounting.exchange import Statement
from aaa.accounting.record import INTERIM, START, STOP, AccountingRecord
from aaa.limits.limit import VOUCHER_ID
from core.ids import new_ids

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
_BEGUN = {
    "session_ref": TEXT, "nas": TEXT, "acct_session_id": OCTETS, "started_at": MOMENT, "service": TEXT,
    "policy_hash": TEXT, "stale": BOOL, "source": TEXT, "login": TEXT, "calling": TEXT, "framed_address": TEXT,
    "framed_prefix": TEXT, "delegated_prefix": TEXT, "nas_port": INT8, "nas_port_id": TEXT, "gigawords": BOOL,
    "interim": INT4, "framed_address6": TEXT, "multi_session_id": TEXT, "circuit": OCTETS,
}  # fmt: skip
_TAKEN = struct.Struct(">ii")
_TOOK = "CASE WHEN count(*) < cardinality($1) THEN coalesce(array_agg(i::int), '{}') END"
"""Numbers of those that were taken, from 1; NULL: all."""


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
    ) SELECT {_TOOK} FROM taken"""
    return Statement(name, " ".join(sql.split()), tuple(ARRAY_OF[kind] for kind in _COLUMNS.values()))


def _insertion() -> Statement:
    arrays = ", ".join(f"${number}" for number in range(1, len(_BEGUN) + 1))
    given = ", ".join(_BEGUN)
    sql = f"""
    WITH taken AS MATERIALIZED (
      SELECT * FROM unnest({arrays}) WITH ORDINALITY AS n({given}, i) WHERE NOT EXISTS (
        SELECT FROM session
        WHERE session.acct_session_id = n.acct_session_id AND session.nas || '' = n.nas OFFSET 0
      )
    ), made AS (
      INSERT INTO session ({given}, updated_at, state, inferred, cause, session_time, up_octets, down_octets,
        public_address, port_first, port_last)
      SELECT {given}, started_at, 'open', false, '', 0, 0, 0, '', 0, 0 FROM taken
    ) SELECT {_TOOK} FROM taken"""
    return Statement("acct_begun", " ".join(sql.split()), tuple(ARRAY_OF[kind] for kind in _BEGUN.values()))


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
_START = _insertion()


class Asked(NamedTuple):
    """A statement, its values, and the records that it may take; of Starts, the ids of their sessions."""

    statement: Statement
    values: list[bytes]
    records: list[AccountingRecord]
    refs: list[str] = []


def usual(records: Sequence[AccountingRecord]) -> tuple[list[Asked], list[AccountingRecord]]:
    """What the database is asked to take by itself, and the records that it is not even asked about."""
    seen: dict[tuple[str, bytes], int] = {}
    for record in records:
        key = record.nas, record.session_id
        seen[key] = seen.get(key, 0) + 1
    by_kind: dict[int, list[AccountingRecord]] = {START: [], INTERIM: [], STOP: []}
    rest: list[AccountingRecord] = []
    for record in records:
        alone = seen[record.nas, record.session_id] == 1  # else their order matters
        (by_kind[record.kind] if alone and is_usual(record) else rest).append(record)
    asked = []
    if starts := by_kind[START]:
        refs = new_ids("ses", len(starts))
        asked.append(Asked(_START, _begun(refs, starts), starts, refs))
    for statement, some in ((_INTERIM, by_kind[INTERIM]), (_STOP, by_kind[STOP])):
        if some:
            asked.append(Asked(statement, _values(some), some))
    return asked, rest


def is_usual(record: AccountingRecord) -> bool:
    """Whether a record may be taken so: of a known service, and it tells of nothing rare."""
    if not record.service or record.port_first:
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
) -> tuple[list[tuple[AccountingRecord, str]], list[AccountingRecord]]:
    """By the database's answer (NULL or an int4 array, see `_TOOK`): the Starts that it took, each with its session's
    ref, and the records that it did not take.
    """
    begun = list(zip(asked.records, asked.refs, strict=True)) if asked.refs else []
    if told is None:
        return begun, []
    taken = {number for _size, number in _TAKEN.iter_unpack(told[20:])}
    left = [record for number, record in enumerate(asked.records, 1) if number not in taken]
    return [one for number, one in enumerate(begun, 1) if number in taken], left


def _begun(refs: list[str], some: Sequence[AccountingRecord]) -> list[bytes]:
    """The sessions of Starts as an array a column, in the order of `_BEGUN`: what `merge` makes of a Start alone."""
    policies = [one.policy_hash or one.wanted_hash for one in some]
    return [
        array(TEXT, refs),
        array(TEXT, [one.nas for one in some]),
        array(OCTETS, [one.session_id for one in some]),
        moments([one.at for one in some]),
        array(TEXT, [one.service for one in some]),
        array(TEXT, policies),
        array(
            BOOL,
            [
                bool(one.wanted_hash) and policy != one.wanted_hash
                for one, policy in zip(some, policies, strict=True)
            ],
        ),
        array(TEXT, [one.source for one in some]),
        array(TEXT, [one.login for one in some]),
        array(TEXT, [one.calling for one in some]),
        array(TEXT, [one.framed_address for one in some]),
        array(TEXT, [one.framed_prefix for one in some]),
        array(TEXT, [one.delegated_prefix for one in some]),
        array(INT8, [one.nas_port for one in some]),
        array(TEXT, [one.nas_port_id for one in some]),
        array(BOOL, [one.up_giga is not None or one.down_giga is not None for one in some]),
        array(INT4, [one.interim for one in some]),
        array(TEXT, [one.framed_address6 for one in some]),
        array(TEXT, [one.multi_session_id for one in some]),
        array(OCTETS, [one.circuit for one in some]),
    ]


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
