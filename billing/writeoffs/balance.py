"""What is written off of an invoice, as a column, and by any day."""

from datetime import date

import sqlalchemy as sa

from billing.models import invoice
from billing.writeoffs.models import write_off

WRITTEN = (
    sa.select(sa.func.coalesce(sa.func.sum(write_off.c.amount), 0))
    .where(write_off.c.invoice_id == invoice.c.id)
    .scalar_subquery()
)
"""What is written off of an invoice and not recovered."""


def written_by(day: date) -> sa.Subquery:
    """`invoice_id`, `amount` by the end of a day."""
    query = sa.select(write_off.c.invoice_id, sa.func.sum(write_off.c.amount).label("amount"))
    return query.where(write_off.c.written_on <= day).group_by(write_off.c.invoice_id).subquery("written")
