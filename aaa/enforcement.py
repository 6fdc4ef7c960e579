"""Level-triggered enforcement: which live sessions are not what the view wants, and how each is corrected.

The reconciler's lane waits for `positions` (every worker knows the new policy), asks `stale_sessions`, and has each
corrected (`aaa.coa.correct`) until none is left. "Free" = acknowledged, and no session on the old policy.
"""

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.accounting.merge import Session
from aaa.accounting.store import session_of
from aaa.coa.decide import Action, decide
from aaa.limits.crowd import same_place
from aaa.models import session, session_open
from aaa.opened import each, follow
from aaa.turns import unheld
from aaa.vendors.policy import Policy
from aaa.view.models import nas_records, records_of, view_change, view_policy, view_position
from aaa.view.records import Wanted, decode, service_key
from core import clock
from core.db import Database

UNKNOWN = "unknown"
"""A session's policy hash after a CoA that nobody answered: it may have been applied, or not."""

_CHUNK = 500
_LIVE = 10.0
EXCESS = "over the service's limit of simultaneous sessions"
"""Why a session is corrected that has the wanted policy."""


class Correction(msgspec.Struct, frozen=True):
    """A session that is not what it should be. `wanted_hash` is "gone" when its service is no longer in the view."""

    session: Session
    wanted_hash: str
    wanted: Policy | None
    action: Action


def wanted(index_db: Database, services: Iterable[str]) -> dict[str, Wanted]:
    """What the sessions of these services should have, out of the derived database."""
    names = sorted(set(services))
    found: dict[bytes, bytes] = {}
    with index_db.read() as conn:
        for start in range(0, len(names), _CHUNK):
            keys = [service_key(service) for service in names[start : start + _CHUNK]]
            found |= records_of(conn, keys)
    return {key[2:].decode(): record for key, raw in found.items() if (record := decode(raw, Wanted))}


def changed_after(index_db: Database, seq: int) -> set[str]:
    """The services whose wanted policy changed beyond a sequence of the view."""
    with index_db.read() as conn:
        keys = conn.scalars(sa.select(view_change.c.key).where(view_change.c.seq > seq)).all()
    return {bytes(key)[2:].decode() for key in keys if bytes(key)[:2] == b"s:"}


def corrections(
    sessions: Iterable[Session],
    wanted_by_service: dict[str, Wanted],
    vendor_of: Callable[[str], str | None],
    policies: Callable[[str], Policy | None] = lambda _hash: None,
) -> list[Correction]:
    """Pure: compare open sessions with what is wanted. `vendor_of(device)`, `policies(hash)` -> what it has now.

    Sessions over the service's limit are corrected too: `over: replace` ends the oldest, `reject` the newest. A session
    without a policy hash has its policy from another server (it has not moved in yet): it is not ours to correct.
    """
    ours = [one for one in sessions if one.policy_hash]
    ordered = sorted(ours, key=lambda one: (one.service, one.started_at, one.session_ref))
    found = []
    excess = _excess(ordered, wanted_by_service)
    for one in ordered:
        target = wanted_by_service.get(one.service)
        wanted_hash = target.policy_hash if target else "gone"
        policy = target.policy if target else None
        vendor = vendor_of(one.nas) or "generic"
        if one.session_ref in excess:
            action = msgspec.structs.replace(decide(None, policy, vendor), why=EXCESS)
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
        if target is not None:
            at_door = [one for one in held if one.nas == target.door]
            behind_it = [one for one in held if one.nas != target.door]
            gone |= _over(at_door, target) | _over(behind_it, target)
    return gone


def _over(held: list[Session], target: Wanted) -> set[str]:
    bundles: dict[str, list[Session]] = {}  # the links of one bundle are one
    for one in held:
        bundles.setdefault(one.multi_session_id or one.session_ref, []).append(one)
    if len(bundles) <= target.limit:
        return set()
    each = list(bundles.values())
    extra = each[: -target.limit] if target.over == "replace" else _refused(each, target.limit)
    return {one.session_ref for links in extra for one in links}


def _refused(bundles: list[list[Session]], limit: int) -> list[list[Session]]:
    """`over: reject` ends the newest; but before that, older ones at the place of a newer: its ghosts."""
    ghosts = [
        one
        for index, one in enumerate(bundles)
        if any(same_place(one[0], later[0]) for later in bundles[index + 1 :])
    ][: len(bundles) - limit]
    rest = [one for one in bundles if one not in ghosts]
    return [*ghosts, *rest[limit:]]


