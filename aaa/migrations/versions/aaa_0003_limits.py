"""Limits that are recorded, not declared: fair use, schedules, prepaid, overrides, vouchers."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "aaa_0003"
down_revision = "aaa_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _limits()
    _quota()
    _voucher()
    # On SQLite '' is a text, and stays one in every row that was there before: octets are written x''.
    empty = "x''" if op.get_bind().dialect.name == "sqlite" else "''"
    op.add_column(
        "session", sa.Column("circuit", sa.LargeBinary(253), nullable=False, server_default=sa.text(empty))
    )


def _limits() -> None:
    op.create_table(
        "service_limit",
        sa.Column("service", sa.String(80), primary_key=True),
        sa.Column("cause", sa.String(80), primary_key=True),
        sa.Column("effect", sa.String(16), nullable=False),
        sa.Column("down", sa.BigInteger, nullable=False),
        sa.Column("up", sa.BigInteger, nullable=False),
        sa.Column("until", UtcDateTime),
        sa.Column("data", Json, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_service_limit_until", "service_limit", ["until"])
    op.create_index("ix_service_limit_cause", "service_limit", ["cause"])
    op.create_table(
        "service_limit_change",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("service", sa.String(80), nullable=False),
        sqlite_autoincrement=True,
    )


def _quota() -> None:
    op.create_table(
        "usage_change",
        sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("up_octets", sa.BigInteger, nullable=False),
        sa.Column("down_octets", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
    )
    op.create_table(
        "quota_use",
        sa.Column("service", sa.String(63), primary_key=True),
        sa.Column("kind", sa.String(12), primary_key=True),
        sa.Column("period_start", UtcDateTime, primary_key=True),
        sa.Column("period_end", UtcDateTime),
        sa.Column("up_octets", sa.BigInteger, nullable=False),
        sa.Column("down_octets", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.Column("told", sa.Integer, nullable=False),
    )
    op.create_table(
        "quota_grant",
        sa.Column("grant_id", sa.String(40), primary_key=True),
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("period_start", UtcDateTime, nullable=False),
        sa.Column("period_end", UtcDateTime),
        sa.Column("octets", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.Column("reference", sa.String(80), nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_quota_grant_service_kind", "quota_grant", ["service", "kind"])
    op.create_index("uq_quota_grant_reference", "quota_grant", ["service", "kind", "reference"], unique=True)


def _voucher() -> None:
    op.create_table(
        "voucher",
        sa.Column("voucher", sa.String(63), primary_key=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("batch", sa.String(63), nullable=False),
        sa.Column("plan", sa.String(63), nullable=False),
        sa.Column("seconds", sa.BigInteger, nullable=False),
        sa.Column("octets", sa.BigInteger, nullable=False),
        sa.Column("devices", sa.Integer, nullable=False),
        sa.Column("valid_from", UtcDateTime),
        sa.Column("valid_until", UtcDateTime),
        sa.Column("first_use", UtcDateTime),
        sa.Column("ends", UtcDateTime),
        sa.Column("macs", Json, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
    )
    op.create_index("uq_voucher_digest", "voucher", ["digest"], unique=True)
    op.create_index("ix_voucher_batch", "voucher", ["batch"])
