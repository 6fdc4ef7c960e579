"""What a change would do to subscribers: reply attributes by vendor, and how many live sessions would drop."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from aaa.coa.decide import decide
from aaa.models import session_open
from aaa.opened import each
from aaa.vendors.policy import Policy
from aaa.vendors.registry import text_of
from aaa.view.affected import PROJECTED, affected, projection
from aaa.view.compile import Secrets, compile_service
from aaa.view.records import Access, Wanted, decode
from aaa.view.seal import Seal
from core.errors import TrunklineError
from core.preview import LIST_LIMIT, Comparison, Section, named, preview
from core.problems import Problem
from intents.kinds import path_of
from intents.reader import Reader

_CHUNK = 500
_ITS = "its own"
_OWN = re.compile(r"= (\S+)")


Reply = tuple[str, str, tuple[str, ...]]


class Entitled(msgspec.Struct, frozen=True):
    """What RADIUS would answer for a service: `replies` are (NAS device, its vendor, attributes as text)."""

    status: str
    policy: Policy | None = None
    policy_hash: str = ""
    replies: tuple[Reply, ...] = ()
    keys: tuple[str, ...] = ()
    rest: tuple[object, ...] = ()
    """What else decides a login: limit, bound circuits and MACs, the sealed password."""


NOBODY = Entitled("no login")


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Services to which the same happens on the same NASes' vendors."""

    services: list[str]
    before: list[str]
    after: list[str]
    notes: list[str]


@preview("aaa")
def sections(comparison: Comparison) -> Iterator[Section]:
    """Subscribers, then sessions; nothing when no subscriber's answer changes."""
    before, after, problems = _compiled(comparison)
    moved = [name for name in sorted(before) if before[name] != after[name]]
    if moved or problems:
        yield _subscribers(moved, before, after, problems)
    dropped = [name for name in moved if before[name].policy_hash != after[name].policy_hash]
    had = [name for name in dropped if before[name] != NOBODY and before[name].policy is not None]
    if had:
        yield _sessions(comparison, had, before, after)


def _compiled(comparison: Comparison) -> tuple[dict[str, Entitled], dict[str, Entitled], list[Problem]]:
    services = touched_services(comparison)
    secrets = Secrets(lambda sealed, _path, _name: sealed, Seal(os.urandom(64)))
    problems: list[Problem] = []
    before = {name: _entitled(comparison.base, name, secrets, []) for name in services}
    after = {name: _entitled(comparison.head, name, secrets, problems) for name in services}
    return before, after, problems


def touched_services(comparison: Comparison) -> set[str]:
    """Services whose records the change can alter, seen from both sides."""
    same = [
        (kind, name)
        for kind, name in comparison.changed
        if kind in PROJECTED and _projected(comparison.base, kind, name) == _projected(comparison.head, kind, name)
    ]  # fmt: skip
    return {
        service
        for reader in (comparison.base, comparison.head)
        for service in affected(reader, comparison.changed, same).services
    }


def _projected(reader: Reader, kind: str, name: str) -> bytes:
    return projection(reader, kind, name)


def _entitled(reader: Reader, service: str, secrets: Secrets, problems: list[Problem]) -> Entitled:
    try:
        records = compile_service(reader, service, secrets)
    except TrunklineError as error:
        problems.append(Problem("radius.failed", str(error), path_of("service", service)))
        return NOBODY
    wanted = next((decode(one.record, Wanted) for one in records if one.key[:2] == b"s:"), None)
    access = {one.key: decode(one.record, Access) for one in records if one.key[:2] != b"s:"}
    if wanted is None:
        return NOBODY
    first = next(iter(access.values()), None)
    return Entitled(
        status=first.status if first else "ok",
        policy=wanted.policy,
        policy_hash=wanted.policy_hash,
        replies=tuple(_replies(reader, first)) if first else (),
        keys=tuple(key[2:].decode("utf-8", "replace") for key in access),
        rest=(wanted.limit, wanted.over, *((a.circuits, a.macs, a.credential) for a in access.values() if a)),
    )


def _replies(reader: Reader, access: Access) -> Iterator[Reply]:
    """Without Class: it names the service, and says nothing that people want to know."""
    told = [
        tuple(line for line in text_of(block) if not line.startswith("Class =")) for block in access.blocks
    ]
    for device, index in sorted(access.nas.items()):
        yield device, reader.get("device", device).nas.vendor, told[index]


def _subscribers(
    moved: list[str], before: dict[str, Entitled], after: dict[str, Entitled], problems: list[Problem]
) -> Section:
    groups = _groups(moved, before, after)
    came = [name for name in moved if before[name] == NOBODY]
    went = [name for name in moved if after[name] == NOBODY]
    rest = len(moved) - len(came) - len(went)
    counts = f"{len(came)} new, {len(went)} gone, {rest} with another answer"
    lines = [f"{_counted(len(moved), 'subscriber')} would change: {counts}."]
    for group in groups[:LIST_LIMIT]:
        lines += ["", *_shown(group)]
    if len(groups) > LIST_LIMIT:
        rest = sum(len(group.services) for group in groups[LIST_LIMIT:])
        lines += ["", f"{rest} more subscribers in {len(groups) - LIST_LIMIT} more groups are left out here."]
    return Section(
        title="Subscribers",
        order=30,
        markdown="\n".join(lines),
        data={"subscribers": len(moved), "groups": [msgspec.to_builtins(group) for group in groups]},
        problems=tuple(problems),
    )


