"""Which accounts a run looks at: counted once, cut into ranges of ids, locked range by range."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.models import account, billable, subscription, subscription_item
from core import db


class Range(msgspec.Struct, frozen=True):
    """Accounts with ids in `(after, until]`; `until` None: all that follow."""

    after: str
    until: str | None

    def holds(self, column: "sa.ColumnElement[str]") -> "sa.ColumnElement[bool]":
        """The condition for a column of account ids."""
        low = column > self.after
        return low if self.until is None else sa.and_(low, column <= self.until)


EVERYBODY = Range("", None)


def is_due(on: date) -> "sa.ColumnElement[bool]":
    """Whether an item may have something to bill on a date."""
    return sa.or_(
        subscription_item.c.charged_through.is_(None),
        sa.and_(
            subscription_item.c.charged_through <= on,
            sa.func.coalesce(subscription_item.c.due_from, on) <= on,
        ),
        subscription_item.c.recalculate_from.is_not(None),
    )


def due(on: date, within: Range = EVERYBODY) -> sa.Select[Any]:
    """Ids of accounts with something due, each once."""
    items = sa.select(subscription.c.account_id).join(subscription_item)
    items = items.where(is_due(on), within.holds(subscription.c.account_id))
    added = sa.select(billable.c.account_id).where(
        billable.c.invoice_id.is_(None), billable.c.billed_from <= on, within.holds(billable.c.account_id)
    )
    either = sa.union(items, added).subquery()
    return sa.select(either.c.account_id)


def everybody() -> sa.Select[Any]:
    """Ids of all accounts."""
    return sa.select(account.c.id.label("account_id"))


def cut(conn: Connection, ids: sa.Select[Any], size: int) -> tuple[int, list[Range]]:
    """How many ids there are, and ranges that hold `size` of them each; together they hold every id there may be."""
    found = ids.subquery()
    ranked = sa.select(found.c.account_id, sa.func.row_number().over(order_by=found.c.account_id).label("n"))
    numbered = ranked.subquery()
    total = conn.execute(sa.select(sa.func.count()).select_from(numbered)).scalar_one()
    query = sa.select(numbered.c.account_id).where(numbered.c.n % size == 0).order_by(numbered.c.account_id)
    bounds = list(conn.execute(query).scalars())
    if bounds and total % size == 0:
        bounds.pop()
    return total, [Range(low, high) for low, high in zip(["", *bounds], [*bounds, None], strict=True)]


def lock(conn: Connection, ids: Sequence[str], *, wait: bool) -> list[str]:
    """Lock accounts in the order of their ids; without `wait` those that somebody else has are left out."""
    if not ids:
        return []
    query = sa.select(account.c.id).where(among(conn, account.c.id, ids)).order_by(account.c.id)
    if wait or conn.dialect.name == "sqlite":
        return list(conn.execute(db.lock_row(conn, query)).scalars())
    return list(conn.execute(query.with_for_update(skip_locked=True)).scalars())


def among(conn: Connection, column: "sa.ColumnElement[str]", ids: Sequence[str]) -> "sa.ColumnElement[bool]":
    """Whether a column is one of any number of ids: one parameter on PostgreSQL, however many they are."""
    if conn.dialect.name == "sqlite":
        return column.in_(ids)
    return column == sa.any_(sa.bindparam(None, list(ids), type_=sa.ARRAY(sa.String)))
