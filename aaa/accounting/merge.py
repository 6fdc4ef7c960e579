"""Merge an accounting record into its session. Pure; any order and any number of repetitions give the same end."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from aaa.accounting.record import START, STOP, AccountingRecord
from core.ids import new_id

SAME_START = 300.0
"""Seconds by which two guesses of one session's start may differ (retransmissions, clocks, lost Start)."""

MISSED = 3
"""Interims without which a session counts as over."""

SILENT = "silent"
"""The cause of a session that was closed because it missed its interims."""

_DRIFT = 0.001
"""So much more a second of a session's life: a NAS counts Acct-Session-Time by a clock of its own, for months."""

_JITTER = 3.0
"""Seconds by which the moments of a record and of its repetition differ: Acct-Delay-Time is whole seconds."""

_LOW = (1 << 32) - 1
"""What a counter without gigawords shows."""

_IMPOSSIBLE = 1 << 56
"""Octets that no session carries: such a counter is a NAS's mistake and is passed over."""


class Session(msgspec.Struct, frozen=True, gc=False):
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
    framed_address6: str = ""
    multi_session_id: str = ""
    public_address: str = ""
    port_first: int = 0
    port_last: int = 0
    circuit: bytes = b""


class Merged(msgspec.Struct, frozen=True, gc=False):
    """The session after a record, and the octets that it newly brought."""

    session: Session
    up: int
    down: int


def find(candidates: Iterable[Session], record: AccountingRecord) -> Session | None:
    """The session that a record belongs to, among those of its NAS and Acct-Session-Id: same service, and same start by
    the first record or by the newest; else the one that lives and that the record goes on with: our own clock was set.
    """
    known = [
        one
        for one in candidates
        if (not (one.service and record.service) or one.service == record.service)
        and not _was_over(one, record)
    ]
    apart = SAME_START + record.session_time * _DRIFT
    nearest = min(known, key=lambda session: _apart(session, record), default=None)
    if nearest is not None and _apart(nearest, record) <= apart:
        return nearest
    return next((session for session in known if _goes_on(session, record)), None)


def _apart(session: Session, record: AccountingRecord) -> float:
    """Seconds between the starts of a session and of a record's, by our first and by the newest word on it."""
    begun = session.started_at.timestamp(), session.updated_at.timestamp() - session.session_time
    return min(abs(one - record.started) for one in begun)


def _was_over(session: Session, record: AccountingRecord) -> bool:
    """Whether a session was stopped before the record's began: a NAS that restarted counts its ids from 1 again."""
    return (
        session.state == "closed"
        and not session.inferred
        and session.stopped_at is not None
        and record.started > max(session.stopped_at, session.started_at).timestamp() + _JITTER
    )


def _goes_on(session: Session, record: AccountingRecord) -> bool:
    """Whether Acct-Session-Time, by the NAS's own clock, goes on where we heard of the session last. What is said to be
    from before its start is of an older one, unless it can be what the NAS said next. A Stop need not have it (RFC 2866
    section 5.13).
    """
    lives = session.state == "open" or _fell_silent(session)
    if not record.session_time:
        return lives and record.kind != START and record.at >= session.started_at.timestamp()
    longer = record.session_time - session.session_time
    at_once = longer <= MISSED * record.interim
    return (
        lives
        and record.kind != START
        and longer >= 0
        and (at_once or record.at >= session.started_at.timestamp())
    )


def _fell_silent(session: Session) -> bool:
    return session.inferred and session.cause == SILENT


def merge(session: Session | None, record: AccountingRecord) -> Merged:
    """Apply a Start, Interim or Stop. Counters never go down; a Stop is final; a late record never reopens it."""
    before = _new(record) if session is None else session
    moment = _moment(record.at)
    # The NAS's clock counts on when ours is set back.
    newer = moment >= before.updated_at or record.session_time > before.session_time
    longer = record.session_time > before.session_time
    up = _count(before.up_octets, record.up_low, record.up_giga, before.gigawords, newer, longer)
    down = _count(before.down_octets, record.down_low, record.down_giga, before.gigawords, newer, longer)
    state, inferred, stopped_at, cause = _ending(before, record, moment)
    policy = before.policy_hash or record.policy_hash or record.wanted_hash
    wanted = record.wanted_hash
    ported = record.port_first and (newer or not before.port_first)
    merged = msgspec.structs.replace(
        before,
        service=before.service or record.service,
        policy_hash=policy,
        # Stale when it is live and not on the policy that the view wants.
        stale=state == "open" and bool(wanted) and policy != wanted,
        state=state,
        inferred=inferred,
        source=record.source if newer else before.source,
        framed_address=_told(before.framed_address, record.framed_address, newer),
        framed_prefix=_told(before.framed_prefix, record.framed_prefix, newer),
        delegated_prefix=_told(before.delegated_prefix, record.delegated_prefix, newer),
        updated_at=moment if newer else before.updated_at,
        stopped_at=stopped_at,
        cause=cause,
        session_time=max(before.session_time, record.session_time),
        up_octets=up,
        down_octets=down,
        gigawords=before.gigawords or record.up_giga is not None or record.down_giga is not None,
        framed_address6=_told(before.framed_address6, record.framed_address6, newer),
        multi_session_id=before.multi_session_id or record.multi_session_id,
        public_address=record.public_address if ported else before.public_address,
        port_first=record.port_first if ported else before.port_first,
        port_last=record.port_last if ported else before.port_last,
        circuit=before.circuit or record.circuit,
    )
    return Merged(merged, up - before.up_octets, down - before.down_octets)


def _told(have: str, told: str, newer: bool) -> str:
    """The newest record that names an address is right, however late another arrives."""
    return told if told and (newer or not have) else have


def _ending(
    before: Session, record: AccountingRecord, moment: datetime
) -> tuple[str, bool, datetime | None, str]:
    """State, inferred, stopped_at, cause after the record."""
    if record.kind == STOP:
        return "closed", False, moment, record.cause
    reopens = before.inferred and before.stopped_at is not None and moment > before.stopped_at
    reopens = reopens or (_fell_silent(before) and record.session_time > before.session_time)
    if reopens and record.kind != START:
        return "open", False, None, ""
    return before.state, before.inferred, before.stopped_at, before.cause


def _count(have: int, low: int, giga: int | None, gigawords: bool, newer: bool, longer: bool) -> int:
    """The counter after a record that has `low` and `giga` of it (None: no gigawords). `gigawords`: the NAS has told
    them before; `newer`, `longer`: the record is the newest, and of a later Acct-Session-Time.
    """
    if giga is not None:
        told = giga << 32 | low
        return max(have, told) if told < _IMPOSSIBLE else have
    epoch, shown = have >> 32, have & _LOW
    if not newer:
        # What was counted earlier is never more. Where it looks like more, the counter has wrapped since: once that we
        # know of, or it did and we know now.
        wrapped = low > shown and not epoch and not gigawords
        return have + (1 << 32) if wrapped and shown else max(have, low)
    if low < shown:
        # RFC 2869 section 5.1: a NAS without gigawords wraps; one that leaves its counters out says nothing.
        return have + (1 << 32) - shown + low if longer and low and not gigawords else have
    return epoch << 32 | low


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
        multi_session_id=record.multi_session_id,
        circuit=record.circuit,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
