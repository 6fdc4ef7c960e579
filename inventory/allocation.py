"""Allocation: a value (ONU id, VLAN, address, prefix) belongs to one owner at a time, and rests before reuse.

Reserve in the transaction that queues the change set writing the value into a file; the committer still
arbitrates when a person's pull request claims the same.
"""

from collections.abc import Iterable
from datetime import timedelta
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock
from core.db import upsert
from inventory.errors import NothingLeft
from inventory.models import allocation

_LOOK = 256


def reserve(conn: Connection, scope: str, owner: str, candidates: Iterable[str]) -> str:
    """The first candidate that nobody has, now the owner's; asking again gives the owner the same value.

    A released value counts as taken until its rest is over. Raises NothingLeft.
    """
    held = _held_by(conn, scope, owner)
    if held is not None:
        return held
    wanted = iter(candidates)
    while batch := list(islice(wanted, _LOOK)):
        taken = _taken(conn, scope, batch)
        for value in batch:
            if value not in taken and _claim(conn, scope, value, owner):
                return value
    raise NothingLeft(scope)


def release(conn: Connection, owner: str, rest: timedelta, scope: str | None = None) -> int:
    """Free the owner's values (of one scope); each may be given again after `rest`. Returns how many."""
    where = [allocation.c.owner == owner, allocation.c.free_at.is_(None)]
    if scope is not None:
        where.append(allocation.c.scope == scope)
    return conn.execute(sa.update(allocation).where(*where).values(free_at=clock.now() + rest)).rowcount


def owned(conn: Connection, owner: str) -> dict[str, str]:
    """Scope -> value of everything that the owner holds."""
    query = sa.select(allocation.c.scope, allocation.c.value).where(
        allocation.c.owner == owner, allocation.c.free_at.is_(None)
    )
    return {row.scope: row.value for row in conn.execute(query)}


def _held_by(conn: Connection, scope: str, owner: str) -> str | None:
    query = sa.select(allocation.c.value).where(
        allocation.c.scope == scope, allocation.c.owner == owner, allocation.c.free_at.is_(None)
    )
    return conn.execute(query).scalar()


def _taken(conn: Connection, scope: str, values: list[str]) -> set[str]:
    query = sa.select(allocation.c.value).where(
        allocation.c.scope == scope,
        allocation.c.value.in_(values),
        sa.or_(allocation.c.free_at.is_(None), allocation.c.free_at > clock.now()),
    )
    return set(conn.execute(query).scalars())


def _claim(conn: Connection, scope: str, value: str, owner: str) -> bool:
    """Take a value that looked free; False when another transaction was quicker."""
    gone = sa.delete(allocation).where(
        allocation.c.scope == scope, allocation.c.value == value, allocation.c.free_at <= clock.now()
    )
    conn.execute(gone)
    row = {"scope": scope, "value": value, "owner": owner, "since": clock.now(), "free_at": None}
    upsert(conn, allocation, [row], key=["scope", "value"], update=[])
    query = sa.select(allocation.c.owner).where(allocation.c.scope == scope, allocation.c.value == value)
    return conn.execute(query).scalar() == owner
