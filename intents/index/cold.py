"""A cold build: from nothing to a commit, equal to having followed every commit.

A clean head is what its tree says. Where something is outside, what was good last is a matter of history: the walk
starts at the last commit that is known to have been clean, or at the first.
"""

import sqlalchemy as sa

from core.db import Database
from intents.index.step import CLEAN, Step
from intents.models import held_commit, index_position
from intents.repository import Repository


def build(step: Step, db: Database, repo: Repository, target: str) -> None:
    """Fill an empty index up to `target`."""
    if not _is_anything_held(db, repo, target) and step.take_clean(target):
        return
    start = _clean(db, repo, target)
    if start is not None and step.take_clean(start):
        step.walk(start, target)
    else:
        step.walk(None, target)


def _is_anything_held(db: Database, repo: Repository, target: str) -> bool:
    query = sa.select(held_commit.c.commit_id).where(held_commit.c.state != "released")
    with db.read() as conn:
        held = list(conn.execute(query).scalars())
    return any(repo.is_ancestor(commit, target) for commit in held)


def _clean(db: Database, repo: Repository, target: str) -> str | None:
    query = sa.select(index_position.c.commit_id).where(index_position.c.name == CLEAN)
    with db.read() as conn:
        commit: str | None = conn.execute(query).scalar()
    return commit if commit is not None and repo.is_ancestor(commit, target) else None
