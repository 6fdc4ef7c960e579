"""Payments: one per idempotency key; what it releases is queued in the same transaction."""

from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Header
from pydantic import BaseModel, Field

from api.amounts import Amount, amount
from api.answers import Answer, answer
from api.given import Given
from api.here import Here
from api.resource import After, Limit, page, resource
from api.security import needs
from api.tokens import Identity
from billing import accounts, payments
from billing.models import payment
from core.money import Money

ROUTER = resource("payments")
Staff = Annotated[Identity, needs("support", "billing")]
Key = Annotated[
    str, Header(min_length=1, max_length=120, description="The same key again is the same payment.")
]


class Wanted(Given):
    """A payment in the account's currency; `currency` is checked where it is given."""

    account: str
    amount: Annotated[str, Field(examples=["86.90"], max_length=30)]
    currency: str | None = None
    method: Annotated[str, Field(min_length=1, max_length=32)] = "cash"


class Share(BaseModel):
    """What of it an invoice got."""

    invoice: str
    amount: Amount


class Paid(Answer):
    """What it did. `set_ids`: the releases; a service is free when `/services/{id}` says so."""

    payment: str
    amount: Amount
    shares: list[Share]
    credit: Amount
    set_ids: list[str]


class Payment(BaseModel):
    """A payment in a list."""

    id: str
    account: str
    kind: str
    amount: Amount
    method: str
    received_at: datetime
    actor: str
    set_ids: list[str]


class Payments(Answer):
    """A page of payments."""

    payments: list[Payment]
    next: str | None = None


@ROUTER.post("", response_model=Paid)
def pay(here: Here, who: Staff, wanted: Wanted, idempotency_key: Key) -> Any:
    """Take a payment; when nothing is overdue any more, services are released in the same transaction."""
    with here.context.db.write() as conn:
        currency = wanted.currency or accounts.get(conn, wanted.account).currency
        money = Money.parse(wanted.amount, currency)
        paid = payments.pay(conn, wanted.account, money, wanted.method, idempotency_key, actor=who.actor)
    shares = [Share(invoice=one.invoice, amount=amount(Money(one.amount, currency))) for one in paid.shares]
    return answer(
        "payment", payment=paid.payment, amount=amount(paid.amount), shares=shares, credit=amount(paid.credit),
        set_ids=list(paid.set_ids),
    )  # fmt: skip


@ROUTER.get("", response_model=Payments)
def list_payments(here: Here, _who: Staff, account: str, limit: Limit = 50, after: After = "") -> Any:
    """List an account's payments, the newest first."""
    query = sa.select(payment).where(payment.c.account_id == account).order_by(payment.c.id.desc())
    if after:
        query = query.where(payment.c.id < after)
    with here.context.db.read() as conn:
        accounts.get(conn, account)
        found = [_shown(row) for row in conn.execute(query.limit(limit + 1))]
    shown, cursor = page(found, limit, "id")
    return answer("payments", payments=shown, next=cursor)


def _shown(row: Any) -> Payment:
    return Payment(
        id=row.id, account=row.account_id, kind=row.kind, amount=amount(Money(row.amount, row.currency)),
        method=row.method, received_at=row.received_at, actor=row.actor, set_ids=row.sets,
    )  # fmt: skip
