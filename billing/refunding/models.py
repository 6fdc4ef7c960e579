"""Tables of what happens to a payment later. What left a payment, and what came back, is only ever added."""

import sqlalchemy as sa

from billing.models import META
from core.db import Sequenced, UtcDateTime


def _payment(name: str = "payment_id") -> "sa.Column[str]":
    return sa.Column(name, sa.String(64), sa.ForeignKey("payment.id"), nullable=False, index=True)


outflow = sa.Table(
    "payment_outflow",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    _payment(),
    sa.Column(
        "kind",
        sa.String(24),
        nullable=False,
        comment="refund, chargeback, moved, voided, and what undoes them",
    ),
    sa.Column(
        "cause", sa.String(64), nullable=False, comment="the refund, chargeback or payment that it is about"
    ),
    sa.Column(
        "amount", sa.BigInteger, nullable=False, comment="what left the payment; negative: it came back"
    ),
    sa.Column("booked_on", sa.Date, nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.CheckConstraint("amount <> 0", name="amount"),
    sa.UniqueConstraint("kind", "cause"),
    comment="append only: a payment has left its amount less these",
)

_UNSETTLED = "state <> 'settled'"
UNSETTLED = f"refund.{_UNSETTLED}"
"""Refunds that are on their way or failed; written out, so that both databases see that an index has just these."""

refund = sa.Table(
    "refund",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    _payment(),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("method", sa.String(32), nullable=False, comment="how the money goes back"),
    sa.Column("reason", sa.String(80), nullable=False),
    sa.Column("state", sa.String(12), nullable=False, comment="requested -> sent -> settled | failed"),
    sa.Column("reference", sa.String(120), index=True, comment="what the gateway or the bank calls it"),
    sa.Column("failure", sa.Text),
    sa.Column("idempotency_key", sa.String(120), nullable=False, unique=True),
    sa.Column("requested_on", sa.Date, nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.Index(
        "ix_refund_unsettled",
        "requested_on",
        sqlite_where=sa.text(_UNSETTLED),
        postgresql_where=sa.text(_UNSETTLED),
    ),
)

chargeback = sa.Table(
    "chargeback",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    _payment(),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column(
        "reason", sa.String(80), nullable=False, comment="the bank's or the gateway's code, such as AM04"
    ),
    sa.Column("state", sa.String(12), nullable=False, comment="open -> reversed (it was won)"),
    sa.Column("idempotency_key", sa.String(120), nullable=False, unique=True),
    sa.Column("charged_on", sa.Date, nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.CheckConstraint("amount > 0", name="amount"),
)

allocation_policy = sa.Table(
    "allocation_policy",
    META,
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("rule", sa.String(16), nullable=False, comment="billing.allocating.RULES"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="how payments of an account are allocated; none: named invoices first, then the oldest due",
)

payment_receipt = sa.Table(
    "payment_receipt",
    META,
    sa.Column("payment_id", sa.String(64), sa.ForeignKey("payment.id"), primary_key=True),
    sa.Column("legal_entity", sa.String(32), nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("number", sa.String(40), nullable=False, unique=True),
    sa.Column("issued_on", sa.Date, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.UniqueConstraint("legal_entity", "sequence"),
    comment="numbers of receipts: a gapless series for each legal entity",
)
