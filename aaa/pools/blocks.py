"""Blocks in the database: cut from a pool's prefixes, leased to a worker under a fencing epoch, returned, rested.

No lease expires by the clock: a worker that is cut off goes on giving from what it has. A block comes back when its
worker returns it, or when a person says that the node is gone.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import address_block, address_prefix, radius_node
from aaa.pools import evidence
from aaa.pools.span import Span, block_size, count
from aaa.view.pools import PoolRecord
from core.db import upsert

FREE, LEASED, RESTING = "free", "leased", "resting"
_RECLAIMED = 20


class Owner(msgspec.Struct, frozen=True):
    """A worker, its node, and the disk that its ledger is on: a node that was replaced is another owner."""

    node: str
    worker: str
    home: str


class Lease(msgspec.Struct, frozen=True):
    """A block and its fencing epoch."""

    span: Span
    epoch: int


def lease(
    conn: Connection, pool: str, record: PoolRecord, owner: Owner, want: int, now: datetime
) -> list[Lease]:
    """Lease up to `want` blocks that nobody has, the longest free first, then newly cut ones."""
    found: list[Lease] = []
    spared: list[Lease] = []
    taken = _in_use(conn, pool, record)
    for row in _free_rows(conn, pool, record, want * 2):
        size = _size(conn, pool, row.prefix, record.length)
        span = Span(pool, row.prefix, int(row.number), size, record.length)
        if _collides(span, taken):
            spared.append(Lease(span, int(row.epoch)))
        elif len(found) < want:
            found.append(Lease(span, int(row.epoch) + 1))
    # Behind the others: what somebody still has must not hide what nobody has.
    _write(conn, [(one, FREE, now) for one in spared], Owner("", "", ""), now)
    for prefix in record.prefixes:
        if len(found) < want:
            found += _cut(conn, pool, prefix, record.length, want - len(found), taken, now)
    _write(conn, [(one, LEASED, now) for one in found], owner, now)
    return found


def _free_rows(conn: Connection, pool: str, record: PoolRecord, limit: int) -> Sequence[Any]:
    chosen = sa.select(address_block).where(
        address_block.c.pool == pool,
        address_block.c.state == FREE,
        address_block.c.length == record.length,
        address_block.c.prefix.in_(record.prefixes),
    )
    chosen = chosen.order_by(address_block.c.since).limit(limit)
    if conn.dialect.name != "sqlite":
        chosen = chosen.with_for_update(skip_locked=True)
    return conn.execute(chosen).all()


def _cut(
    conn: Connection, pool: str, prefix: str, length: int, want: int, taken: list[Any], now: datetime
) -> list[Lease]:
    """New blocks of a prefix, in order; one that overlaps what somebody still has is cut, and left free for later."""
    row = _prefix_row(conn, pool, prefix, length)
    found: list[Lease] = []
    spared: list[Lease] = []
    number = int(row.cut)
    while len(found) < want and number < int(row.blocks):
        span = Span(pool, prefix, number, int(row.size), length)
        (spared if _collides(span, taken) else found).append(Lease(span, 1))
        number += 1
    conn.execute(
        sa.update(address_prefix)
        .where(
            address_prefix.c.pool == pool,
            address_prefix.c.prefix == prefix,
            address_prefix.c.length == length,
        )
        .values(cut=number)
    )
    _write(conn, [(one, FREE, now) for one in spared], Owner("", "", ""), now)
    return found


def _prefix_row(conn: Connection, pool: str, prefix: str, length: int) -> Any:
    where = (
        address_prefix.c.pool == pool,
        address_prefix.c.prefix == prefix,
        address_prefix.c.length == length,
    )
    chosen = sa.select(address_prefix).where(*where)
    if conn.execute(chosen).first() is None:
        workers = conn.scalar(sa.select(sa.func.sum(radius_node.c.workers))) or 1
        size = block_size(prefix, length, int(workers))
        blocks = count(prefix, length) // size if size else 0
        row = {"pool": pool, "prefix": prefix, "length": length, "size": size, "blocks": blocks, "cut": 0}
        upsert(conn, address_prefix, [row], key=["pool", "prefix", "length"], update=[])
    locked = chosen if conn.dialect.name == "sqlite" else chosen.with_for_update()
    return conn.execute(locked).one()


def _size(conn: Connection, pool: str, prefix: str, length: int) -> int:
    return int(
        conn.scalar(
            sa.select(address_prefix.c.size).where(
                address_prefix.c.pool == pool,
                address_prefix.c.prefix == prefix,
                address_prefix.c.length == length,
            )
        )
        or 0
    )


def _in_use(conn: Connection, pool: str, record: PoolRecord) -> list[Any]:
    """Networks that somebody has under another name: of a prefix that was widened, split or moved to another pool, be
    it that the pool itself was renamed.
    """
    mine = [ipaddress.ip_network(prefix) for prefix in record.prefixes]
    others = [
        row
        for row in conn.execute(sa.select(address_prefix))
        if any(_overlap(ipaddress.ip_network(row.prefix), one) for one in mine)
        and not (row.pool == pool and row.prefix in record.prefixes and row.length == record.length)
    ]
    found = []
    for row in others:
        chosen = sa.select(address_block.c.pool, address_block.c.number).where(
            address_block.c.prefix == row.prefix,
            address_block.c.length == row.length,
            address_block.c.pool == row.pool,
            address_block.c.state != FREE,
        )
        found += [
            Span(pool, row.prefix, int(number), int(row.size), int(row.length)).network
            for pool, number in conn.execute(chosen)
        ]
    return found


def _overlap(one: Any, other: Any) -> bool:
    return bool(one.version == other.version and one.overlaps(other))


def _collides(span: Span, taken: list[Any]) -> bool:
    return bool(taken) and any(_overlap(span.network, one) for one in taken)


def _write(
    conn: Connection, what: Iterable[tuple[Lease, str, datetime]], owner: Owner, now: datetime
) -> None:
    rows = [
        {
            "pool": one.span.pool, "prefix": one.span.prefix, "length": one.span.length, "number": one.span.number,
            "state": state, "node": owner.node, "worker": owner.worker, "home": owner.home, "epoch": one.epoch,
            "since": now, "until": until,
        }
        for one, state, until in what
    ]  # fmt: skip
    upsert(conn, address_block, rows, key=["pool", "prefix", "length", "number"])


def give_back(
    conn: Connection, owner: Owner, leases: Sequence[Lease], now: datetime, rest: timedelta | None = None
) -> int:
    """The worker returns blocks: free at once, or after `rest` and without a session on them. Another epoch means that
    somebody else has it: left alone. Returns how many went back.
    """
    done = 0
    for one in leases:
        values = {
            "state": FREE if rest is None else RESTING,
            "since": now,
            "until": now + (rest or timedelta(0)),
        }
        done += conn.execute(
            sa.update(address_block)
            .where(
                *_is(one.span),
                address_block.c.epoch == one.epoch,
                *_of(owner),
                address_block.c.state == LEASED,
            )
            .values(**values)
        ).rowcount
    return done


def _is(span: Span) -> tuple[sa.ColumnElement[bool], ...]:
    table = address_block.c
    return (
        table.pool == span.pool,
        table.prefix == span.prefix,
        table.length == span.length,
        table.number == span.number,
    )


def _of(owner: Owner) -> tuple[sa.ColumnElement[bool], ...]:
    return address_block.c.worker == owner.worker, address_block.c.home == owner.home


def leased_to(conn: Connection, owner: Owner) -> list[Lease]:
    """What the database says the worker has."""
    chosen = (
        sa.select(address_block, address_prefix.c.size)
        .join(
            address_prefix,
            sa.and_(
                address_prefix.c.pool == address_block.c.pool,
                address_prefix.c.prefix == address_block.c.prefix,
                address_prefix.c.length == address_block.c.length,
            ),
        )
        .where(*_of(owner), address_block.c.state == LEASED)
    )
    return [
        Lease(Span(row.pool, row.prefix, int(row.number), int(row.size), int(row.length)), int(row.epoch))
        for row in conn.execute(chosen)
    ]


def reclaim(conn: Connection, pool: str, record: PoolRecord, drained: datetime | None, now: datetime) -> int:
    """Free resting blocks whose time is over, that have no open session, as far as all nodes have told; those of the
    pool's old name, too. Returns how many became free.
    """
    if drained is None:
        return 0
    chosen = sa.select(address_block).where(
        sa.or_(address_block.c.pool == pool, address_block.c.prefix.in_(record.prefixes)),
        address_block.c.state == RESTING,
        address_block.c.until <= now,
        address_block.c.until <= drained,
    )
    # Nobody says any more which kind of prefix the other name gave.
    other = record.family if record.family == "ipv4" else evidence.IPV6
    freed = 0
    for row in conn.execute(chosen.order_by(address_block.c.until).limit(_RECLAIMED)).all():
        size = _size(conn, row.pool, row.prefix, int(row.length))
        span = Span(row.pool, row.prefix, int(row.number), size, int(row.length))
        values: dict[str, Any] = {"state": FREE, "since": now, "node": "", "worker": "", "home": ""}
        busy = bool(evidence.open_by_value(conn, record.family if row.pool == pool else other, span.values()))
        if busy:
            values = {
                "until": now
            }  # behind the others: sessions that last must not hide blocks that are over
        done = conn.execute(
            sa.update(address_block)
            .where(*_is(span), address_block.c.epoch == row.epoch, address_block.c.state == RESTING)
            .values(**values)
        )
        freed += 0 if busy else done.rowcount
    return freed


def forget(conn: Connection, node: str, now: datetime, rest: timedelta) -> int:
    """A person says that the node is gone for good: its blocks rest. Returns how many."""
    return conn.execute(
        sa.update(address_block)
        .where(address_block.c.node == node, address_block.c.state == LEASED)
        .values(state=RESTING, since=now, until=now + rest, epoch=address_block.c.epoch + 1)
    ).rowcount
