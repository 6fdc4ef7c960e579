"""What `trunkline radius pools` tells: blocks and addresses of each pool, by node, and which pool runs short."""

from collections import defaultdict
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import address_block, address_count, address_prefix, is_open, session, session_open
from aaa.opened import each
from aaa.pools import blocks

_SHORT = 0.1


class Share(msgspec.Struct, frozen=True):
    """What a node has of a pool. `seconds`: how old the numbers are."""

    node: str
    blocks: int
    free: int
    given: int
    resting: int
    doubt: int
    refused: int
    seconds: float


class PoolReport(msgspec.Struct, frozen=True):
    """A pool: all its blocks, those that nobody has, those that rest, and the nodes' shares. `size`: addresses."""

    pool: str
    size: int
    blocks: int
    free_blocks: int
    resting_blocks: int
    shares: list[Share]

    @property
    def short(self) -> bool:
        """Whether the pool is nearly used up, or somebody was refused for want of an address."""
        free = self.free_blocks / self.blocks if self.blocks else 0
        left = sum(share.free for share in self.shares)
        empty = any(share.refused and not share.free for share in self.shares)
        return empty or (free < _SHORT and left < self.size * _SHORT)


def pools(conn: Connection, now: datetime) -> list[PoolReport]:
    """Every pool that a block was ever cut from, by name."""
    sizes: dict[str, int] = defaultdict(int)
    cut: dict[str, int] = defaultdict(int)
    whole: dict[str, int] = defaultdict(int)
    for row in conn.execute(sa.select(address_prefix)):
        sizes[row.pool] += int(row.size) * int(row.blocks)
        whole[row.pool] += int(row.blocks)
        cut[row.pool] += int(row.cut)
    states = _states(conn)
    shares = _shares(conn, now)
    return [
        PoolReport(
            pool=pool,
            size=sizes[pool],
            blocks=whole[pool],
            free_blocks=whole[pool] - cut[pool] + states[pool, blocks.FREE],
            resting_blocks=states[pool, blocks.RESTING],
            shares=shares[pool],
        )
        for pool in sorted(whole)
    ]


def _states(conn: Connection) -> dict[tuple[str, str], int]:
    grouped = sa.select(address_block.c.pool, address_block.c.state, sa.func.count())
    found: dict[tuple[str, str], int] = defaultdict(int)
    for pool, state, number in conn.execute(grouped.group_by(address_block.c.pool, address_block.c.state)):
        found[pool, state] = int(number)
    return found


def _shares(conn: Connection, now: datetime) -> dict[str, list[Share]]:
    """The workers of a node are told as one."""
    table = address_count.c
    summed = [sa.func.sum(table[name]) for name in ("blocks", "free", "given", "resting", "doubt", "refused")]
    chosen = sa.select(table.pool, table.node, *summed, sa.func.min(table.seen_at)).group_by(
        table.pool, table.node
    )
    found: dict[str, list[Share]] = defaultdict(list)
    for pool, node, *numbers, seen in conn.execute(chosen.order_by(table.pool, table.node)):
        age = round((now - seen).total_seconds(), 1)
        found[pool].append(Share(node, *(int(number) for number in numbers), age))  # type: ignore[call-arg]
    return found


def conflicts(conn: Connection, limit: int = 20) -> list[tuple[str, list[str]]]:
    """IPv4 addresses that open sessions of two services name: (address, services). There should be none."""
    source, table = each(conn)
    open_ones = sa.and_(table.framed_address != "", session_open.c.service != "")
    chosen = (
        sa.select(table.framed_address)
        .select_from(source)
        .where(open_ones)
        .group_by(table.framed_address)
        .having(sa.func.count(sa.distinct(table.service)) > 1)
        .order_by(table.framed_address)
        .limit(limit)
    )
    twice = list(conn.scalars(chosen))
    theirs = sa.and_(session.c.framed_address.in_(twice), session.c.framed_address != sa.literal_column("''"))
    told = sa.select(session.c.framed_address, session.c.service).where(
        is_open, theirs, session.c.service != ""
    )
    found: dict[str, list[str]] = {address: [] for address in twice}
    for address, service in conn.execute(told.distinct().order_by(session.c.service)):
        found[address].append(service)
    return list(found.items())
