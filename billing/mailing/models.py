"""Tables of e-mail."""

import sqlalchemy as sa

from billing.models import META
from core.db import UtcDateTime

mail = sa.Table(
    "billing_mail",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("invoice_id", sa.String(64), sa.ForeignKey("invoice.id"), nullable=False),
    sa.Column("purpose", sa.String(16), nullable=False, comment="document"),
    sa.Column("state", sa.String(8), nullable=False, comment="queued | sent | failed | bounced | none"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("reply", sa.Text, nullable=False, comment="what the server said last, without addresses"),
    sa.Column("message_id", sa.String(160), nullable=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("invoice_id", "purpose"),
    comment="the delivery log: one message for each document and purpose",
)

mail_bounce = sa.Table(
    "billing_mail_bounce",
    META,
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True, comment="SHA-256 of account and address"),
    sa.Column("reply", sa.Text, nullable=False),
    sa.Column("noted_at", UtcDateTime, nullable=False),
    comment="addresses that a server refused for good: not tried again until a person says so",
)
