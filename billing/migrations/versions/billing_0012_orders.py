"""Messages and letters; vouchers over HTTP; expired money; promotions that orders redeem."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, UtcDateTime

revision = "billing_0012"
down_revision = "billing_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables."""
    _messages()


def _messages() -> None:
    op.create_table(
        "letter_batch",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("made_on", sa.Date, nullable=False, comment="the date on the letters"),
        sa.Column("form", sa.String(8), nullable=False, comment="where the address is: din-b | c56 | us10"),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_letter_batch"),
        comment="letters that were taken to be printed together; each letter is in one",
    )
    op.create_index("ix_letter_batch_made_on", "letter_batch", ["made_on"])
    op.create_table(
        "billing_message",
        sa.Column("id", sa.String(64), nullable=False, comment="the idempotency key for a gateway, too"),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(8), nullable=False, comment="e-mail | sms | letter"),
        sa.Column("purpose", sa.String(12), nullable=False, comment="reminder | announce | notice"),
        sa.Column("source", sa.String(160), nullable=False, comment="what it is for; once for each channel"),
        sa.Column("made_on", sa.Date, nullable=False, comment="local date of the account"),
        sa.Column("facts", Json, nullable=False, comment="billing.messages.facts.Facts"),
        sa.Column(
            "state",
            sa.String(8),
            nullable=False,
            comment="waiting | queued | sent | failed | bounced | none | dropped | printed",
        ),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reply", sa.Text, nullable=False, comment="what the other side said last, without addresses"),
        sa.Column("batch_id", sa.String(64)),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_billing_message"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_billing_message_account_id_account"),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["letter_batch.id"], name="fk_billing_message_batch_id_letter_batch"
        ),
        sa.UniqueConstraint("source", "channel", name="uq_billing_message_source_channel"),
        comment="the delivery log of what is told besides documents",
    )
    op.create_index("ix_billing_message_account_id", "billing_message", ["account_id"])
    op.create_index("ix_billing_message_batch_id", "billing_message", ["batch_id"])
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_billing_message_waiting",
        "billing_message",
        ["channel", "made_on"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
