"""An account's payments as staff see them: what each pays, what is left, and what happened to it."""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts
from billing.models import ledger_transaction, payment
from billing.periods import local_date
from billing.refunding import found
from billing.refunding.models import chargeback, outflow, refund
from core.money import Money


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A payment in a list.

    `state`: applied, partly-applied, unapplied (`held`: by a person), or, when nothing is left, refunded,
    charged-back, moved, voided. `pays`: number of an invoice -> amount. `events`: a line for each thing that happened.
    """

    id: str
    received_on: date
    kind: str
    method: str
    amount: Money
    unapplied: Money
    state: str
    pays: dict[str, str]
    events: tuple[str, ...]


def payments_of(conn: Connection, account: str, limit: int = 100) -> list[Listed]:
    """An account's payments, the newest first. Raises AccountUnknown."""
    owner = accounts.get(conn, account)
    booked = sa.select(sa.func.min(ledger_transaction.c.booked_on)).where(
        ledger_transaction.c.source == payment.c.id, ledger_transaction.c.kind == "receipt"
    )
    day = booked.scalar_subquery().label("booked_on")
    columns = (payment, debts.LEFT.label("left_"), debts.UNAPPLIED.label("unapplied_"), day)
    query = sa.select(*columns).where(payment.c.account_id == account)
    rows = conn.execute(query.order_by(payment.c.received_at.desc(), payment.c.id.desc()).limit(limit))
    return [_listed(conn, owner, row) for row in rows.all()]


def _listed(conn: Connection, owner: accounts.Account, row: Any) -> Listed:
    pays = {
        found.number_of(conn, one.invoice): str(owner.money(one.amount)) for one in found.shares(conn, row.id)
    }
    day = row.booked_on or local_date(row.received_at, owner.timezone)
    return Listed(
        id=row.id, received_on=day, kind=row.kind, method=row.method,
        amount=owner.money(row.amount), unapplied=owner.money(int(row.unapplied_)),
        state=_state(conn, row), pays=pays, events=tuple(_events(conn, row, owner)),
    )  # fmt: skip


def _state(conn: Connection, row: Any) -> str:
    if not row.left_:
        query = sa.select(outflow.c.kind).where(outflow.c.payment_id == row.id, outflow.c.amount > 0)
        last = conn.execute(query.order_by(outflow.c.seq.desc())).scalars().first()
        return {"refund": "refunded", "chargeback": "charged-back"}.get(str(last), str(last))
    if not row.unapplied_:
        return "applied"
    state = "unapplied" if row.unapplied_ == row.left_ else "partly-applied"
    return f"{state} (held)" if row.by_hand else state


def _events(conn: Connection, row: Any, owner: accounts.Account) -> list[str]:
    told = []
    query = sa.select(refund).where(refund.c.payment_id == row.id).order_by(refund.c.id)
    for one in conn.execute(query):
        why = f" ({one.failure})" if one.failure else ""
        told.append(
            f"{one.requested_on} refund {one.id} of {owner.money(one.amount)} by {one.method}: {one.state}{why}"
        )
    query = sa.select(chargeback).where(chargeback.c.payment_id == row.id).order_by(chargeback.c.id)
    for one in conn.execute(query):
        why = f" {one.reason}" if one.reason else ""
        told.append(f"{one.charged_on} chargeback {one.id} of {owner.money(one.amount)}{why}: {one.state}")
    query = sa.select(outflow).where(outflow.c.payment_id == row.id, outflow.c.kind.in_(("moved", "voided")))
    for one in conn.execute(query):
        where = f" as {one.cause}" if one.kind == "moved" else ""
        told.append(f"{one.booked_on} {Money(one.amount, owner.currency)} {one.kind}{where} by {one.actor}")
    return told
