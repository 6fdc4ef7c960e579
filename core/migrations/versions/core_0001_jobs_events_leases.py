"""Jobs, events and leases."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "core_0001"
down_revision = None
branch_labels = ("core",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "job",
        sa.Column("job_id", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.Column("unique_key", sa.String(200), unique=True),
        sa.Column("correlation", sa.String(80)),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("run_at", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(80)),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("last_error", sa.Text),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
    )
    op.create_index("ix_job_due", "job", ["state", "run_at"])
    op.create_table(
        "event",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(40), nullable=False, unique=True),
        sa.Column("type", sa.String(80), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("occurred_at", UtcDateTime, nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("revision", sa.String(64)),
        sa.Column("correlation", sa.String(80)),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("unique_key", sa.String(200), unique=True),
    )
    op.create_index("ix_event_type", "event", ["type", "seq"])
    op.create_index("ix_event_subject", "event", ["subject", "seq"])
    op.create_table(
        "lease",
        sa.Column("name", sa.String(120), primary_key=True),
        sa.Column("owner", sa.String(120), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("lease", "event", "job"):
        op.drop_table(table)
