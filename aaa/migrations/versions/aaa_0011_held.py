"""Sessions whose address, prefix or port block changed: what they had, from when until when."""

import sqlalchemy as sa
from alembic import op

from core.db import UtcDateTime

revision = "aaa_0011"
down_revision = "aaa_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table; what changed before is not known."""
    op.create_table(
        "session_address",
        sa.Column("session_ref", sa.String(40), primary_key=True),
        sa.Column("what", sa.String(20), primary_key=True),
        sa.Column("value", sa.String(50), primary_key=True),
        sa.Column("port_first", sa.Integer, primary_key=True),
        sa.Column("port_last", sa.Integer, primary_key=True),
        sa.Column("since", UtcDateTime, primary_key=True),
        sa.Column("heard", UtcDateTime, nullable=False),
        sa.Column("until", UtcDateTime),
    )
    op.create_index("ix_session_address_value", "session_address", ["value", "what", "since"])
