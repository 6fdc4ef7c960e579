"""Device runs, receipts, pauses, drift and the lanes' work."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "reconciler_0001"
down_revision = None
branch_labels = ("reconciler",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "device_run",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("commit_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("urgent", sa.Boolean, nullable=False),
        sa.Column("overrule", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reads_hash", sa.String(64)),
        sa.Column("render_hash", sa.String(64)),
        sa.Column("observed_hash", sa.String(64)),
        sa.Column("diff", sa.Text),
        sa.Column("token", sa.String(40)),
        sa.Column("epoch", sa.BigInteger),
        sa.Column("deadline", UtcDateTime),
        sa.Column("not_before", UtcDateTime),
        sa.Column("baseline", Json),
        sa.Column("why", sa.Text),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_device_run_open", "device_run", ["open", "not_before"])
    op.create_index("ix_device_run_device", "device_run", ["device", "created_at"])
    op.create_index("ix_device_run_commit", "device_run", ["commit_id"])
    op.create_table(
        "device_step",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("device", sa.String(63), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_device_step_run", "device_step", ["run_id", "seq"])
    op.create_table(
        "receipt",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("commit_id", sa.String(64), nullable=False),
        sa.Column("lane", sa.Integer, nullable=False),
        sa.Column("target", sa.String(128), nullable=False),
        sa.Column("step", sa.String(128), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.UniqueConstraint("commit_id", "target", "step", name="uq_receipt_step"),
    )
    op.create_index("ix_receipt_target", "receipt", ["target", "seq"])
    op.create_table(
        "receipt_attempt",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("commit_id", sa.String(64), nullable=False),
        sa.Column("target", sa.String(128), nullable=False),
        sa.Column("step", sa.String(128), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_receipt_attempt_step", "receipt_attempt", ["commit_id", "target", "step"])
    op.create_table(
        "pause",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
    )
    op.create_table(
        "staged",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("candidate", sa.Text, nullable=False),
    )
    op.create_table(
        "applied",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("commit_id", sa.String(64), nullable=False),
        sa.Column("render_hash", sa.String(64), nullable=False),
        sa.Column("running_hash", sa.String(64), nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),  # what we loaded, sealed: it contains secrets
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "drift",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),  # unmanaged | not-applied | overruled
        sa.Column("diff", sa.Text, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "lane_position",
        sa.Column("lane", sa.String(24), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("generation", sa.String(40), nullable=False),
    )
    op.create_table(
        "device_read",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("read", sa.String(24), primary_key=True),
        sa.Column("kind", sa.String(24), primary_key=True),
        sa.Column("id", sa.String(130), primary_key=True),
    )
    op.create_index("ix_device_read_what", "device_read", ["kind", "id", "read"])
    op.create_table(
        "object_work",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("line", sa.String(63), primary_key=True),
        sa.Column("commit_id", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("not_before", UtcDateTime, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    op.create_table(
        "object_state",
        sa.Column("device", sa.String(63), primary_key=True),
        sa.Column("line", sa.String(63), primary_key=True),
        sa.Column("objects", Json, nullable=False),  # what we last put there: [{kind, key, attributes}]
        sa.Column("commit_id", sa.String(64), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "session_work",
        sa.Column("service", sa.String(63), primary_key=True),
        sa.Column("commit_id", sa.String(64), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),  # index_change sequence
        sa.Column("queued_at", UtcDateTime, nullable=False),
        sa.Column("not_before", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "session_work",
        "object_state",
        "object_work",
        "device_read",
        "lane_position",
        "drift",
        "applied",
        "staged",
        "pause",
        "receipt_attempt",
        "receipt",
        "device_step",
        "device_run",
    ):
        op.drop_table(table)
