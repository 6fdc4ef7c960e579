"""Fold: per path the highest version of a fence wins, against what has landed and within the group."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from intents.committer.pending import Pending, Wanted
from intents.models import change
from intents.states import State

_CHUNK = 400
Key = tuple[str, str]


def landed_versions(conn: Connection, sets: Sequence[Pending]) -> dict[Key, int]:
    """(path, fence key) -> the highest version that has landed, for the paths of these sets."""
    paths = sorted({one.path for pending in sets for one in pending.changes if one.fence_key})
    found: dict[Key, int] = {}
    for start in range(0, len(paths), _CHUNK):
        query = (
            sa.select(change.c.path, change.c.fence_key, sa.func.max(change.c.fence_version))
            .where(change.c.path.in_(paths[start : start + _CHUNK]))
            .where(change.c.state == State.LANDED.value, change.c.fence_key.is_not(None))
            .group_by(change.c.path, change.c.fence_key)
        )
        found |= {(path, key): version for path, key, version in conn.execute(query)}
    return found


def fold(landed: dict[Key, int], sets: Iterable[Pending]) -> dict[str, str]:
    """Change id -> why, for every change that a higher version pushes aside."""
    changes = [one for pending in sets for one in pending.changes if one.fence_key]
    highest = dict(landed)
    for one in changes:
        highest[_key(one)] = max(highest.get(_key(one), 0), one.fence_version or 0)
    return {
        one.change_id: f"version {highest[_key(one)]} of {one.fence_key} came instead of {one.fence_version}"
        for one in changes
        if (one.fence_version or 0) < highest[_key(one)]
    }


def _key(one: Wanted) -> Key:
    return one.path, one.fence_key or ""
