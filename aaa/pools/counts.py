"""What a worker tells everybody of its shelves: how much is free, given, resting and in doubt."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import address_count
from aaa.pools.blocks import Owner
from aaa.pools.giver import Giver
from core.db import upsert


def tell(conn: Connection, owner: Owner, giver: Giver, now: datetime) -> None:
    """Write a row for each pool of which the worker has, or had, something; forget those that are no more."""
    rows = [
        {
            "pool": shelf.pool, "worker": owner.worker, "node": owner.node, "blocks": len(shelf.blocks),
            "free": shelf.free, "given": len(shelf.held), "resting": len(shelf.resting), "doubt": len(shelf.doubt),
            "refused": giver.refused.get(shelf.pool, 0), "seen_at": now, "synced": giver.ledger.on_disk,
        }
        for shelf in giver.shelves.values()
    ]  # fmt: skip
    upsert(conn, address_count, rows, key=["pool", "worker"])
    known = [shelf.pool for shelf in giver.shelves.values() if shelf.blocks]
    gone = sa.delete(address_count).where(address_count.c.worker == owner.worker, address_count.c.blocks == 0)
    conn.execute(gone.where(address_count.c.pool.not_in(known)))