def _groups(moved: list[str], before: dict[str, Entitled], after: dict[str, Entitled]) -> list[Group]:
    """The largest first. A service's own addresses are named only where it stands alone."""
    alike: dict[object, list[str]] = {}
    for name in moved:
        alike.setdefault(_difference(before[name], after[name], mask=True), []).append(name)
    found = []
    for names in alike.values():
        gone, come, notes = _difference(before[names[0]], after[names[0]], mask=len(names) > 1)
        found.append(Group(services=names, before=list(gone), after=list(come), notes=list(notes)))
    return sorted(found, key=lambda group: (-len(group.services), group.services[0]))


def _difference(old: Entitled, new: Entitled, *, mask: bool) -> tuple[tuple[str, ...], ...]:
    """What goes, what comes, what else is to say."""
    before, after = _flat(old), _flat(new)
    gone = [line for line in before if line not in after]
    come = [line for line in after if line not in before]
    if mask:
        gone, come = _masked(gone, old.policy), _masked(come, new.policy)
    return tuple(gone), tuple(come), tuple(_notes(old, new))


def _masked(lines: list[str], policy: Policy | None) -> list[str]:
    own = {policy.address4, policy.address6, policy.wan6, policy.pd} - {""} if policy else set()
    return [_OWN.sub(lambda found: f"= {_ITS}" if found[1] in own else found[0], line) for line in lines]


def _flat(entitled: Entitled) -> list[str]:
    if entitled == NOBODY:
        return []
    if entitled.policy is None:
        return ["Access-Reject (blocked)"]
    if entitled.status == "no-address":
        return ["Access-Reject (no address to give)"]
    blocks: dict[tuple[str, ...], set[str]] = {}
    for _, vendor, lines in entitled.replies:
        blocks.setdefault(lines, set()).add(vendor)
    many = len(blocks) > 1
    on = {lines: f"  ({', '.join(sorted(vendors))})" if many else "" for lines, vendors in blocks.items()}
    return [f"{line}{on[lines]}" for lines in blocks for line in lines]


def _notes(old: Entitled, new: Entitled) -> list[str]:
    if NOBODY in (old, new):
        return ["new login" if old == NOBODY else "its login goes"]
    notes = ["the login, circuit or MAC changes"] if old.keys != new.keys else []
    devices = [{device for device, _, _ in one.replies} for one in (old, new)]
    if devices[0] != devices[1]:
        notes.append(f"served by {', '.join(sorted(devices[1])) or 'no NAS'}")
    if old.rest != new.rest and old.keys == new.keys:
        notes.append("password, bindings or session limit change")
    return notes


def _shown(group: Group) -> list[str]:
    count = _counted(len(group.services), "subscriber")
    notes = f" ({'; '.join(group.notes)})" if group.notes else ""
    lines = [f"**{count}**{notes}: {named(group.services, 10)}"]
    differing = [f"- {line}" for line in group.before] + [f"+ {line}" for line in group.after]
    return [*lines, "", "```diff", *differing, "```"] if differing else lines


def _sessions(
    comparison: Comparison, names: list[str], before: dict[str, Entitled], after: dict[str, Entitled]
) -> Section:
    """How each live session would be corrected, by vendor; counted where recorded state is at hand."""
    live = None if comparison.db is None else _live(comparison.db, names)
    subscribers: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for name in names:
        hows = {
            device: _how(comparison, device, before[name], after[name])
            for device, _, _ in before[name].replies
        }
        worst = max(hows.values(), key=_WORST.index, default="none")
        subscribers[worst] += 1
        for device, count in (live or {}).get(name, {}).items():
            counts[hows.get(device, "disconnect")] += count
    rows = [f"| {_MEANING[how]} | {subscribers[how]} | {counts[how] if live is not None else '?'} |"
            for how in _WORST if subscribers[how] or counts[how]]  # fmt: skip
    table = ["| what happens to a live session | subscribers | live now |", "|---|---|---|", *rows]
    dropped = counts["disconnect"] + counts["end-session"]
    if live is None:
        told = "How many are online is known only beside the database: no database is at hand here."
    else:
        told = f"{_counted(dropped, 'live session')} would drop."
    data = {"subscribers": dict(subscribers), "live": None if live is None else dict(counts)}
    return Section(title="Live sessions", order=40, markdown="\n".join([told, "", *table]), data=data)


_WORST = ["none", "coa", "disconnect", "end-session"]
_MEANING = {
    "none": "stays as it is",
    "coa": "changed while it lives (CoA)",
    "disconnect": "dropped (Disconnect), redials",
    "end-session": "dropped by the driver: the NAS takes no Disconnect",
}


def _how(comparison: Comparison, device: str, old: Entitled, new: Entitled) -> str:
    for reader in (comparison.base, comparison.head):
        value = reader.get("device", device)
        if value is not None and value.nas is not None:
            try:
                return decide(old.policy, new.policy, value.nas.vendor).how
            except TrunklineError:
                continue
    return "disconnect"


def _live(db: Any, services: list[str]) -> dict[str, dict[str, int]]:
    """Service -> NAS -> open sessions."""
    found: dict[str, dict[str, int]] = {}
    with db.read() as conn:
        source, one = each(conn)
        for start in range(0, len(services), _CHUNK):
            query = (
                sa.select(one.service, one.nas, sa.func.count())
                .select_from(source)
                .where(session_open.c.service.in_(services[start : start + _CHUNK]))
                .where(one.policy_hash != "")  # another server's (moving in): not ours to drop
                .group_by(one.service, one.nas)
            )
            for service, nas, count in conn.execute(query):
                found.setdefault(service, {})[nas] = count
    return found


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
