"""What of the gateways a person looks at, over all accounts: charges and refunds that are undecided or failed, and what
waits for somebody's decision.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.gateways.models import FAILURES, UNDECIDED, WAITING, attempt, cursor, heard
from billing.models import invoice, payment
from billing.refunding.models import UNSETTLED
from billing.refunding.models import refund as refund_table
from core.models import event
from core.money import Money


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """A try to charge an invoice. `told_on`: local day on which we heard of its state."""

    id: str
    account: str
    invoice: str
    number: int
    gateway: str
    amount: Money
    state: str
    code: str
    planned_on: date
    asked_at: datetime | None
    told_on: date | None


class Giving(msgspec.Struct, frozen=True, kw_only=True):
    """A refund that is on its way, or failed. `payment`: what it is of."""

    id: str
    account: str
    payment: str
    method: str
    amount: Money
    state: str
    why: str
    requested_on: date
    actor: str


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """Money that a gateway took back beyond what our books have: a person decides."""

    account: str
    amount: Money
    attempt: str
    why: str
    at: datetime


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """How a gateway stands. `until`: its events before this were fetched; `waiting`: events about unknown charges."""

    name: str
    until: datetime
    undecided: int
    waiting: int


def gateways(conn: Connection) -> list[Gateway]:
    """Every gateway that somebody pays by."""
    open_ = _counts(conn, attempt.c.gateway, UNDECIDED)
    waits = _counts(conn, heard.c.gateway, WAITING)
    return [
        Gateway(name=row.gateway, until=row.until, undecided=open_.get(row.gateway, 0),
                waiting=waits.get(row.gateway, 0))
        for row in conn.execute(sa.select(cursor).order_by(cursor.c.gateway))
    ]  # fmt: skip


def undecided(conn: Connection, limit: int = 100, after: str = "") -> list[Try]:
    """Charges whose fate is not known, the oldest first, those after the attempt `after`."""
    query = _tries().where(sa.literal_column(UNDECIDED), attempt.c.id > after)
    return _shown(conn, query.order_by(attempt.c.id).limit(limit))


def failed(conn: Connection, since: date, limit: int = 100) -> list[Try]:
    """Charges that failed, or that the bank sent back, since a day; the newest first."""
    query = _tries().where(
        sa.literal_column(FAILURES), attempt.c.told_on >= since, attempt.c.state != "dropped"
    )
    return _shown(conn, query.order_by(attempt.c.told_on.desc(), attempt.c.id.desc()).limit(limit))


def refunds(conn: Connection, since: date, limit: int = 100) -> list[Giving]:
    """Refunds on their way, by any method, and those of `since` or later that failed; the newest first."""
    query = sa.select(refund_table, payment.c.account_id).join(
        payment, payment.c.id == refund_table.c.payment_id
    )
    recent = sa.or_(refund_table.c.state != "failed", refund_table.c.requested_on >= since)
    query = query.where(sa.literal_column(UNSETTLED), recent)
    order = (refund_table.c.requested_on.desc(), refund_table.c.id.desc())
    return [
        Giving(
            id=row.id, account=row.account_id, payment=row.payment_id, method=row.method,
            amount=Money(row.amount, row.currency), state=row.state, why=row.failure or "",
            requested_on=row.requested_on, actor=row.actor,
        )
        for row in conn.execute(query.order_by(*order).limit(limit))
    ]  # fmt: skip


def stuck(conn: Connection, limit: int = 50) -> list[Stuck]:
    """What waits for a person, the newest first; it stays on the list, as what happened."""
    query = sa.select(event).where(event.c.type == "gateway.waits").order_by(event.c.seq.desc()).limit(limit)
    rows = conn.execute(query).all()
    named = sa.select(attempt.c.id, attempt.c.currency).where(
        attempt.c.id.in_([row.data["attempt"] for row in rows])
    )
    currencies = {row.id: row.currency for row in conn.execute(named)}
    return [
        Stuck(
            account=row.subject, amount=Money(row.data["amount"], currencies[row.data["attempt"]]),
            attempt=row.data["attempt"], why=row.data["why"], at=row.occurred_at,
        )
        for row in rows
    ]  # fmt: skip


def of_account(conn: Connection, account: str, limit: int = 24) -> list[Try]:
    """An account's tries, the newest first."""
    query = _tries().where(attempt.c.account_id == account)
    return _shown(conn, query.order_by(attempt.c.id.desc()).limit(limit))


def _counts(conn: Connection, column: Any, condition: str) -> dict[str, int]:
    query = sa.select(column, sa.func.count()).where(sa.literal_column(condition)).group_by(column)
    return {row[0]: int(row[1]) for row in conn.execute(query)}


def _tries() -> "sa.Select[Any]":
    query = sa.select(attempt, invoice.c.number.label("invoice_number"))
    return query.join(invoice, invoice.c.id == attempt.c.invoice_id)


def _shown(conn: Connection, query: "sa.Select[Any]") -> list[Try]:
    rows: Sequence[Any] = conn.execute(query).all()
    return [
        Try(
            id=row.id, account=row.account_id, invoice=row.invoice_number, number=row.number, gateway=row.gateway,
            amount=Money(row.amount, row.currency), state=row.state, code=row.code, planned_on=row.planned_on,
            asked_at=row.asked_at, told_on=row.told_on,
        )
        for row in rows
    ]  # fmt: skip
