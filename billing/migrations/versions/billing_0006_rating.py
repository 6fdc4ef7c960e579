"""Rating: what a month's usage came to; calls, what they cost, whose numbers are whose."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, UtcDateTime

revision = "billing_0006"
down_revision = "billing_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables."""
    op.create_table(
        "usage_rated",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column(
            "scope",
            sa.String(160),
            nullable=False,
            comment="who used together: service:<id>, or shared:<plan>",
        ),
        sa.Column("meter", sa.String(16), nullable=False),
        sa.Column("period_start", sa.Date, nullable=False),
        sa.Column("period_end", sa.Date, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("free", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="what it comes to, revisions together"),
        sa.Column("lots", Json, nullable=False, comment="what is left of allowances: (month, quantity)"),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("rated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "scope", "meter", "period_start", name="pk_usage_rated"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_usage_rated_account_id_account"),
        comment="what was made of a month's usage; a correction is a further revision of its billable",
    )
    _calls()


def _calls() -> None:
    op.create_table(
        "voice_number",
        sa.Column("number", sa.String(15), nullable=False, comment="E.164 without +"),
        sa.Column("since", sa.Date, nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("until", sa.Date, comment="the first day on which it is not theirs any more"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("number", "since", name="pk_voice_number"),
    )
    op.create_index("ix_voice_number_service", "voice_number", ["service"])
    op.create_table(
        "call_rate",
        sa.Column("deck", sa.String(64), nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("prefix", sa.String(15), nullable=False, comment="E.164 without +"),
        sa.Column("destination", sa.String(80), nullable=False),
        sa.Column(
            "per_minute", sa.String(24), nullable=False, comment="a decimal number of the account's currency"
        ),
        sa.Column("connection", sa.String(24), nullable=False),
        sa.Column("first", sa.Integer, nullable=False, comment="seconds that are billed at least"),
        sa.Column("step", sa.Integer, nullable=False, comment="seconds that are billed at once after those"),
        sa.PrimaryKeyConstraint("deck", "valid_from", "prefix", name="pk_call_rate"),
        comment="a deck is all its prefixes from a day on",
    )
    op.create_table(
        "call_record",
        sa.Column("id", sa.String(64), nullable=False, comment="SHA-256 of carrier and record"),
        sa.Column("carrier", sa.String(64), nullable=False),
        sa.Column("service", sa.String(64), comment="none: nobody's, until somebody has the number"),
        sa.Column("caller", sa.String(15), nullable=False),
        sa.Column("callee", sa.String(15), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False),
        sa.Column("file", sa.String(200), nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_call_record"),
        comment="append only",
    )
    op.create_index("ix_call_record_service_started_at", "call_record", ["service", "started_at"])
    op.create_index("ix_call_record_caller", "call_record", ["caller"])
