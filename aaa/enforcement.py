"""Level-triggered enforcement: which live sessions are not what the view wants, and how each is corrected.

The reconciler's lane calls `acknowledged` (every worker knows the new policy), then `stale_sessions`, then `correct`
for each until none is left. "Free" = acknowledged, and no session on the old policy.
"""

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.accounting.merge import Session
from aaa.accounting.store import session_of
from aaa.coa import client
from aaa.coa.client import Outcome, Pace
from aaa.coa.decide import Action, decide
from aaa.models import enforcement, is_open, is_stale, session
from aaa.radius.nases import NasEntry
from aaa.vendors.policy import Policy
from aaa.view.models import effective, nas_records, view_policy, view_position
from aaa.view.records import Wanted, class_of, decode, service_key
from core import clock
from core.db import Database

EndSession = Callable[[Session], bool]
"""The driver's `end_session`: for a NAS that takes no Disconnect (pppd). True: the session is gone."""

_CHUNK = 500
_LIVE = 10.0
_EXCESS = "over the service's limit of simultaneous sessions"


class Correction(msgspec.Struct, frozen=True):
    """A session that is not what it should be. `wanted_hash` is "gone" when its service is no longer in the view."""

    session: Session
    wanted_hash: str
    wanted: Policy | None
    action: Action


def wanted(index_db: Database, services: Iterable[str]) -> dict[str, Wanted]:
    """What the sessions of these services should have, out of the derived database."""
    found = {}
    with index_db.read() as conn:
        for service in services:
            record = decode(effective(conn, service_key(service)), Wanted)
            if record is not None:
                found[service] = record
    return found


def corrections(
    sessions: Iterable[Session],
    wanted_by_service: dict[str, Wanted],
    vendor_of: Callable[[str], str | None],
    policies: Callable[[str], Policy | None] = lambda _hash: None,
) -> list[Correction]:
    """Pure: compare open sessions with what is wanted. `vendor_of(device)`, `policies(hash)` -> what it has now.

    Sessions over the service's limit are corrected too: `over: replace` ends the oldest, `reject` the newest.
    """
    ordered = sorted(sessions, key=lambda one: (one.service, one.started_at, one.session_ref))
    found = []
    excess = _excess(ordered, wanted_by_service)
    for one in ordered:
        target = wanted_by_service.get(one.service)
        wanted_hash = target.policy_hash if target else "gone"
        policy = target.policy if target else None
        vendor = vendor_of(one.nas) or "generic"
        if one.session_ref in excess:
            action = msgspec.structs.replace(decide(None, policy, vendor), why=_EXCESS)
        elif one.policy_hash != wanted_hash:
            action = decide(policies(one.policy_hash), policy, vendor)
        else:
            continue
        found.append(Correction(one, wanted_hash, policy, action))
    return found


def _excess(sessions: list[Session], wanted_by_service: dict[str, Wanted]) -> set[str]:
    by_service: dict[str, list[Session]] = {}
    for one in sessions:
        by_service.setdefault(one.service, []).append(one)
    gone: set[str] = set()
    for service, held in by_service.items():
        target = wanted_by_service.get(service)
        bundles: dict[str, list[Session]] = {}  # the links of one bundle are one
        for one in held:
            bundles.setdefault(one.multi_session_id or one.session_ref, []).append(one)
        if target is not None and len(bundles) > target.limit:
            each = list(bundles.values())
            extra = each[: -target.limit] if target.over == "replace" else each[target.limit :]
            gone |= {one.session_ref for links in extra for one in links}
    return gone


def stale_sessions(
    db: Database, index_db: Database, services: Iterable[str] | None = None, marked: bool = False
) -> list[Correction]:
    """Open sessions that are not what the view wants now.

    `services`: only of these (after a change). `marked=True`: of those that accounting marked when they showed up
    stale or as one session more; marks that turn out to be right are taken off. Neither: the sweep over everything.
    """
    if marked:
        return _marked(db, index_db)
    found = []
    for chunk in _open_sessions(db, services):
        known = wanted(index_db, {one.service for one in chunk})
        with index_db.read() as conn:
            vendors = _vendors(conn)
            found += corrections(chunk, known, vendors.get, lambda name: _policy(conn, name))
    return found


def _marked(db: Database, index_db: Database) -> list[Correction]:
    with db.read() as conn:
        rows = conn.execute(sa.select(session.c.session_ref, session.c.service).where(is_stale)).all()
    found = stale_sessions(db, index_db, {row.service for row in rows})
    wrong = {one.session.session_ref for one in found}
    right = [row.session_ref for row in rows if row.session_ref not in wrong]
    if right:
        with db.write() as conn:
            for ref in right:
                conn.execute(sa.update(session).where(session.c.session_ref == ref).values(stale=False))
    return found


