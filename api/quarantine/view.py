"""What of trunk is not applied, as API and console show it."""

from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import Connection

from api.answers import Problem
from intents.index.models import quarantine


class Quarantined(BaseModel):
    """A path that stays at its last good version, and why: `problem` or `guard`."""

    path: str
    commit_id: str
    why: str
    deleted: bool
    problems: list[Problem]


def quarantined(index: Connection, limit: int = 100, after: str = "") -> list[Quarantined]:
    """Paths in order, `limit` of them after `after` (of the derived database)."""
    query = sa.select(quarantine).where(quarantine.c.path > after).order_by(quarantine.c.path).limit(limit)
    return [_shown(row) for row in index.execute(query)]


def _shown(row: Any) -> Quarantined:
    return Quarantined(
        path=row.path, commit_id=row.commit_id, why=row.why, deleted=row.blob is None, problems=row.problems
    )
