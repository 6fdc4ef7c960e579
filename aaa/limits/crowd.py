"""Simultaneous use: ghosts that a new session of the same place replaces, and services that are full.

Called by accounting after the commit of the sessions, so that of two nodes the later sees both; set-based: two
questions a batch, however large.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa import turns
from aaa.limits import store
from aaa.limits.limit import AT_DOOR, BEHIND, FULL, Limit, full_sides
from aaa.models import is_open, service_limit, session, session_open
from aaa.opened import each, follow
from core.db import Database

if TYPE_CHECKING:
    from aaa.accounting.merge import Session

_CHUNK = 300


class Rule(msgspec.Struct, frozen=True):
    """A service's limit: `most` sessions at once; one more is refused (`reject`) or ends the oldest. It holds for each
    of two sides: at the AP that is the radio line's `door`, and behind it.
    """

    most: int
    reject: bool
    door: str = ""


class Open(msgspec.Struct, frozen=True):
    """An open session, as far as its place matters: circuit-id octets and MAC, b"" where unknown."""

    ref: str
    service: str
    started: float
    circuit: bytes
    mac: bytes
    bundle: str = ""
    """The same for the links of one bundle, which are one session."""
    nas: str = ""

    @property
    def places(self) -> frozenset[bytes]:
        """Where a login would be a replacement of this session."""
        return frozenset({self.circuit, self.mac} - {b""})


class Judged(msgspec.Struct, frozen=True):
    """What follows for one side of a service: sessions that are ghosts, sessions to be looked at, where it is live."""

    ghosts: tuple[Open, ...]
    crowded: tuple[Open, ...]
    live: tuple[Open, ...]


def judge(sessions: Iterable[Open], rule: Rule, new: frozenset[str]) -> Judged:
    """Of more sessions than may be, an older one at the place of a newer, *new* one is its ghost: the NAS lost it
    without a Stop. One that proves alive comes back with its next record, and is not `new` then: it is corrected.
    """
    ordered = sorted(sessions, key=lambda one: (one.started, one.ref))
    excess = _count(ordered) - rule.most
    ghosts: list[Open] = []
    for index, one in enumerate(ordered):
        replaced = any(
            later.ref in new and one.places & later.places and one.bundle != later.bundle
            for later in ordered[index + 1 :]
        )
        if replaced and _count([*ghosts, one]) <= excess:
            ghosts.append(one)
    live = tuple(one for one in ordered if one not in ghosts)
    return Judged(tuple(ghosts), live if _count(live) > rule.most else (), live)


def _count(sessions: Iterable[Open]) -> int:
    """How many sessions they are: the links of a bundle are one."""
    return len({one.bundle for one in sessions})


def settle(conn: Connection, rules: Mapping[str, Rule], new: Iterable[str]) -> None:
    """These services got or lost sessions (`new`: refs of sessions that began).

    Closes ghosts as inferred, marks the sessions of crowded services for the enforcement lane, and writes or lifts
    the limit `full` of services that refuse.
    """
    if not rules:
        return
    ghosts: list[tuple[Open, float]] = []
    crowded: list[str] = []
    full, free = [], []
    for name, sides in _judged(conn, rules, frozenset(new)).items():
        rule = rules[name]
        for judged in sides.values():
            newest = max((one.started for one in judged.live), default=0.0)
            ghosts += [(one, newest) for one in judged.ghosts]
            crowded += [one.ref for one in judged.crowded]
        live = {side: judged.live for side, judged in sides.items()}
        if rule.reject and (taken := [side for side in sides if _count(live[side]) >= rule.most]):
            full.append(_full(name, rule, [one for some in live.values() for one in some], taken))
        elif rule.reject:
            free.append((name, FULL))
    turns.hold(conn, [*crowded, *(one.ref for one, _newest in ghosts)])
    _close(conn, ghosts)
    _mark(conn, crowded)
    if full or free:
        store.put(conn, full, "accounting")
        store.lift(conn, _there(conn, free))


def recall(db: Database, rule_of: Callable[[str], Rule | None]) -> int:
    """Settle every service that has more open sessions than it may; returns how many.

    `settle` comes after the commit of the sessions, and who is killed in between leaves a crowd without its marks: a
    worker that starts looks for them. What one service has is a few rows of an index. `rule_of(service)`: None for one
    that nobody knows.
    """
    with db.read() as conn:
        service = session_open.c.service
        several = sa.select(service).where(service != "").group_by(service).having(sa.func.count() > 1)
        names = conn.scalars(several).all()
    known = {name: rule for name in sorted(names) if (rule := rule_of(name)) is not None}
    found = 0
    for start in range(0, len(known), _CHUNK):
        some = dict(list(known.items())[start : start + _CHUNK])
        with db.read() as conn:
            crowded = {name for name, sides in _judged(conn, some, frozenset()).items() if _is_crowded(sides)}
        if crowded:
            with db.write() as conn:
                settle(conn, {name: some[name] for name in crowded}, ())
        found += len(crowded)
    return found


def relieve(conn: Connection, services: Iterable[str] = ()) -> int:
    """Lift `full` of those of the services that are not, or not on both sides; returns how many those are."""
    rules = _relievable(conn, services)
    settle(conn, rules, ())
    return len(rules)


def relievable(conn: Connection, services: Iterable[str] | None = None) -> list[str]:
    """Services, of these or of all, that count as full although sessions ended without a record: a BNG that restarted,
    silence, a correction. Reads only.
    """
    return list(_relievable(conn, services))


def _relievable(conn: Connection, services: Iterable[str] | None) -> dict[str, Rule]:
    source, one = each(conn)
    link = sa.func.coalesce(sa.func.nullif(one.multi_session_id, ""), one.session_ref)
    mine = service_limit.c.cause == FULL
    if services is not None:
        mine = sa.and_(mine, service_limit.c.service.in_(sorted(set(services))))
    full = sa.select(service_limit.c.service).where(mine)
    live = sa.select(one.service, one.nas, link).select_from(source).where(session_open.c.service.in_(full))
    links: dict[str, list[tuple[str, str]]] = {}
    for service, nas, bundle in conn.execute(live.distinct()):
        links.setdefault(service, []).append((nas, bundle))
    found = {}
    for row in conn.execute(sa.select(service_limit.c.service, service_limit.c.data).where(mine)):
        rule = Rule(row.data["most"], True, row.data.get("door", ""))
        open_ = {BEHIND: set[str](), AT_DOOR: set[str]()}
        for nas, bundle in links.get(row.service, ()):
            open_[_side(nas, rule.door)].add(bundle)
        if any(len(open_[side]) < rule.most for side in full_sides(row.data)):
            found[row.service] = rule
    return found


def _judged(conn: Connection, rules: Mapping[str, Rule], new: frozenset[str]) -> dict[str, dict[str, Judged]]:
    """Each service's sides, in the order of their names."""
    by_service: dict[str, list[Open]] = {name: [] for name in sorted(rules)}
    for one in _open(conn, list(by_service)):
        by_service[one.service].append(one)
    return {
        name: {side: judge(some, rules[name], new) for side, some in _apart(found, rules[name].door).items()}
        for name, found in by_service.items()
    }


