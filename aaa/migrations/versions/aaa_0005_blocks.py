"""Address blocks that nodes lease."""

import sqlalchemy as sa
from alembic import op

from core.db import UtcDateTime

revision = "aaa_0005"
down_revision = "aaa_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "radius_node",
        sa.Column("node", sa.String(63), primary_key=True),
        sa.Column("home", sa.String(40), nullable=False),
        sa.Column("workers", sa.Integer, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("drained_at", UtcDateTime),
        sa.Column("draining", sa.Boolean, nullable=False),
    )
    op.create_table(
        "address_prefix",
        sa.Column("pool", sa.String(63), primary_key=True),
        sa.Column("prefix", sa.String(50), primary_key=True),
        sa.Column("length", sa.Integer, primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("blocks", sa.BigInteger, nullable=False),
        sa.Column("cut", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "address_block",
        sa.Column("pool", sa.String(63), primary_key=True),
        sa.Column("prefix", sa.String(50), primary_key=True),
        sa.Column("length", sa.Integer, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("node", sa.String(63), nullable=False),
        sa.Column("worker", sa.String(80), nullable=False),
        sa.Column("home", sa.String(40), nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("until", UtcDateTime, nullable=False),
    )
    op.create_index("ix_address_block_pool_state", "address_block", ["pool", "state", "since"])
    op.create_index("ix_address_block_worker", "address_block", ["worker", "home"])
    op.create_table(
        "address_count",
        sa.Column("pool", sa.String(63), primary_key=True),
        sa.Column("worker", sa.String(80), primary_key=True),
        sa.Column("node", sa.String(63), nullable=False),
        sa.Column("blocks", sa.Integer, nullable=False),
        sa.Column("free", sa.BigInteger, nullable=False),
        sa.Column("given", sa.BigInteger, nullable=False),
        sa.Column("resting", sa.BigInteger, nullable=False),
        sa.Column("doubt", sa.BigInteger, nullable=False),
        sa.Column("refused", sa.BigInteger, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
    )
