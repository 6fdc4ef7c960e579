"""Billing knows: holds that anybody but billing added or removed become events.

The position of this follower is recorded state and every event has a unique key: no crash, and no loss of the
index, repeats or forgets one.
"""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import db as sql
from core import events, faults
from core.db import Database
from core.problems import Problem
from intents.hold import kind as hold
from intents.index import origin
from intents.index.position import IndexMovedOn
from intents.kinds import parse_path
from intents.loader import Document, load
from intents.models import index_position
from intents.repository import Repository
from intents.treediff import Delta

NAME = "hold-events"
BILLING = "billing"
_CHUNK = 100
AFTER_TELL = faults.declare("indexer.after_hold_events")


def tell(db: Database, repo: Repository, upto: str) -> None:
    """Emit `hold.added` and `hold.removed` for every commit after the last told one, up to `upto`."""
    with db.read() as conn:
        since = conn.execute(_POSITION).scalar()
    if since == upto:
        return
    if since is None:
        with db.write() as conn:  # the first commit ever seen: nothing was held before it
            sql.upsert(conn, index_position, [{"name": NAME, "commit_id": upto}], ["name"])
        return
    steps = repo.first_parents(since, upto) if repo.is_ancestor(since, upto) else [upto]
    for commit in steps:
        _remember(db, _happened(db, repo, since, commit), since, commit)
        faults.point(AFTER_TELL)
        since = commit


def _happened(db: Database, repo: Repository, previous: str, commit: str) -> list[dict[str, Any]]:
    deltas = [one for one in repo.diff(previous, commit) if one.path.startswith("holds/")]
    if not deltas:
        return []
    with db.read() as conn:
        ours = origin.set_of(conn, commit)
        actor = origin.actor_of(conn, repo, commit)
    if actor == BILLING:
        return []
    set_id = ours[0] if ours else None
    return [told for one in deltas if (told := _told(repo, one, commit, actor, set_id))]


def _told(repo: Repository, one: Delta, commit: str, actor: str, set_id: str | None) -> dict[str, Any] | None:
    if one.old is not None and one.new is not None:
        return None
    parsed = parse_path(one.path)
    blob = one.new or one.old
    if isinstance(parsed, Problem) or blob is None:
        return None
    found = load(one.path, repo.read(blob))
    value = msgspec.to_builtins(found.value, enc_hook=str) if isinstance(found, Document) else {}
    return {
        "type": "hold.added" if one.new else "hold.removed",
        "service": hold.service_of(parsed[1]),
        "reason": hold.reason_of(parsed[1]),
        "commit": commit,
        "actor": actor,
        "set_id": set_id,
        "batch": value.get("batch"),
        "cause": value.get("cause"),
    }


def _remember(db: Database, happened: list[dict[str, Any]], since: str, commit: str) -> None:
    """Events in short transactions, each with a unique key; the position moves with the last of them."""
    for start in range(0, len(happened), _CHUNK):
        with db.write() as conn:
            _require(conn, since)
            for told in happened[start : start + _CHUNK]:
                _emit(conn, told, commit)
    with db.write() as conn:
        _require(conn, since)
        sql.upsert(conn, index_position, [{"name": NAME, "commit_id": commit}], ["name"])


def _require(conn: Connection, since: str) -> None:
    """Another indexer may tell the same commits: the row's lock lets one of them do it. Raises IndexMovedOn."""
    if conn.execute(sql.lock_row(conn, _POSITION)).scalar() != since:
        raise IndexMovedOn(since)


def _emit(conn: Connection, told: dict[str, Any], commit: str) -> None:
    facts = {key: value for key, value in told.items() if key != "type"}
    unique = f"{told['type']}:{commit}:{told['service']}.{told['reason']}"
    events.emit(
        conn, told["type"], told["service"], facts, actor=told["actor"], revision=commit, unique=unique[:200]
    )


_POSITION = sa.select(index_position.c.commit_id).where(index_position.c.name == NAME)
