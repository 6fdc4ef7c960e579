"""The change queue, its batches and fences, held commits, positions of followers, merges taken from a forge."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "intents_0001"
down_revision = None
branch_labels = ("intents",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "change_set",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("set_id", sa.String(40), nullable=False, unique=True),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("actor_kind", sa.String(10), nullable=False),
        sa.Column("approver", sa.String(80)),
        sa.Column("reason", sa.String(80), nullable=False),
        sa.Column("correlation", sa.String(80)),
        sa.Column("urgent", sa.Boolean, nullable=False),
        sa.Column("expect", sa.Integer),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("commit_id", sa.String(64)),
        sa.Column("batch_id", sa.String(40)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("landed_at", UtcDateTime),
        sa.Column("problems", Json),
        sa.Column("guard", Json),
        sa.Column("released_by", sa.String(80)),
    )
    op.create_index("ix_change_set_state_seq", "change_set", ["state", "urgent", "seq"])
    op.create_index("ix_change_set_correlation", "change_set", ["correlation"])
    op.create_index("ix_change_set_commit", "change_set", ["commit_id"])
    op.create_table(
        "change",
        sa.Column("change_id", sa.String(40), primary_key=True),
        sa.Column("set_id", sa.String(40), sa.ForeignKey("change_set.set_id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("path", sa.String(255), nullable=False),
        sa.Column("op", sa.String(6), nullable=False),
        sa.Column("content", sa.LargeBinary),
        sa.Column("fence_key", sa.String(120)),
        sa.Column("fence_version", sa.BigInteger),
        sa.Column("precondition", sa.String(120)),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("why", sa.Text),
        sa.Column("blob", sa.String(64)),
    )
    op.create_index("ix_change_set_position", "change", ["set_id", "position"])
    op.create_index("ix_change_path", "change", ["path", "fence_version"])
    op.create_table(
        "fence",
        sa.Column("key", sa.String(120), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "change_batch",
        sa.Column("batch_id", sa.String(40), primary_key=True),
        sa.Column("parent", sa.String(64), nullable=False),
        sa.Column("commit_id", sa.String(64), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("sets", Json, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_change_batch_state", "change_batch", ["state"])
    op.create_table(
        "held_commit",
        sa.Column("commit_id", sa.String(64), primary_key=True),
        sa.Column("guard", Json, nullable=False),
        sa.Column("paths", Json, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("decided_by", sa.String(80)),
        sa.Column("decided_at", UtcDateTime),
    )
    op.create_table(
        "index_position",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("commit_id", sa.String(64), nullable=False),
    )
    op.create_table(
        "forge_merge",
        sa.Column("commit_id", sa.String(64), primary_key=True),
        sa.Column("taken_as", sa.String(64)),
        sa.Column("actor", sa.String(120), nullable=False),
        sa.Column("conflicts", Json, nullable=False),
        sa.Column("taken_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "forge_merge",
        "index_position",
        "held_commit",
        "change_batch",
        "fence",
        "change",
        "change_set",
    ):
        op.drop_table(table)
