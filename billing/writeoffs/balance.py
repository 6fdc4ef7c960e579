"""What is written off of an invoice, as a column."""

import sqlalchemy as sa

from billing.models import invoice
from billing.writeoffs.models import write_off

WRITTEN = (
    sa.select(sa.func.coalesce(sa.func.sum(write_off.c.amount), 0))
    .where(write_off.c.invoice_id == invoice.c.id)
    .scalar_subquery()
)
"""What is written off of an invoice and not recovered."""
