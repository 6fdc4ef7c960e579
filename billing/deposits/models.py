"""Tables of deposits. What is held of one is its amount minus its movements."""

import sqlalchemy as sa

from billing.models import META
from core.db import UtcDateTime

deposit = sa.Table(
    "deposit",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("service", sa.String(64)),
    sa.Column("asked_on", sa.Date, nullable=False),
    sa.Column("billable_id", sa.String(64), sa.ForeignKey("billable.id"), nullable=False, unique=True),
    sa.Column("idempotency_key", sa.String(120), nullable=False, unique=True),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("amount > 0", name="amount"),
)

deposit_movement = sa.Table(
    "deposit_movement",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("deposit_id", sa.String(64), sa.ForeignKey("deposit.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False, comment="applied | returned | forfeited"),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("payment_id", sa.String(64), sa.ForeignKey("payment.id"), nullable=False),
    sa.Column("moved_on", sa.Date, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("amount > 0", name="amount"),
    comment="append only: what became of a deposit",
)
