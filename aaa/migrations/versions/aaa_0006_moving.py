"""What an old RADIUS server answered beside us."""

import sqlalchemy as sa
from alembic import op

from core.db import UtcDateTime

revision = "aaa_0006"
down_revision = "aaa_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "moving_tally",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("realm", sa.String(128), primary_key=True),
        sa.Column("nas", sa.String(63), primary_key=True),
        sa.Column("what", sa.String(12), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "moving_difference",
        sa.Column("nas", sa.String(63), primary_key=True),
        sa.Column("login", sa.String(253), primary_key=True),
        sa.Column("kind", sa.String(12), primary_key=True),
        sa.Column("realm", sa.String(128), nullable=False),
        sa.Column("ours", sa.String(200), nullable=False),
        sa.Column("theirs", sa.String(200), nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("first_at", UtcDateTime, nullable=False),
        sa.Column("last_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_moving_difference_last_at", "moving_difference", ["last_at"])
