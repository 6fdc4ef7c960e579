"""The last commits of trunk, with what they did to the network: receipts by lane, and how long it took."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from api.console.find import commit_of
from api.errors import NotThere
from api.here import Installed
from intents.models import change_set
from intents.repository import CommitFacts, Repository
from reconciler import receipts
from reconciler.models import receipt

_MOST = 100
_LANES = {1: "AAA", 2: "objects", 3: "devices"}


class LaneDone(NamedTuple):
    """Effects of one lane: `done` of `asked` acknowledged; `seconds` from the first to the last."""

    name: str
    asked: int
    done: int
    seconds: float


class CommitShown(NamedTuple):
    """A commit. `actor` is proven only where a change set of ours made it."""

    id: str
    subject: str
    actor: str
    proven: bool
    set_id: str | None
    at: datetime
    lanes: list[LaneDone]


def last(repo: Repository, conn: Connection, limit: int = 8) -> list[CommitShown]:
    """The newest commits of trunk by its first parents, newest first."""
    found: list[CommitFacts] = []
    commit = repo.head()
    while commit is not None and len(found) < limit:
        facts = repo.facts(commit)
        found.append(facts)
        commit = facts.parents[0] if facts.parents else None
    ids = [one.commit for one in found]
    sets, lanes = _sets(conn, ids), _lanes(conn, ids)
    return [_shown(one, sets.get(one.commit), lanes.get(one.commit, [])) for one in found]


def one(here: Installed, commit: str) -> dict[str, Any]:
    """A commit with its files and receipts. Raises NotThere."""
    found = commit_of(here.repo, commit)
    if found is None:
        raise NotThere("commit", commit)
    facts = here.repo.facts(found)
    # A repository of our own: its memory of the last comparison is not for several threads.
    deltas = Repository(here.repo.path, here.repo.trunk).diff(next(iter(facts.parents), None), found)
    with here.context.db.read() as conn:
        row = _sets(conn, [found]).get(found)
        told = receipts.of_commit(conn, found)
    return {
        "facts": facts, "paths": deltas[:_MOST], "count": len(deltas), "receipts": told[-_MOST:],
        "set_id": None if row is None else row.set_id,
    }  # fmt: skip


def _shown(facts: CommitFacts, row: Any, lanes: list[LaneDone]) -> CommitShown:
    subject = next(iter(facts.message.splitlines()), "")
    return CommitShown(
        id=facts.commit, subject=subject, actor=facts.author if row is None else row.actor,
        proven=row is not None, set_id=None if row is None else row.set_id, at=facts.at, lanes=lanes,
    )  # fmt: skip


def _sets(conn: Connection, commits: Sequence[str]) -> dict[str, Any]:
    rows = conn.execute(sa.select(change_set).where(change_set.c.commit_id.in_(commits)))
    return {row.commit_id: row for row in rows}


def _lanes(conn: Connection, commits: Sequence[str]) -> dict[str, list[LaneDone]]:
    acked = sa.func.sum(sa.case((receipt.c.outcome == "acked", 1), else_=0))
    query = (
        sa.select(
            receipt.c.commit_id, receipt.c.lane, sa.func.count().label("asked"), acked.label("done"),
            sa.func.min(receipt.c.started_at).label("since"), sa.func.max(receipt.c.ended_at).label("until"),
        )
        .where(receipt.c.commit_id.in_(commits))
        .group_by(receipt.c.commit_id, receipt.c.lane)
        .order_by(receipt.c.lane)
    )  # fmt: skip
    found: dict[str, list[LaneDone]] = {}
    for row in conn.execute(query):
        seconds = max(0.0, (row.until - row.since).total_seconds())
        lane = LaneDone(_LANES.get(row.lane, str(row.lane)), row.asked, int(row.done or 0), seconds)
        found.setdefault(row.commit_id, []).append(lane)
    return found
