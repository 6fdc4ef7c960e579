"""Sessions, usage by day, refusals, enforcement."""

import sqlalchemy as sa
from alembic import op

from core.db import Sequenced, UtcDateTime

revision = "aaa_0001"
down_revision = None
branch_labels = ("aaa",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _session()
    op.create_table(
        "usage_day",
        sa.Column("service", sa.String(63), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("up_octets", sa.BigInteger, nullable=False),
        sa.Column("down_octets", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "refusal",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("login", sa.String(253), nullable=False),
        sa.Column("nas", sa.String(63), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False),
        sa.Column("detail", sa.String(253), nullable=False),
    )
    op.create_index("ix_refusal_login_at", "refusal", ["login", "at"])
    op.create_table(
        "enforcement",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("session_ref", sa.String(40), nullable=False),
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("wanted_hash", sa.String(16), nullable=False),
        sa.Column("action", sa.String(12), nullable=False),
        sa.Column("outcome", sa.String(12), nullable=False),
        sa.Column("code", sa.Integer, nullable=False),
        sa.Column("milliseconds", sa.Integer, nullable=False),
    )
    op.create_index("ix_enforcement_session", "enforcement", ["session_ref", "seq"])
    op.create_index("ix_enforcement_service", "enforcement", ["service", "seq"])


def _session() -> None:
    op.create_table(
        "session",
        sa.Column("session_ref", sa.String(40), primary_key=True),
        sa.Column("nas", sa.String(63), nullable=False),
        sa.Column("acct_session_id", sa.LargeBinary(253), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("policy_hash", sa.String(16), nullable=False),
        sa.Column("stale", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("inferred", sa.Boolean, nullable=False),
        sa.Column("source", sa.String(45), nullable=False),
        sa.Column("login", sa.String(253), nullable=False),
        sa.Column("calling", sa.String(253), nullable=False),
        sa.Column("framed_address", sa.String(45), nullable=False),
        sa.Column("framed_prefix", sa.String(50), nullable=False),
        sa.Column("delegated_prefix", sa.String(50), nullable=False),
        sa.Column("nas_port", sa.BigInteger, nullable=False),
        sa.Column("nas_port_id", sa.String(253), nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("stopped_at", UtcDateTime),
        sa.Column("cause", sa.String(30), nullable=False),
        sa.Column("session_time", sa.BigInteger, nullable=False),
        sa.Column("up_octets", sa.BigInteger, nullable=False),
        sa.Column("down_octets", sa.BigInteger, nullable=False),
        sa.Column("gigawords", sa.Boolean, nullable=False),
        sa.Column("interim", sa.Integer, nullable=False),
    )
    op.create_index(
        "uq_session_nas_id_start", "session", ["nas", "acct_session_id", "started_at"], unique=True
    )
    op.create_index("ix_session_service_state", "session", ["service", "state"])
    op.create_index("ix_session_state_updated", "session", ["state", "updated_at"])
    op.create_index("ix_session_stale", "session", ["stale", "state"])
    op.create_index("ix_session_framed_address", "session", ["framed_address", "started_at"])
