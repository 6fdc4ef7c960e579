"""Derived tables of the view, in the same database as the index; rebuilt when their layout differs."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.view.records import LAYOUT, Nas
from core.db import Database, Sequenced, UtcDateTime
from core.ids import new_id

METADATA = sa.MetaData()
# The smaller of two owners answers: compared as octets on both databases, not in some language's order.
_Owner = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")

view_record = sa.Table(
    "view_record",
    METADATA,
    sa.Column("key", sa.LargeBinary, primary_key=True),
    # Two owners of one key is a mistake that intents report; here the smaller owner answers.
    sa.Column("owner", _Owner, primary_key=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)
sa.Index("ix_view_record_owner", view_record.c.owner)

view_change = sa.Table(
    "view_change",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

view_position = sa.Table(
    "view_position",
    METADATA,
    sa.Column("worker", sa.String(80), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

view_state = sa.Table(
    "view_state",
    METADATA,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("value", sa.String(80), nullable=False),
)

# What of a plan, device, edge or pool decides records; another digest means that its dependents change.
view_projection = sa.Table(
    "view_projection",
    METADATA,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("id", sa.String(63), primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)

# Policies by their hash, so that a correction knows what the session has now. Kept; a lost one costs a Disconnect.
view_policy = sa.Table(
    "view_policy",
    METADATA,
    sa.Column("policy_hash", sa.String(16), primary_key=True),
    sa.Column("policy", sa.LargeBinary, nullable=False),
)

# What the recorded database last said of limits, so that the view goes on without it (aaa/view/limits.py).
view_limit = sa.Table(
    "view_limit",
    METADATA,
    sa.Column("service", sa.String(80), primary_key=True),
    sa.Column("cause", sa.String(80), primary_key=True),
    sa.Column("plan", sa.String(63), nullable=False),  # of a voucher; "" of anything else
    sa.Column("body", sa.LargeBinary, nullable=False),
)
sa.Index("ix_view_limit_plan", view_limit.c.plan)

# Plans whose slot changed, and how far (by service id) their services are compiled again: a portion at a time.
view_sweep = sa.Table(
    "view_sweep",
    METADATA,
    sa.Column("plan", sa.String(63), primary_key=True),
    sa.Column("after", sa.String(80), nullable=False),
)


def ensure(db: Database) -> None:
    """Create the tables; drop and create them when they are of another layout."""
    METADATA.create_all(db.engine)
    with db.read() as conn:
        layout = state(conn, "layout")
    if layout not in (None, str(LAYOUT)):
        METADATA.drop_all(db.engine)
        METADATA.create_all(db.engine)
    with db.write() as conn:
        if state(conn, "layout") is None:
            put_state(conn, "layout", str(LAYOUT))
            put_state(conn, "generation", new_id("view"))


def state(conn: Connection, name: str) -> str | None:
    """A named value: `layout`, `generation` (a new one for each rebuild), `index_seq`."""
    value: str | None = conn.scalar(sa.select(view_state.c.value).where(view_state.c.name == name))
    return value


def put_state(conn: Connection, name: str, value: str) -> None:
    """Write a named value."""
    conn.execute(sa.delete(view_state).where(view_state.c.name == name))
    conn.execute(sa.insert(view_state).values(name=name, value=value))


def newest(conn: Connection) -> int:
    """The last sequence number of the view; 0 before the first change."""
    return int(conn.scalar(sa.select(sa.func.max(view_change.c.seq))) or 0)


def is_built(conn: Connection) -> bool:
    """Whether the first whole build is done: before it, what is missing is not gone."""
    return state(conn, "index_seq") is not None


def effective(conn: Connection, key: bytes) -> bytes | None:
    """The record that answers for a key."""
    row = conn.execute(
        sa.select(view_record.c.record).where(view_record.c.key == key).order_by(view_record.c.owner).limit(1)
    ).first()
    return None if row is None else bytes(row[0])


def records_of(conn: Connection, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """The records that answer for these keys (some hundred at a time)."""
    rows = conn.execute(
        sa.select(view_record.c.key, view_record.c.record)
        .where(view_record.c.key.in_(keys))
        .order_by(view_record.c.key, view_record.c.owner.desc())
    )
    return {bytes(key): bytes(record) for key, record in rows}


def nas_records(conn: Connection) -> list[tuple[bytes, Nas]]:
    """(key, record) of every NAS source address."""
    rows = conn.execute(
        # A range, not LIKE: SQLite would read every record for that. ';' follows ':' in ASCII.
        sa.select(view_record.c.key, view_record.c.record).where(
            view_record.c.owner >= "device:", view_record.c.owner < "device;"
        )
    )
    return [(bytes(key), msgspec.msgpack.decode(bytes(raw), type=Nas)) for key, raw in rows]
