"""Replace the rows of some owners at once: a few statements a chunk, however many owners are in it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.view.models import view_change, view_policy, view_record
from aaa.view.records import ViewRecord, Wanted, decode
from core.db import insert_many, upsert

# Prepared once: building and hashing a statement costs more than SQLite needs to run it.
_OF_OWNERS = sa.select(view_record.c.owner, view_record.c.key, view_record.c.record).where(
    view_record.c.owner.in_(sa.bindparam("owners", expanding=True))
)
_OF_KEYS = sa.select(view_record.c.key, view_record.c.owner, view_record.c.record).where(
    view_record.c.key.in_(sa.bindparam("keys", expanding=True))
)
_DELETE = sa.delete(view_record).where(
    view_record.c.key == sa.bindparam("gone_key"), view_record.c.owner == sa.bindparam("gone_owner")
)

Rows = dict[bytes, bytes]
Answers = dict[bytes, dict[str, bytes]]
"""Key -> owner -> record; the smallest owner's record answers."""


class Step(NamedTuple):
    """What to write: rows that go, rows that come, and the keys whose answer becomes another, in order."""

    gone: list[tuple[bytes, str]]
    come: list[ViewRecord]
    moved: list[bytes]


def replace(conn: Connection, wanted: Mapping[str, Sequence[ViewRecord]]) -> int:
    """Make the owners' rows be these; append a change for every key whose answer became another."""
    there = _of_owners(conn, list(wanted))
    differing = {
        owner: keys
        for owner, records in wanted.items()
        if (keys := _differing(there.get(owner, {}), records))
    }
    if not differing:
        return 0
    step = decide(wanted, differing, _answers(conn, {key for keys in differing.values() for key in keys}))
    if step.gone:
        conn.execute(_DELETE, [{"gone_key": key, "gone_owner": owner} for key, owner in step.gone])
    insert_many(conn, view_record, [msgspec.structs.asdict(one) for one in step.come])
    _keep_policies(conn, [one for owner in differing for one in wanted[owner]])
    insert_many(conn, view_change, [{"key": key} for key in step.moved])
    return len(step.moved)


def decide(
    wanted: Mapping[str, Sequence[ViewRecord]], differing: Mapping[str, Sequence[bytes]], answers: Answers
) -> Step:
    """Owner after owner, as if each were written before the next is looked at. Pure; `answers` is used up."""
    step = Step([], [], [])
    for owner, keys in differing.items():
        new = {record.key: record for record in wanted[owner]}
        for key in keys:
            rivals = answers.setdefault(key, {})
            before = _answer(rivals)
            if rivals.pop(owner, None) is not None:
                step.gone.append((key, owner))
            if key in new:
                rivals[owner] = new[key].record
                step.come.append(new[key])
            if _answer(rivals) != before:
                step.moved.append(key)
    return step


def _differing(old: Rows, records: Sequence[ViewRecord]) -> list[bytes]:
    new = {record.key: record.record for record in records}
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _answer(rivals: Mapping[str, bytes]) -> bytes | None:
    return rivals[min(rivals)] if rivals else None


def _of_owners(conn: Connection, owners: list[str]) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    for owner, key, record in conn.execute(_OF_OWNERS, {"owners": owners}):
        found.setdefault(owner, {})[bytes(key)] = bytes(record)
    return found


def _answers(conn: Connection, keys: set[bytes]) -> Answers:
    found: Answers = {}
    for key, owner, record in conn.execute(_OF_KEYS, {"keys": sorted(keys)}):
        found.setdefault(bytes(key), {})[owner] = bytes(record)
    return found


def _keep_policies(conn: Connection, records: Sequence[ViewRecord]) -> None:
    found: Rows = {}
    for one in records:
        wanted = decode(one.record, Wanted) if one.key[:2] == b"s:" else None
        if wanted is not None and wanted.policy is not None:
            found[wanted.policy_hash.encode()] = msgspec.msgpack.encode(wanted.policy)
    rows = [{"policy_hash": name.decode(), "policy": policy} for name, policy in found.items()]
    upsert(conn, view_policy, rows, key=["policy_hash"], update=[])