def stale_sessions(
    db: Database, index_db: Database, services: Iterable[str] | None = None, marked: bool = False
) -> list[Correction]:
    """Open sessions that are not what the view wants now.

    `services`: only of these (after a change). `marked=True`: of those that accounting marked when they showed up
    stale or as one session more; marks that turn out to be right are taken off. Neither: the sweep over everything.
    """
    if marked:
        refs = marked_sessions(db)
        found = stale_sessions(db, index_db, set(refs.values()))
        unmark(db, refs, found)
        return found
    found = []
    vendor_of = vendors(index_db).get
    for chunk in _open_sessions(db, services):
        known = wanted(index_db, {one.service for one in chunk})
        policies = _policies(index_db, {one.policy_hash for one in chunk})
        found += corrections(chunk, known, vendor_of, policies.get)
    return found


def marked_sessions(db: Database) -> dict[str, str]:
    """Session -> service, of the open sessions that accounting marked."""
    with db.read() as conn:
        marked = sa.select(session_open.c.session_ref, session_open.c.service)
        rows = conn.execute(marked.where(session_open.c.stale == sa.true())).all()
    return {row.session_ref: row.service for row in rows}


def unmark(db: Database, refs: Iterable[str], found: Iterable[Correction]) -> None:
    """Take the marks off sessions that turned out to be right."""
    wrong = {one.session.session_ref for one in found}
    right = sorted(set(refs) - wrong)
    for start in range(0, len(right), _CHUNK):
        with db.write() as conn:
            chosen = session.c.session_ref.in_(right[start : start + _CHUNK])
            # A session that is being written is looked at again: its mark stays.
            free = conn.scalars(unheld(conn, sa.select(session.c.session_ref).where(chosen))).all()
            conn.execute(sa.update(session).where(session.c.session_ref.in_(free)).values(stale=False))
            follow(conn, free)


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
        known = positions(conn, everyone=workers is not None)
    return behind({name: known.get(name, -1) for name in (known if workers is None else workers)}, seq)


def positions(conn: Connection, everyone: bool = False) -> dict[str, int]:
    """How far each worker is: those that wrote their position in the last ten seconds, or `everyone`."""
    now = clock.now()
    return {
        row.worker: int(row.seq)
        for row in conn.execute(sa.select(view_position))
        if everyone or (now - row.seen_at).total_seconds() < _LIVE
    }


def behind(known: dict[str, int], seq: int) -> list[str]:
    """The workers that do not know the view up to `seq` yet. Pure."""
    return sorted(worker for worker, position in known.items() if position < seq)


def _open_sessions(db: Database, services: Iterable[str] | None) -> Iterator[list[Session]]:
    """Whole services at a time, so that the limit sees all sessions of one."""
    for names in _service_chunks(db, services):
        with db.read() as conn:
            source, one = each(conn)
            chosen = sa.select(*one).select_from(source).where(session_open.c.service.in_(names))
            yield [session_of(row) for row in conn.execute(chosen)]


def _service_chunks(db: Database, services: Iterable[str] | None) -> Iterator[list[str]]:
    if services is not None:
        names = sorted(set(services))
        yield from (names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))
        return
    after = ""
    while True:
        some = sa.select(session_open.c.service).where(session_open.c.service > after).distinct()
        with db.read() as conn:
            names = list(conn.scalars(some.order_by(session_open.c.service).limit(_CHUNK)))
        if not names:
            return
        yield names
        after = names[-1]


def vendors(index_db: Database) -> dict[str, str]:
    """The vendor of every NAS, by device."""
    with index_db.read() as conn:
        return {record.device: record.vendor for _key, record in nas_records(conn)}


def _policies(index_db: Database, hashes: set[str]) -> dict[str, Policy]:
    chosen = sa.select(view_policy).where(view_policy.c.policy_hash.in_(sorted(hashes)))
    with index_db.read() as conn:
        rows = conn.execute(chosen).all()
    return {row.policy_hash: msgspec.msgpack.decode(bytes(row.policy), type=Policy) for row in rows}
