"""How far retention came through the sessions, so that its next round goes on there."""

import sqlalchemy as sa
from alembic import op

revision = "aaa_0008"
down_revision = "aaa_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "retention_place",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("after", sa.String(40), nullable=False),
    )
