"""Allocated values."""

import sqlalchemy as sa
from alembic import op

from core.db import UtcDateTime

revision = "inventory_0001"
down_revision = None
branch_labels = ("inventory",)
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "allocation",
        sa.Column("scope", sa.String(120), primary_key=True),
        sa.Column("value", sa.String(120), primary_key=True),
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("free_at", UtcDateTime),
    )
    op.create_index("ix_allocation_owner", "allocation", ["owner"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("allocation")
