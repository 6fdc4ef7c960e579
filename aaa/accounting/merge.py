"""Merge an accounting record into its session. Pure; any order and any number of repetitions give the same end."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from aaa.accounting.record import GONE, START, STOP, AccountingRecord
from core.ids import new_id

SAME_START = 300.0
"""Seconds by which two guesses of one session's start may differ (retransmissions, clocks, lost Start)."""

SURE = 30.0
"""A start so near to that of the newest session, while it is open and nothing newer is known of it, is its start."""

MISSED = 3
"""Interims without which a session counts as over."""

SILENT = "silent"
"""The cause of a session that was closed because it missed its interims."""

_DRIFT = 0.001
"""So much more a second of a session's life: a NAS counts Acct-Session-Time by a clock of its own, for months."""

JITTER = 3.0
"""Seconds by which the moments of a record and of its repetition differ: Acct-Delay-Time is whole seconds."""

_ROUND = 1 << 32
"""Where a counter without gigawords begins again."""

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
    """The session that a record belongs to, among those of its NAS and Acct-Session-Id, which come newest first: of the
    same service, and of the nearest start within `SAME_START` (by the first record or by the newest); else the one that
    lives and that the record goes on with: our own clock was set.
    """
    known = [
        one for one in candidates if not (one.service and record.service) or one.service == record.service
    ]
    if record.kind != START and not record.session_time:
        return _by_moment(known, record)
    apart = SAME_START + record.session_time * _DRIFT
    near: list[tuple[float, int]] = []
    for index, session in enumerate(known):
        off = _off(session, record)
        if off <= SURE and session.state == "open" and record.at >= session.updated_at.timestamp():
            return session  # PostgreSQL takes it without a look at older ones
        if off <= apart and not _began_after(session, record, off):
            near.append((off, index))
    if near:
        return known[min(near)[1]]
    goes_on = next((session for session in known if _goes_on(session, record)), None)
    return goes_on or next((session for session in known if _is_before(session, record)), None)


def _off(session: Session, record: AccountingRecord) -> float:
    """Seconds between the starts that the session and the record tell of."""
    began = record.started
    by_newest = abs(session.updated_at.timestamp() - session.session_time - began)
    return min(by_newest, abs(session.started_at.timestamp() - began))


def _began_after(session: Session, record: AccountingRecord, off: float) -> bool:
    """Whether the session was over before the record's began: its id was used again. What comes again without
    Acct-Delay-Time only looks younger.
    """
    over = session.stopped_at
    if over is None or off <= JITTER or record.started <= over.timestamp():
        return False
    again = record.session_time == session.session_time and _same_octets(session, record)
    return record.kind == START or not (again or _fell_silent(session))


def _by_moment(known: list[Session], record: AccountingRecord) -> Session | None:
    """The session of an Interim or Stop that does not tell Acct-Session-Time: the one in whose life its moment is, or
    nearly is; else the one that lives.
    """
    for slack in (0.0, SAME_START):
        for session in known:
            stopped = None if session.inferred else session.stopped_at
            late = record.at - stopped.timestamp() if stopped is not None else 0.0
            fits = late <= JITTER or (late <= slack and _same_octets(session, record))
            if fits and session.started_at.timestamp() - slack <= record.at:
                return session
    alive = (session for session in known if session.state == "open" or _fell_silent(session))
    return next(alive, None) or next((one for one in known if _is_before(one, record)), None)


def _same_octets(session: Session, record: AccountingRecord) -> bool:
    """Whether its counters show what the record says: a Stop that comes again."""
    have = session.up_octets % _ROUND, session.down_octets % _ROUND
    return have == (record.up_low, record.down_low)


def _is_before(session: Session, record: AccountingRecord) -> bool:
    """Whether the record is from before a session of which nothing tells when it began."""
    return _is_without_start(session) and record.at < session.started_at.timestamp()


def _is_without_start(session: Session) -> bool:
    """Whether all that is known are Interims or a Stop that did not tell Acct-Session-Time."""
    if session.session_time:
        return False
    return _is_stopped(session) or bool(session.up_octets or session.down_octets)


