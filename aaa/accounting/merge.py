"""Merge an accounting record into its session. Pure; any order and any number of repetitions give the same end."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from aaa.accounting.record import START, STOP, AccountingRecord
from core.ids import new_id

SAME_START = 300.0
"""Seconds by which two guesses of one session's start may differ (retransmissions, clocks, lost Start)."""

_IMPOSSIBLE = 1 << 56
"""Octets that no session carries: such a counter is a NAS's mistake and is passed over."""


class Session(msgspec.Struct, frozen=True):
    """A row of table `session`."""

    session_ref: str
    nas: str
    acct_session_id: bytes
    started_at: datetime
    service: str
    policy_hash: str
    stale: bool
    state: str
    inferred: bool
    source: str
    login: str
    calling: str
    framed_address: str
    framed_prefix: str
    delegated_prefix: str
    nas_port: int
    nas_port_id: str
    updated_at: datetime
    stopped_at: datetime | None
    cause: str
    session_time: int
    up_octets: int
    down_octets: int
    gigawords: bool
    interim: int
    circuit: bytes = b""


class Merged(msgspec.Struct, frozen=True):
    """The session after a record, and the octets that it newly brought."""

    session: Session
    up: int
    down: int


def find(candidates: Iterable[Session], record: AccountingRecord) -> Session | None:
    """The session that a record belongs to, among those of its NAS and Acct-Session-Id: same service, same start."""
    for session in candidates:
        near = abs(session.started_at.timestamp() - record.started) <= SAME_START
        known = not (session.service and record.service) or session.service == record.service
        if near and known:
            return session
    return None


def merge(session: Session | None, record: AccountingRecord) -> Merged:
    """Apply a Start, Interim or Stop. Counters never go down; a Stop is final; a late record never reopens it."""
    if session is None:
        session = _new(record)
    moment = _moment(record.at)
    newer = moment >= session.updated_at
    up = _count(session.up_octets, record.up_low, record.up_giga, session, record)
    down = _count(session.down_octets, record.down_low, record.down_giga, session, record)
    merged = msgspec.structs.replace(
        session,
        service=session.service or record.service,
        policy_hash=session.policy_hash or record.policy_hash or record.wanted_hash,
        framed_address=record.framed_address or session.framed_address,
        framed_prefix=record.framed_prefix or session.framed_prefix,
        delegated_prefix=record.delegated_prefix or session.delegated_prefix,
        circuit=session.circuit or record.circuit,
        source=record.source if newer else session.source,
        updated_at=max(moment, session.updated_at),
        session_time=max(session.session_time, record.session_time),
        up_octets=up,
        down_octets=down,
        gigawords=session.gigawords or record.up_giga is not None or record.down_giga is not None,
    )
    merged = _with_state(merged, record, moment)
    return Merged(_judged(merged, record), up - session.up_octets, down - session.down_octets)


def _judged(session: Session, record: AccountingRecord) -> Session:
    """Stale when it is live and not on the policy that the view wants."""
    wanted = record.wanted_hash
    stale = session.state == "open" and bool(wanted) and session.policy_hash != wanted
    return msgspec.structs.replace(session, stale=stale)


def _with_state(session: Session, record: AccountingRecord, moment: datetime) -> Session:
    if record.kind == STOP:
        return msgspec.structs.replace(
            session, state="closed", inferred=False, stopped_at=moment, cause=record.cause
        )
    reopens = session.inferred and session.stopped_at is not None and moment > session.stopped_at
    if reopens and record.kind != START:
        return msgspec.structs.replace(session, state="open", inferred=False, stopped_at=None, cause="")
    return session


def _count(have: int, low: int, giga: int | None, session: Session, record: AccountingRecord) -> int:
    if giga is not None:
        told = giga << 32 | low
        return max(have, told) if told < _IMPOSSIBLE else have
    candidate = have >> 32 << 32 | low
    # RFC 2869 section 5.1: a NAS without gigawords wraps; a late or repeated record only looks like that.
    if candidate < have and not session.gigawords and record.session_time > session.session_time:
        candidate += 1 << 32
    return max(have, candidate)


def _new(record: AccountingRecord) -> Session:
    start = _moment(record.started)
    return Session(
        session_ref=new_id("ses"),
        nas=record.nas,
        acct_session_id=record.session_id,
        started_at=start,
        service=record.service,
        policy_hash=record.policy_hash or record.wanted_hash,
        stale=False,
        state="open",
        inferred=False,
        source=record.source,
        login=record.login,
        calling=record.calling,
        framed_address=record.framed_address,
        framed_prefix=record.framed_prefix,
        delegated_prefix=record.delegated_prefix,
        nas_port=record.nas_port,
        nas_port_id=record.nas_port_id,
        updated_at=start,
        stopped_at=None,
        cause="",
        session_time=0,
        up_octets=0,
        down_octets=0,
        gigawords=False,
        interim=record.interim,
        circuit=record.circuit,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
