"""Nodes in the database: who is there, up to when their accounting is in it, who drains, who is forgotten."""

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import address_block, address_count, radius_node
from aaa.pools import blocks
from aaa.pools.blocks import Owner
from core.crypto import write_private
from core.db import upsert
from core.errors import Terminal
from core.ids import new_id

ALIVE = timedelta(minutes=10)
"""A node that was heard so recently is not forgotten."""
_AHEAD = timedelta(minutes=1)
"""So far may the clocks of two nodes be apart."""


class NodeNotKnown(Terminal):
    """No node of that name ever wrote its state."""

    def __init__(self, node: str, known: Sequence[str]) -> None:
        super().__init__(f"no RADIUS node '{node}'; there are {', '.join(known) or 'none'}")


class NodeAlive(Terminal):
    """A node is to be forgotten that was heard a moment ago."""

    def __init__(self, node: str, seconds: float) -> None:
        super().__init__(
            f"node {node} was heard {seconds:.0f} s ago: what it gives could be given twice; stop it, or drain it "
            f"first (`trunkline radius node drain {node}`), and forget it when it was silent for ten minutes"
        )


class NodeState(msgspec.Struct, frozen=True):
    """A node as everybody sees it. `seconds`: since it was heard; `undrained`: since its accounting was all in."""

    node: str
    workers: int
    seconds: float
    undrained: float | None
    draining: bool
    blocks: int

    @property
    def disposable(self) -> bool:
        """Whether nothing would be lost with its disk."""
        return (
            self.draining
            and not self.blocks
            and self.undrained is not None
            and self.undrained <= self.seconds + 5
        )


def home_of(folder: Path) -> str:
    """Names the disk that ledgers are on; made on first use. It must not be copied to another node."""
    path = folder / "home.id"
    if not path.exists():
        write_private(path, new_id("home").encode())
    return path.read_text()


def heartbeat(conn: Connection, owner: Owner, workers: int, drained: bool, now: datetime) -> None:
    """Say that the node is there, and whether its accounting journal was empty just now."""
    row: dict[str, Any] = {
        "node": owner.node, "home": owner.home, "workers": workers, "seen_at": now, "draining": False,
    }  # fmt: skip
    update = ["home", "workers", "seen_at"]
    if drained:
        row["drained_at"] = now
        update.append("drained_at")
    upsert(conn, radius_node, [row], key=["node"], update=update)


def watermark(conn: Connection, now: datetime) -> datetime | None:
    """Up to when all accounting that any node acknowledged is in the database; None when one never said so, or said it
    while its clock was ahead, so that nobody knows when that was.
    """
    moments = conn.scalars(sa.select(radius_node.c.drained_at)).all()
    known = [moment for moment in moments if moment is not None and moment <= now + _AHEAD]
    return min(known) if known and len(known) == len(moments) else None


def is_draining(conn: Connection, node: str) -> bool:
    """Whether somebody asked the node to give everything back."""
    return bool(conn.scalar(sa.select(radius_node.c.draining).where(radius_node.c.node == node)))


def synced(conn: Connection, worker: str) -> int:
    """How many events of its ledger a worker said were on its disk."""
    newest = sa.select(sa.func.max(address_count.c.synced)).where(address_count.c.worker == worker)
    return int(conn.scalar(newest) or 0)


def drain(conn: Connection, node: str, draining: bool = True) -> None:
    """Ask a node to give everything back, or to go on after all. Raises NodeNotKnown."""
    done = conn.execute(sa.update(radius_node).where(radius_node.c.node == node).values(draining=draining))
    if not done.rowcount:
        raise NodeNotKnown(node, names(conn))


def names(conn: Connection) -> list[str]:
    """All nodes."""
    return list(conn.scalars(sa.select(radius_node.c.node).order_by(radius_node.c.node)))


def states(conn: Connection, now: datetime) -> list[NodeState]:
    """All nodes, by name."""
    chosen = (
        sa.select(address_block.c.node, sa.func.count())
        .where(address_block.c.state == blocks.LEASED)
        .group_by(address_block.c.node)
    )
    counts = {str(node): int(number) for node, number in conn.execute(chosen)}
    return [
        NodeState(
            node=row.node,
            workers=row.workers,
            seconds=round((now - row.seen_at).total_seconds(), 1),
            undrained=round((now - row.drained_at).total_seconds(), 1) if row.drained_at else None,
            draining=bool(row.draining),
            blocks=counts.get(row.node, 0),
        )
        for row in conn.execute(sa.select(radius_node).order_by(radius_node.c.node))
    ]


def forget(conn: Connection, node: str, now: datetime, rest: timedelta) -> int:
    """The node is gone for good: its blocks rest, and nobody waits for its accounting. Returns how many blocks.

    Raises NodeNotKnown, NodeAlive.
    """
    row = conn.execute(sa.select(radius_node).where(radius_node.c.node == node)).first()
    if row is None:
        raise NodeNotKnown(node, names(conn))
    if now - row.seen_at < ALIVE and not _disposable(conn, node, now):
        raise NodeAlive(node, (now - row.seen_at).total_seconds())
    freed = blocks.forget(conn, node, now, rest)
    conn.execute(sa.delete(radius_node).where(radius_node.c.node == node))
    conn.execute(sa.delete(address_count).where(address_count.c.node == node))
    return freed


def _disposable(conn: Connection, node: str, now: datetime) -> bool:
    return any(one.disposable for one in states(conn, now) if one.node == node)


def ledgers(folder: Path) -> list[str]:
    """Workers that have a ledger on this disk."""
    return sorted(path.stem for path in folder.glob("*.ledger"))


def private(folder: Path) -> Path:
    """The folder of ledgers, only for us."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(folder, 0o700)
    return folder
