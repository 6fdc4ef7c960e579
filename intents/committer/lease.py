"""One writer at a time: a lease row with a fencing epoch for all nodes, a file lock for this machine."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import Connection

from core import leases
from core.db import Database
from core.errors import Retryable

NAME = "committer"
_SECONDS = 30.0


class WriterElsewhere(Retryable):
    """Another process of this machine writes trunk now."""

    def __init__(self, repository: Path) -> None:
        super().__init__(f"another process of this machine holds the committer's lock in {repository}")


class LeaseLost(Retryable):
    """Our lease went to somebody else while we worked: what we were about to write does not count."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"the committer's lease of epoch {epoch} was taken over; starting again")


@contextmanager
def file_lock(repository: Path) -> Iterator[None]:
    """Exclude other processes of this machine; the kernel lets go when a process dies."""
    place = os.open(repository / "trunkline-committer.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WriterElsewhere(repository) from error
        yield
    finally:
        os.close(place)


def take(db: Database, node: str) -> int:
    """The lease's epoch for this node; the caller holds the file lock. Raises core.leases.LeaseHeld."""
    with db.write() as conn:
        return leases.take(conn, NAME, node, _SECONDS)


def require(conn: Connection, node: str, epoch: int) -> None:
    """Fence a write: fails the transaction when the lease is no longer ours. Raises LeaseLost."""
    if not leases.is_current(conn, NAME, node, epoch):
        raise LeaseLost(epoch)
