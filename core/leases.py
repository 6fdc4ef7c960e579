"""Leases: one owner of a name at a time, with a fencing epoch that every write of the owner carries."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock
from core.db import lock_row
from core.errors import Retryable
from core.models import lease


class LeaseHeld(Retryable):
    """Somebody else owns the lease."""

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(f"{name} is leased to {owner}")


def take(conn: Connection, name: str, owner: str, seconds: float) -> int:
    """Take or renew a lease; returns its epoch, which grows with every change of owner. Raises LeaseHeld."""
    moment = clock.now()
    row = conn.execute(lock_row(conn, sa.select(lease).where(lease.c.name == name))).first()
    until = moment + timedelta(seconds=seconds)
    if row is None:
        conn.execute(sa.insert(lease).values(name=name, owner=owner, epoch=1, until=until))
        return 1
    if row.owner != owner and row.until > moment:
        raise LeaseHeld(name, row.owner)
    epoch: int = row.epoch if row.owner == owner else row.epoch + 1
    conn.execute(sa.update(lease).where(lease.c.name == name).values(owner=owner, epoch=epoch, until=until))
    return epoch


def release(conn: Connection, name: str, owner: str) -> None:
    """Give a lease back; the epoch stays so that it never repeats."""
    moment = clock.now() - timedelta(seconds=1)
    conn.execute(sa.update(lease).where(lease.c.name == name, lease.c.owner == owner).values(until=moment))


def is_current(conn: Connection, name: str, owner: str, epoch: int) -> bool:
    """Whether this owner still holds the lease under this epoch (check it in the writing transaction)."""
    row = conn.execute(lock_row(conn, sa.select(lease).where(lease.c.name == name))).first()
    return row is not None and row.owner == owner and row.epoch == epoch