def _is_crowded(sides: Mapping[str, Judged]) -> bool:
    return any(judged.crowded for judged in sides.values())


def _full(service: str, rule: Rule, live: Sequence[Open], sides: list[str]) -> Limit:
    places = sorted({place.hex() for one in live for place in one.places})
    data: dict[str, Any] = {"live": places, "most": rule.most}
    if rule.door:
        data |= {"door": rule.door, "sides": sides}
    return Limit(service, FULL, "full", data=data)


def _apart(sessions: Iterable[Open], door: str) -> dict[str, list[Open]]:
    found: dict[str, list[Open]] = {BEHIND: [], AT_DOOR: []}
    for one in sessions:
        found[_side(one.nas, door)].append(one)
    return found


def _side(nas: str, door: str) -> str:
    return AT_DOOR if door and nas == door else BEHIND


def _there(conn: Connection, keys: list[store.Key]) -> list[store.Key]:
    """Those of the limits that there are: nobody takes the feed's turn for nothing."""
    if not keys:
        return []
    found = {(one.service, one.cause) for one in store.read(conn, [service for service, _cause in keys])}
    return [key for key in keys if key in found]


def _open(conn: Connection, services: list[str]) -> list[Open]:
    source, row = each(conn)
    columns = sa.select(
        row.session_ref, row.service, row.started_at, row.circuit, row.calling, row.multi_session_id, row.nas
    ).select_from(source)
    found: list[Open] = []
    for start in range(0, len(services), _CHUNK):
        which = session_open.c.service.in_(services[start : start + _CHUNK])
        rows = conn.execute(columns.where(which))
        found += [
            Open(ref, service, began.timestamp(), bytes(circuit), mac_of(calling), bundle or ref, nas)
            for ref, service, began, circuit, calling, bundle, nas in rows
        ]
    return found


def mac_of(calling: str) -> bytes:
    """Twelve hex digits of a Calling-Station-Id that is a MAC; b"" for anything else."""
    digits = "".join(char for char in calling.lower() if char in "0123456789abcdef")
    return digits.encode() if len(digits) == 12 and len(calling) <= 17 else b""


def same_place(one: "Session", other: "Session") -> bool:
    """Whether two sessions are of one circuit or MAC."""
    mac, circuit = mac_of(one.calling), one.circuit
    return bool((mac and mac == mac_of(other.calling)) or (circuit and circuit == other.circuit))


def _close(conn: Connection, ghosts: list[tuple[Open, float]]) -> None:
    if not ghosts:
        return
    statement = sa.update(session).where(session.c.session_ref == sa.bindparam("ref"), is_open)
    statement = statement.values(
        state="closed", inferred=True, stale=False, cause="replaced", stopped_at=sa.bindparam("moment")
    )
    conn.execute(statement, [{"ref": one.ref, "moment": store.moment(int(newest))} for one, newest in ghosts])
    follow(conn, [one.ref for one, _newest in ghosts])


def _mark(conn: Connection, refs: list[str]) -> None:
    for start in range(0, len(refs), _CHUNK):
        mine = session.c.session_ref.in_(refs[start : start + _CHUNK])
        conn.execute(
            sa.update(session).where(mine, is_open, session.c.stale == sa.false()).values(stale=True)
        )
    follow(conn, refs)
