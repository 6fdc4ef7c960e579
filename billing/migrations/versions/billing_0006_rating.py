"""Rating: what a month's usage came to."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, UtcDateTime

revision = "billing_0006"
down_revision = "billing_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables."""
    op.create_table(
        "usage_rated",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column(
            "scope",
            sa.String(160),
            nullable=False,
            comment="who used together: service:<id>, or shared:<plan>",
        ),
        sa.Column("meter", sa.String(16), nullable=False),
        sa.Column("period_start", sa.Date, nullable=False),
        sa.Column("period_end", sa.Date, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("free", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="what it comes to, revisions together"),
        sa.Column("lots", Json, nullable=False, comment="what is left of allowances: (month, quantity)"),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("rated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "scope", "meter", "period_start", name="pk_usage_rated"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_usage_rated_account_id_account"),
        comment="what was made of a month's usage; a correction is a further revision of its billable",
    )
