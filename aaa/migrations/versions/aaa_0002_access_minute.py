"""Accepted and refused logins by NAS and minute."""

import sqlalchemy as sa
from alembic import op

from core.db import UtcDateTime

revision = "aaa_0002"
down_revision = "aaa_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "access_minute",
        sa.Column("nas", sa.String(63), primary_key=True),
        sa.Column("minute", UtcDateTime, primary_key=True),
        sa.Column("accepted", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_access_minute_minute", "access_minute", ["minute"])
