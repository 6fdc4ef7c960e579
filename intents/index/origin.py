"""Whose commit it is: ours only when the queue says so; an author line or a trailer proves nothing."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from intents.models import change_set, forge_merge
from intents.repository import Repository
from intents.signature import signer
from intents.states import State

UNVERIFIED = "unverified"


def set_of(conn: Connection, commit: str) -> tuple[str, str, str | None] | None:
    """(set id, actor, correlation) of a commit that the committer wrote; None for a person's."""
    query = sa.select(change_set.c.set_id, change_set.c.actor, change_set.c.correlation).where(
        change_set.c.commit_id == commit,
        change_set.c.state.in_([State.BATCHED.value, State.LANDED.value]),
    )
    row = conn.execute(query).first()
    return None if row is None else (row[0], row[1], row[2])


def actor_of(conn: Connection, repo: Repository, commit: str) -> str:
    """The actor of a commit: of its change set, of the merge it was taken from, its signer, or `unverified`."""
    ours = set_of(conn, commit)
    if ours is not None:
        return ours[1]
    query = sa.select(forge_merge.c.actor).where(forge_merge.c.taken_as == commit)
    return conn.execute(query).scalar() or signer(repo, commit) or UNVERIFIED
