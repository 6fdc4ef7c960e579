"""Tokens and login links."""

import sqlalchemy as sa
from alembic import op

from core.db import UtcDateTime

revision = "api_0001"
down_revision = None
branch_labels = ("api",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "api_token",
        sa.Column("token_id", sa.String(40), primary_key=True),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
    )
    op.create_table(
        "login_link",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("token_id", sa.String(40), sa.ForeignKey("api_token.token_id"), nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("used_at", UtcDateTime),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("login_link")
    op.drop_table("api_token")
