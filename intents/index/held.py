"""Guards for people's commits: the paths of a commit that does too much wait for a person's yes."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, events
from core.errors import Terminal
from core.problems import Problem
from intents import guards
from intents.config.schema import Guards
from intents.guards import Totals, Tripped
from intents.index.trial import Bad, Candidate
from intents.kinds import parse_path
from intents.models import held_commit


class NotHeld(Terminal):
    """The commit does not wait for anybody, or the count is another one."""

    def __init__(self, commit: str, why: str) -> None:
        super().__init__(f"commit {commit[:12]} cannot be decided: {why}")


def is_release(candidate: Candidate) -> bool:
    """Whether it lifts a hold: never gated."""
    return candidate.blob is None and candidate.path.startswith("holds/")


def judge(limits: Guards, totals: Totals, candidates: Iterable[Candidate]) -> Tripped | None:
    """The guard that a person's commit trips."""
    pairs = (
        (parsed[0], one.blob is None)
        for one in candidates
        if not isinstance(parsed := parse_path(one.path), Problem)
    )
    return guards.judge(limits, guards.weigh(pairs), totals)


def hold(conn: Connection, commit: str, tripped: Tripped, candidates: Sequence[Candidate], actor: str) -> str:
    """Record that a commit waits (once) and tell; returns what was decided so far: parked, released, dropped."""
    query = sa.select(held_commit.c.state).where(held_commit.c.commit_id == commit)
    found: str | None = conn.execute(query).scalar()
    if found is not None:
        return found
    guard = msgspec.to_builtins(tripped)
    paths = [one.path for one in candidates]
    conn.execute(
        sa.insert(held_commit).values(
            commit_id=commit, guard=guard, paths=paths, state="parked", created_at=clock.now()
        )
    )
    told = {"commit": commit, "guard": guard, "paths": paths[:50]}
    events.emit(conn, "commit.parked", commit, told, actor=actor, revision=commit, unique=f"held:{commit}")
    return "parked"


def as_bad(candidate: Candidate, tripped: Tripped) -> Bad:
    """A gated candidate as something that is not applied."""
    hint = f"a person lets commit {candidate.commit[:12]} pass by repeating its count, {tripped.count}"
    return Bad(candidate, (Problem("guard." + tripped.guard, str(tripped), candidate.path, hint=hint),))


def states(conn: Connection, commits: Sequence[str]) -> dict[str, str]:
    """What was decided about these commits."""
    query = sa.select(held_commit.c.commit_id, held_commit.c.state)
    return {row[0]: row[1] for row in conn.execute(query.where(held_commit.c.commit_id.in_(commits)))}


def held(conn: Connection) -> list[dict[str, Any]]:
    """Every commit that waits: commit_id, guard, paths, created_at."""
    query = sa.select(held_commit).where(held_commit.c.state == "parked").order_by(held_commit.c.created_at)
    return [dict(row) for row in conn.execute(query).mappings()]


def release_commit(conn: Connection, commit: str, actor: str, expect: int) -> None:
    """Let a person's commit pass; `expect` repeats its count. Raises NotHeld."""
    row = _parked(conn, commit)
    if row.guard["count"] != expect:
        raise NotHeld(commit, f"it would do {row.guard['count']}, not {expect}")
    _decide(conn, commit, actor, "released")


def drop_commit(conn: Connection, commit: str, actor: str) -> None:
    """Refuse a person's commit: its paths stay as they were until somebody changes them again."""
    _parked(conn, commit)
    _decide(conn, commit, actor, "dropped")


def _parked(conn: Connection, commit: str) -> Any:
    row = conn.execute(sa.select(held_commit).where(held_commit.c.commit_id == commit)).first()
    if row is None or row.state != "parked":
        raise NotHeld(commit, "it does not wait" if row is None else f"it is {row.state}")
    return row


def _decide(conn: Connection, commit: str, actor: str, state: str) -> None:
    values = {"state": state, "decided_by": actor, "decided_at": clock.now()}
    conn.execute(sa.update(held_commit).where(held_commit.c.commit_id == commit).values(**values))
