"""Receipts: a number in a gapless series of each legal entity, given when the receipt is printed first."""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import numbers
from billing.models import allocation, invoice, ledger_transaction, payment
from billing.refunding import found
from billing.refunding.errors import NotMovable
from billing.refunding.found import RECEIPT
from billing.refunding.models import outflow, payment_receipt
from core.money import Money


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as it is printed. `again`: it was printed before. `pays`: (number of an invoice, amount)."""

    number: str
    issued_on: date
    again: bool
    payment: str
    account: str
    legal_entity: str
    paid_on: date
    method: str
    amount: Money
    taken_by: str
    pays: tuple[tuple[str, Money], ...]
    unapplied: Money
    void: bool

    def text(self) -> str:
        """As it is printed, in lines of 40 columns."""
        lines = [f"{self.legal_entity}", f"RECEIPT {self.number}", f"issued {self.issued_on}"]
        lines += ["COPY"] if self.again else []
        lines += ["*** VOID: this payment was cancelled ***"] if self.void else []
        lines += ["", _row("Account", self.account), _row("Paid on", str(self.paid_on))]
        lines += [_row("By", self.method), _row("Taken by", self.taken_by), _row("Payment", self.payment), ""]
        lines += [_row(f"for {number}", str(amount)) for number, amount in self.pays]
        lines += [_row("kept as credit", str(self.unapplied))] if self.unapplied.minor else []
        return "\n".join([*lines, _row("TOTAL", str(self.amount))])


def receipt(conn: Connection, payment_id: str, *, actor: str) -> Receipt:
    """The receipt of a payment; the first time it gets its number. Raises PaymentUnknown, NotMovable."""
    one = found.lock(conn, payment_id)
    if one.kind != RECEIPT or one.key.startswith("moved:"):
        raise NotMovable(
            payment_id, "receipted", "nobody paid it in; only a payment that came in has a receipt"
        )
    row, again = _numbered(conn, one, actor)
    query = sa.select(payment, ledger_transaction.c.booked_on).join(
        ledger_transaction,
        sa.and_(ledger_transaction.c.source == payment.c.id, ledger_transaction.c.kind == "receipt"),
    )
    paid = conn.execute(query.where(payment.c.id == payment_id)).one()
    gone = sa.select(outflow.c.seq).where(outflow.c.payment_id == payment_id, outflow.c.kind == "voided")
    return Receipt(
        number=row["number"], issued_on=row["issued_on"], again=again, payment=payment_id, account=one.owner.id,
        legal_entity=one.owner.legal_entity, paid_on=paid.booked_on, method=one.method, amount=one.money(one.amount),
        taken_by=paid.actor, pays=_pays(conn, one), unapplied=one.money(one.unapplied),
        void=conn.execute(gone).first() is not None,
    )  # fmt: skip


def _numbered(conn: Connection, one: found.Found, actor: str) -> tuple[dict[str, Any], bool]:
    query = sa.select(payment_receipt).where(payment_receipt.c.payment_id == one.id)
    row = conn.execute(query).mappings().first()
    if row is not None:
        return dict(row), True
    entity = one.owner.legal_entity
    series = numbers.lock(conn, f"receipt/{entity}")
    sequence, issued = series.next(one.owner.today)
    numbers.store(conn, series)
    number = f"RC-{'' if entity == 'main' else f'{entity}-'}{sequence:06d}"
    values = {"payment_id": one.id, "legal_entity": entity, "sequence": sequence, "number": number,
              "issued_on": issued, "actor": actor}  # fmt: skip
    conn.execute(sa.insert(payment_receipt).values(**values))
    return values, False


def _pays(conn: Connection, one: found.Found) -> tuple[tuple[str, Money], ...]:
    net = sa.func.sum(allocation.c.amount)
    query = sa.select(invoice.c.number, net).join(invoice, invoice.c.id == allocation.c.invoice_id)
    query = query.where(allocation.c.payment_id == one.id).group_by(invoice.c.number).having(net != 0)
    return tuple((row[0], one.money(int(row[1]))) for row in conn.execute(query.order_by(invoice.c.number)))


def _row(label: str, value: str) -> str:
    return f"{label:<{max(1, 40 - len(value) - 1)}} {value}"
