"""Accepted logins, for those whose law wants them written down."""

import sqlalchemy as sa
from alembic import op

from core.db import Sequenced, UtcDateTime

revision = "aaa_0009"
down_revision = "aaa_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "accepted_login",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("login", sa.String(253), nullable=False),
        sa.Column("nas", sa.String(63), nullable=False),
    )
    op.create_index("ix_accepted_login_login_at", "accepted_login", ["login", "at"])
