"""Credit of credit notes takes a payment's place on its invoices, so that the payment may be refunded.

A paid invoice that is credited leaves the payment allocated and the note's credit unapplied. What goes back to the
customer has to be the payment (it went through a bank); the invoices stay as paid as they were.
"""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import debts, payments
from billing.models import payment
from billing.refunding import found
from billing.refunding.found import RECEIPT, Found


def replace(conn: Connection, one: Found, minor: int, on: date) -> int:
    """Free up to so many minor units of a payment; returns how many it could. The account is locked."""
    done = 0
    for credit, available in _credits(conn, one):
        for share in found.shares(conn, one.id):
            part = min(minor - done, available, share.amount)
            if part > 0:
                payments.place(conn, one.owner, one.id, share.invoice, -part, on)
                payments.place(conn, one.owner, credit, share.invoice, part, on)
                available -= part
                done += part
        payments.note_spent(conn, credit)
    payments.note_spent(conn, one.id)
    return done


def _credits(conn: Connection, one: Found) -> list[tuple[str, int]]:
    query = sa.select(payment.c.id, debts.UNAPPLIED).where(
        payment.c.account_id == one.owner.id, payment.c.kind != RECEIPT, debts.UNAPPLIED > 0
    )
    return [
        (row[0], int(row[1])) for row in conn.execute(query.order_by(payment.c.received_at, payment.c.id))
    ]