def correct(
    db: Database,
    correction: Correction,
    nas: NasEntry | None,
    *,
    end_session: EndSession | None = None,
    pace: Pace | None = None,
    waits: tuple[float, ...] = (0.5, 1.0, 2.0),
) -> Outcome:
    """Bring one session to the wanted policy and record what the NAS really answered.

    `nas` from `aaa.radius.nases.entry_at`; None (the NAS has left the network) is `unreachable`. `end_session` is
    the driver's, for vendors without Disconnect. A NAK or a timeout leaves the session stale: it comes again.
    """
    if pace is not None and nas is not None:
        pace.wait(nas)
    outcome = _asked(correction, nas, end_session, waits)
    with db.write() as conn:
        _record(conn, correction, outcome)
    return outcome


def _asked(
    correction: Correction, nas: NasEntry | None, end_session: EndSession | None, waits: tuple[float, ...]
) -> Outcome:
    one, action = correction.session, correction.action
    if action.how == "none":
        return Outcome("acked")
    if action.how == "end-session":
        begun = clock.monotonic()
        if end_session is None:
            return Outcome("unreachable")
        ended = end_session(one)
        spent = int((clock.monotonic() - begun) * 1000)
        return Outcome("acked" if ended else "timeout", milliseconds=spent)
    if nas is None:
        return Outcome("unreachable")
    identity = client.identity_of(nas, one.acct_session_id, one.login, one.framed_address)
    if action.how == "disconnect":
        return client.disconnect(nas, identity, waits=waits)
    told = action.attributes + class_of(one.service, correction.wanted_hash)
    outcome = client.change(nas, identity, told, waits=waits)
    if outcome.result == "nak" and outcome.code in (401, 402, 404, 405, 407):
        # This NAS cannot change what its vendor can (an old release): end the session instead.
        return client.disconnect(nas, identity, waits=waits)
    return outcome


def _record(conn: Connection, correction: Correction, outcome: Outcome) -> None:
    one = correction.session
    conn.execute(
        sa.insert(enforcement).values(
            at=clock.now(),
            session_ref=one.session_ref,
            service=one.service,
            wanted_hash=correction.wanted_hash,
            action=correction.action.how,
            outcome=outcome.result,
            code=outcome.code,
            milliseconds=outcome.milliseconds,
        )
    )
    if not outcome.done:
        return
    target = sa.update(session).where(session.c.session_ref == one.session_ref, is_open)
    if correction.action.how in ("coa", "none") and outcome.result == "acked":
        conn.execute(target.values(policy_hash=correction.wanted_hash, stale=False))
        return
    # The Stop brings the last counters; if the NAS lied, the next interim reopens the session and it is stale again.
    ended = {"state": "closed", "inferred": True, "stale": False, "stopped_at": clock.now()}
    conn.execute(target.values(cause="corrected", **ended))


def acknowledged(
    index_db: Database, seq: int, workers: Iterable[str] | None = None, cap: float = 0.5
) -> list[str]:
    """Wait until every live worker knows the view up to `seq`; return the laggards after `cap` seconds.

    `workers` None: all that wrote their position in the last ten seconds. A redial during a correction then cannot
    land on the old policy, unless it reaches a laggard: those are named, so that the caller can mark them.
    """
    deadline = clock.monotonic() + cap
    while True:
        behind = _behind(index_db, seq, workers)
        if not behind or clock.monotonic() >= deadline:
            return behind
        time.sleep(0.01)


def _behind(index_db: Database, seq: int, workers: Iterable[str] | None) -> list[str]:
    with index_db.read() as conn:
        rows = conn.execute(sa.select(view_position)).all()
    positions = {row.worker: int(row.seq) for row in rows}
    now = clock.now()
    live = {row.worker for row in rows if (now - row.seen_at).total_seconds() < _LIVE}
    wanted_workers = live if workers is None else set(workers)
    return sorted(worker for worker in wanted_workers if positions.get(worker, -1) < seq)


def _open_sessions(db: Database, services: Iterable[str] | None) -> Iterator[list[Session]]:
    """Whole services at a time, so that the limit sees all sessions of one."""
    for names in _service_chunks(db, services):
        chosen = sa.select(session).where(is_open, session.c.service.in_(names))
        with db.read() as conn:
            yield [session_of(row) for row in conn.execute(chosen)]


def _service_chunks(db: Database, services: Iterable[str] | None) -> Iterator[list[str]]:
    if services is not None:
        names = sorted(set(services))
        yield from (names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))
        return
    after = ""
    while True:
        some = sa.select(session.c.service).where(is_open, session.c.service > after)
        with db.read() as conn:
            names = list(conn.scalars(some.distinct().order_by(session.c.service).limit(_CHUNK)))
        if not names:
            return
        yield names
        after = names[-1]


def _vendors(conn: Connection) -> dict[str, str]:
    return {record.device: record.vendor for _key, record in nas_records(conn)}


def _policy(conn: Connection, policy_hash: str) -> Policy | None:
    raw = conn.scalar(sa.select(view_policy.c.policy).where(view_policy.c.policy_hash == policy_hash))
    return None if raw is None else msgspec.msgpack.decode(bytes(raw), type=Policy)
