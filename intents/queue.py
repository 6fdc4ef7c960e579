"""The change queue: what billing, crm, console and API want to be so, as rows of their own transaction.

A producer that may contradict itself (hold, release, hold again) takes `bump_fence(conn, key)` under its row
lock and sends the version along: per path the highest version wins, in whatever order the sets arrive.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core import clock, db, ids
from core.errors import Terminal
from intents.models import change, change_set, fence
from intents.states import State

Op = Literal["put", "delete"]
ActorKind = Literal["machine", "staff"]
_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,79}")
_PRECONDITION = re.compile(r"absent|mine|blob:[0-9a-f]{40,64}|after:\S+")


class ChangeNotUsable(Terminal):
    """A change cannot be queued as it is."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"change of '{path}' cannot be queued: {why}")


class ChangeSetMissing(Terminal):
    """Nobody has queued a change set of this id."""

    def __init__(self, set_id: str) -> None:
        super().__init__(f"change set {set_id} is unknown; look it up in `trunkline status`")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One file to write or to remove, with what must hold for it."""

    path: str
    op: Op = "put"
    content: bytes | None = None
    fence_key: str | None = None
    fence_version: int | None = None
    precondition: str | None = None
    """`absent`, `blob:<object id>`, `after:<change id>` or `mine`; none: whatever is there."""
    change_id: str = msgspec.field(default_factory=lambda: ids.new_id("chg"))


def submit(
    conn: Connection,
    *,
    actor: str,
    reason: str,
    changes: Sequence[Change],
    correlation: str | None = None,
    expect: int | None = None,
    urgent: bool = False,
    actor_kind: ActorKind = "machine",
    approver: str | None = None,
) -> str:
    """Queue one change set in the caller's transaction; returns its id.

    `expect`: how many restrictions the sender foresaw; a guard lets exactly that many pass. A machine is
    confined to the paths and reasons that the network repository gives it. Raises ChangeNotUsable.
    """
    _require_labels(actor=actor, reason=reason, correlation=correlation, approver=approver)
    _require_usable(changes)
    set_id = ids.new_id("set")
    conn.execute(
        sa.insert(change_set).values(
            set_id=set_id,
            actor=actor,
            actor_kind=actor_kind,
            approver=approver,
            reason=reason,
            correlation=correlation,
            urgent=urgent,
            expect=expect,
            state=State.QUEUED,
            created_at=clock.now(),
        )
    )
    db.insert_many(conn, change, [_row(set_id, number, one) for number, one in enumerate(changes)])
    return set_id


def bump_fence(conn: Connection, key: str) -> int:
    """Take the next version of a fence, locking it until the caller's transaction ends."""
    dialect: Any = sqlite if conn.dialect.name == "sqlite" else postgresql
    statement = (
        dialect.insert(fence)
        .values(key=key, version=1)
        .on_conflict_do_update(index_elements=["key"], set_={"version": fence.c.version + 1})
        .returning(fence.c.version)
    )
    return int(conn.execute(statement).scalar_one())


def set_state(conn: Connection, set_id: str) -> State:
    """The state of a change set. Raises ChangeSetMissing."""
    found = conn.execute(sa.select(change_set.c.state).where(change_set.c.set_id == set_id)).scalar()
    if found is None:
        raise ChangeSetMissing(set_id)
    return State(found)


def _row(set_id: str, position: int, one: Change) -> dict[str, Any]:
    return {"set_id": set_id, "position": position, "state": State.QUEUED, **msgspec.structs.asdict(one)}


def _require_labels(**labels: str | None) -> None:
    """What goes into a commit is a code: no free text, nothing that could forge a trailer."""
    for name, text in labels.items():
        if text is not None and not _LABEL.fullmatch(text):
            raise ChangeNotUsable("", f"{name} {text!r} is no code of letters, digits and ._:@/-")


def _require_usable(changes: Sequence[Change]) -> None:
    if not changes:
        raise ChangeNotUsable("", "the change set is empty; send at least one change")
    seen: set[str] = set()
    for one in changes:
        if one.path in seen:
            raise ChangeNotUsable(one.path, "the set changes it twice; keep the one that you mean")
        seen.add(one.path)
        if why := _why_not(one):
            raise ChangeNotUsable(one.path, why)


def _why_not(one: Change) -> str:
    if not _PATH.fullmatch(one.path) or len(one.path) > 255:
        return "this is no path of a network repository"
    if (one.op == "put") != (one.content is not None):
        return "a put carries content, a delete carries none"
    if (one.fence_key is None) != (one.fence_version is None):
        return "fence_key and fence_version go together"
    if one.precondition is not None and not _PRECONDITION.fullmatch(one.precondition):
        return "the precondition is one of absent, mine, blob:<id>, after:<change>"
    return ""
