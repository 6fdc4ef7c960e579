"""The table of write-offs."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, UtcDateTime

write_off = sa.Table(
    "write_off",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("invoice_id", sa.String(64), sa.ForeignKey("invoice.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False, comment="bad-debt | residue | recovery"),
    sa.Column(
        "reverses", sa.String(64), sa.ForeignKey("write_off.id"), comment="of a recovery: what it takes back"
    ),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="off the balance; negative for a recovery"),
    sa.Column("tax", Json, nullable=False, comment="tax claimed back with it: category -> minor units"),
    sa.Column("relief", sa.Boolean, nullable=False, comment="tax is claimed back"),
    sa.Column("recoverable", sa.Boolean, nullable=False, comment="a later payment brings it back"),
    sa.Column("written_on", sa.Date, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("amount <> 0", name="amount"),
    comment="append only: a balance is the invoice less allocations less these",
)
