"""A payment with its account locked, and what of it is left, unapplied, allocated: what every step looks at first."""

from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, payments
from billing.accounts import Account
from billing.allocating import Share
from billing.closing import lock as closed
from billing.errors import AmountNotPayable, CurrencyWrong
from billing.models import account, allocation, invoice, payment
from billing.refunding.errors import PaymentUnknown
from billing.refunding.models import outflow
from core import clock
from core.money import Money

RECEIPT = "receipt"
OURS = ("deposit", "wallet")
"""Credit that a person made of money that the customer had paid us: a deposit, or what was in a wallet."""


class Found(msgspec.Struct, frozen=True):
    """A payment. `left`: minor units after refunds, chargebacks, moves; `unapplied`: those that pay nothing yet."""

    id: str
    owner: Account
    kind: str
    method: str
    amount: int
    left: int
    unapplied: int
    key: str

    def money(self, minor: int) -> Money:
        """An amount in its currency."""
        return self.owner.money(minor)


def lock(conn: Connection, payment_id: str) -> Found:
    """A payment; its account is locked until the transaction ends. Raises PaymentUnknown."""
    mine = payment.c.id == payment_id
    account = conn.execute(sa.select(payment.c.account_id).where(mine)).scalar()
    if account is None:
        raise PaymentUnknown(payment_id)
    owner = accounts.lock(conn, account)
    query = sa.select(payment, debts.LEFT.label("left_"), debts.UNAPPLIED.label("unapplied_")).where(mine)
    row = conn.execute(query).one()
    return Found(
        id=row.id, owner=owner, kind=row.kind, method=row.method, amount=row.amount, left=int(row.left_),
        unapplied=int(row.unapplied_), key=row.idempotency_key,
    )  # fmt: skip


def require_amount(found: Found, amount: Money) -> None:
    """More than nothing, in the account's currency. Raises CurrencyWrong, AmountNotPayable."""
    if amount.currency != found.owner.currency:
        raise CurrencyWrong(found.owner.id, found.owner.currency, amount.currency)
    if amount.minor <= 0:
        raise AmountNotPayable(amount)


def shares(conn: Connection, payment_id: str) -> list[Share]:
    """What it pays, the newest allocation first."""
    net = sa.func.sum(allocation.c.amount)
    query = sa.select(allocation.c.invoice_id, net).where(allocation.c.payment_id == payment_id)
    query = query.group_by(allocation.c.invoice_id).having(net > 0)
    rows = conn.execute(query.order_by(sa.func.max(allocation.c.seq).desc()))
    return [Share(row[0], int(row[1])) for row in rows]


def number_of(conn: Connection, invoice_id: str) -> str:
    """An invoice's number, to print."""
    query = sa.select(invoice.c.number).where(invoice.c.id == invoice_id)
    return str(conn.execute(query).scalar() or invoice_id)


def free(conn: Connection, found: Found, minor: int, on: date) -> list[Share]:
    """Take so many minor units off invoices, the newest allocation first; the invoices are open again, due as before.

    The caller has looked: the payment has as much allocated.
    """
    taken: list[Share] = []
    for share in shares(conn, found.id):
        part = min(minor, share.amount)
        if part > 0:
            payments.place(conn, found.owner, found.id, share.invoice, -part, on)
            taken.append(Share(share.invoice, part))
            minor -= part
    payments.note_spent(conn, found.id)
    return taken


def let_go(
    conn: Connection, payment_id: str, kind: str, cause: str, minor: int, *, actor: str, on: date
) -> None:
    """Write down what left a payment (below zero: came back), on the first open day; its books are the caller's."""
    query = sa.select(account.c.legal_entity).join(payment, payment.c.account_id == account.c.id)
    on = closed.open_day(conn, conn.execute(query.where(payment.c.id == payment_id)).scalar_one(), on)
    values = {
        "payment_id": payment_id, "kind": kind, "cause": cause, "amount": minor, "booked_on": on,
        "recorded_at": clock.now(), "actor": actor,
    }  # fmt: skip
    conn.execute(sa.insert(outflow).values(**values))
    payments.note_spent(conn, payment_id)
