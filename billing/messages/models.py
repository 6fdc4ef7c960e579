"""Tables of messages and of batches of letters."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, UtcDateTime

message = sa.Table(
    "billing_message",
    META,
    sa.Column("id", sa.String(64), primary_key=True, comment="the idempotency key for a gateway, too"),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
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
    sa.Column("batch_id", sa.String(64), sa.ForeignKey("letter_batch.id"), index=True),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("source", "channel"),
    sa.Index(
        "ix_billing_message_waiting", "channel", "made_on", postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    ),
    comment="the delivery log of what is told besides documents",
)  # fmt: skip

letter_batch = sa.Table(
    "letter_batch",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("made_on", sa.Date, nullable=False, index=True, comment="the date on the letters"),
    sa.Column("form", sa.String(8), nullable=False, comment="where the address is: din-b | c56 | us10"),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="letters that were taken to be printed together; each letter is in one",
)
