"""Recover: after a crash trunk itself says what landed; everything else queues again."""

import sqlalchemy as sa

from core import faults
from core.db import Database
from intents.committer import record
from intents.models import change_set
from intents.repository import Repository
from intents.states import State

STAGING = "refs/trunkline/staging/"
HELD = "refs/trunkline/held/"
IN_RECOVERY = faults.declare("committer.in_recovery")


def recover(db: Database, repo: Repository) -> None:
    """End every open batch by what trunk says, then drop the refs that nothing names any more."""
    with db.read() as conn:
        batches = record.open_batches(conn)
    for batch in batches:
        _end(db, repo, batch.batch_id, batch.commit_id)
        faults.point(IN_RECOVERY)
    for ref in repo.refs(STAGING):
        repo.delete_ref(ref)
    _drop_orphans(db, repo)


def _end(db: Database, repo: Repository, batch_id: str, commit: str) -> None:
    head = repo.head()
    landed = head is not None and repo.is_ancestor(commit, head)
    with db.write() as conn:
        (record.land_batch if landed else record.abandon_batch)(conn, batch_id)


def _drop_orphans(db: Database, repo: Repository) -> None:
    """A pin of a set that was never recorded as parked: we died in between, it will be judged again."""
    refs = repo.refs(HELD)
    if not refs:
        return
    with db.read() as conn:
        parked = set(
            conn.execute(
                sa.select(change_set.c.set_id).where(change_set.c.state == State.PARKED.value)
            ).scalars()
        )
    for ref in refs:
        if ref.removeprefix(HELD) not in parked:
            repo.delete_ref(ref)
