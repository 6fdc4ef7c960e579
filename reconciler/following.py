"""Following the index: each lane has its own position in `index_change` and moves it with what it queued."""

from collections.abc import Iterator
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import Database, upsert
from intents.index.models import index_change
from intents.index.position import position as index_position
from reconciler.models import position

CHUNK = 2000


class Indexed(msgspec.Struct, frozen=True):
    """A row of `index_change`."""

    seq: int
    commit_id: str
    kind: str
    id: str
    op: str
    changed_at: datetime


class Place(msgspec.Struct, frozen=True):
    """Where a lane stands: a sequence of one generation of the index; a rebuilt index begins another."""

    seq: int
    generation: str


class Batch(msgspec.Struct, frozen=True):
    """What to look at. `everything`: the lane starts, or the index was rebuilt, and all must be looked at."""

    changes: list[Indexed]
    upto: Place
    everything: bool


def place(db: Database, lane: str) -> Place | None:
    """Where the lane stands; None before its first step."""
    with db.read() as conn:
        row = conn.execute(sa.select(position).where(position.c.lane == lane)).first()
    return None if row is None else Place(row.seq, row.generation)


def pending(db: Database, index_conn: Connection, lane: str) -> Batch | None:
    """The changes after the lane's position, or None when there is nothing new."""
    at, generation = place(db, lane), index_position(index_conn).generation
    newest = index_conn.execute(sa.select(sa.func.max(index_change.c.seq))).scalar() or 0
    if at is None or at.generation != generation:
        return Batch([], Place(newest, generation), everything=True)
    if newest == at.seq:
        return None
    rows = index_conn.execute(
        sa.select(index_change).where(index_change.c.seq > at.seq).order_by(index_change.c.seq).limit(CHUNK)
    )
    changes = [Indexed(r.seq, r.commit_id, r.kind, r.id, r.op, r.changed_at) for r in rows]
    return Batch(changes, Place(changes[-1].seq, generation), everything=False)


def moved(conn: Connection, lane: str, upto: Place) -> None:
    """Write the lane's position, in the transaction of what it queued."""
    upsert(conn, position, [{"lane": lane, "seq": upto.seq, "generation": upto.generation}], key=["lane"])


def newest_per_document(changes: list[Indexed]) -> Iterator[Indexed]:
    """The last change of every document, in order of sequence."""
    last = {(change.kind, change.id): change for change in changes}
    return iter(sorted(last.values(), key=lambda change: change.seq))
