"""What the bank brought and got, the newest first: statements with their lines by state, batches with their debits."""

from collections import defaultdict
from datetime import date, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.bank.checks import masked
from billing.bank.models import batch, collection, entry, statement
from core.money import Money


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A statement. `lines`: how many of its lines are in each state."""

    id: str
    account: str
    name: str
    closed_on: date
    closing: Money | None
    file: str
    actor: str
    recorded_at: datetime
    lines: dict[str, int]


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of direct debits. `debits`: how many are in each state."""

    id: str
    legal_entity: str
    collect_on: date
    count: int
    total: Money
    actor: str
    recorded_at: datetime
    debits: dict[str, int]


def statements(conn: Connection, limit: int = 20) -> list[Told]:
    """The newest first."""
    rows = conn.execute(sa.select(statement).order_by(statement.c.recorded_at.desc()).limit(limit)).all()
    lines = _states(conn, entry.c.statement_id, entry.c.state, [row.id for row in rows])
    return [
        Told(
            id=row.id, account=masked(row.account), name=row.statement_id, closed_on=row.closed_on,
            closing=None if row.closing is None else Money(row.closing, row.currency), file=row.file,
            actor=row.actor, recorded_at=row.recorded_at, lines=lines[row.id],
        )
        for row in rows
    ]  # fmt: skip


def batches(conn: Connection, limit: int = 20) -> list[Given]:
    """The newest first; all of SEPA, so in euros."""
    rows = conn.execute(sa.select(batch).order_by(batch.c.recorded_at.desc()).limit(limit)).all()
    debits = _states(conn, collection.c.batch_id, collection.c.state, [row.id for row in rows])
    return [
        Given(
            id=row.id, legal_entity=row.legal_entity, collect_on=row.collect_on, count=row._mapping["count"],
            total=Money(row.total, "EUR"), actor=row.actor, recorded_at=row.recorded_at, debits=debits[row.id],
        )
        for row in rows
    ]  # fmt: skip


def unmatched(conn: Connection) -> int:
    """How many lines wait for a person."""
    query = sa.select(sa.func.count()).select_from(entry)
    waits: sa.ColumnElement[bool] = sa.literal_column("bank_entry.state IN ('pending', 'unmatched')")
    return int(conn.execute(query.where(waits)).scalar_one())


def _states(
    conn: Connection, owner: "sa.Column[str]", state: "sa.Column[str]", ids: list[str]
) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    query = sa.select(owner, state, sa.func.count()).where(owner.in_(ids)).group_by(owner, state)
    for row in conn.execute(query.order_by(owner, state)):
        found[row[0]][row[1]] = int(row[2])
    return found