def _goes_on(session: Session, record: AccountingRecord) -> bool:
    """Whether Acct-Session-Time, by the NAS's own clock, goes on where we heard of the session last. What is said to be
    from before its start is of an older one, unless it can be what the NAS said next.
    """
    lives = session.state == "open" or _fell_silent(session)
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
    before = _new(record) if session is None else _begun_before(session, record)
    moment = _moment(record.at)
    # The NAS's clock counts on when ours is set back.
    newer = moment >= before.updated_at or record.session_time > before.session_time
    up = _count(before.up_octets, record.up_low, record.up_giga, before, record)
    down = _count(before.down_octets, record.down_low, record.down_giga, before, record)
    state, inferred, stopped_at, cause = _ending(before, record, moment)
    policy = before.policy_hash or record.policy_hash or record.wanted_hash
    wanted = record.wanted_hash
    # A public address without ports is of a block that was given back: what comes late does not bring it again.
    ported = record.port_first and (newer or not before.public_address)
    gave_back = not ported and newer and _gave_back(before, record)
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
        session_time=max(before.session_time, _lasted(before, record)),
        up_octets=up,
        down_octets=down,
        gigawords=before.gigawords or _is_without_rounds(record),
        framed_address6=_told(before.framed_address6, record.framed_address6, newer),
        multi_session_id=before.multi_session_id or record.multi_session_id,
        public_address=record.public_address if ported else before.public_address,
        port_first=record.port_first if ported else 0 if gave_back else before.port_first,
        port_last=record.port_last if ported else 0 if gave_back else before.port_last,
        circuit=before.circuit or record.circuit,
    )
    return Merged(merged, up - before.up_octets, down - before.down_octets)


def _told(have: str, told: str, newer: bool) -> str:
    """The newest record that names an address is right, however late another arrives."""
    return told if told and (newer or not have) else have


def _gave_back(before: Session, record: AccountingRecord) -> bool:
    """Whether the record says that the session has its block of ports no more."""
    return (before.public_address, before.port_first, before.port_last, GONE) in record.ports


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


def _begun_before(session: Session, record: AccountingRecord) -> Session:
    """The session with the start that a record tells which came behind others of it."""
    if not _is_before(session, record):
        return session
    start = _moment(record.started)
    told = record.kind == START or record.session_time
    lasted = round((session.updated_at - start).total_seconds()) if told else 0
    return msgspec.structs.replace(session, started_at=start, session_time=lasted)


def _lasted(session: Session, record: AccountingRecord) -> int:
    """Acct-Session-Time; where an Interim or Stop does not tell it, our own clock goes on from the newest record."""
    if record.session_time or record.kind == START or _is_without_start(session):
        return record.session_time
    return session.session_time + round(record.at - session.updated_at.timestamp())


def _age(session: Session, record: AccountingRecord) -> int:
    """Whether a record is newer (1) than what is known, late (-1), or neither (0). Nothing is newer than a Stop."""
    if _is_stopped(session) and record.kind != STOP:
        return -1
    longer: float = record.session_time - session.session_time
    if not record.session_time and record.kind != START:
        longer = round(record.at - session.updated_at.timestamp())
    if longer < 0:
        return 0 if record.kind == STOP and not _is_stopped(session) else -1
    return int(longer > 0)


def _is_stopped(session: Session) -> bool:
    return session.state == "closed" and not session.inferred


def _is_without_rounds(record: AccountingRecord) -> bool:
    """Whether a smaller counter means no wrap: its NAS sends gigawords, or leaves octets out of its Stop."""
    silent = record.kind == STOP and not (record.up_low or record.down_low)
    return silent or record.up_giga is not None or record.down_giga is not None


def _count(have: int, low: int, giga: int | None, session: Session, record: AccountingRecord) -> int:
    """The counter after a record: never less than it was, and never more than what is told proves.

    RFC 2869 section 5.1: a NAS without gigawords begins again at 0 after 4 GiB. A newer record may show that; of one
    that is neither newer nor late the nearer meaning is taken; a late one tells something in the first round only.
    """
    if giga is not None:
        told = giga << 32 | low
        return max(have, told) if told < _IMPOSSIBLE else have
    if not have or not low:  # who tells nothing tells 0
        return have or low
    age = _age(session, record)
    if session.gigawords:  # left out while they are 0; or once, by mistake
        return max(have, (have >> 32 << 32 if age > 0 else 0) | low)
    ahead = (low - have) % _ROUND
    if age > 0 or (age == 0 and ahead < _ROUND >> 1):
        return have + ahead
    if have >= _ROUND or low <= have:
        return have
    # More than now, and before: a round that nobody saw.
    return have + _ROUND if 0 < record.session_time < session.session_time else low


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
