"""Gateways: autopay, attempts, what was said of them."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "billing_0008"
down_revision = "billing_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables."""
    op.create_table(
        "autopay",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("gateway", sa.String(32), nullable=False),
        sa.Column("customer", sa.String(120), nullable=False, comment="what the gateway calls the customer"),
        sa.Column(
            "method", sa.String(120), nullable=False, comment="a token; card or bank data never come here"
        ),
        sa.Column("label", sa.String(80), nullable=False, comment="for people: visa 4242"),
        sa.Column("days_before", sa.Integer, nullable=False, comment="before the due date"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_autopay"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_autopay_account_id_account"),
    )
    _attempts()
    op.create_table(
        "gateway_fact",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("attempt_id", sa.String(64), nullable=False),
        sa.Column("content", Json, nullable=False, comment="billing.gateways.state.Fact"),
        sa.Column("source", sa.String(80), nullable=False, comment="answer, or the event that said it"),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_gateway_fact"),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["gateway_attempt.id"], name="fk_gateway_fact_attempt_id_gateway_attempt"
        ),
        comment="append only",
    )
    op.create_index("ix_gateway_fact_attempt_id", "gateway_fact", ["attempt_id"])
    op.create_table(
        "gateway_event",
        sa.Column("id", sa.String(160), nullable=False, comment="gateway and its event: heard once"),
        sa.Column("gateway", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.Column("reference", sa.String(120), comment="the charge that it is about"),
        sa.Column("attempt_id", sa.String(64), comment="as the charge's own data name it"),
        sa.Column("fact", Json, comment="what it says; none: nothing that we need"),
        sa.Column("state", sa.String(8), nullable=False, comment="waiting | applied | ignored"),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_event"),
    )
    op.create_index("ix_gateway_event_reference", "gateway_event", ["reference"])


def _attempts() -> None:
    op.create_table(
        "gateway_attempt",
        sa.Column("id", sa.String(64), nullable=False, comment="the idempotency key, too"),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("invoice_id", sa.String(64), nullable=False),
        sa.Column("number", sa.Integer, nullable=False, comment="the how manieth try for the invoice"),
        sa.Column("gateway", sa.String(32), nullable=False),
        sa.Column("customer", sa.String(120), nullable=False),
        sa.Column("method", sa.String(120), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column(
            "state", sa.String(12), nullable=False,
            comment="folded: unknown | pending | failed | succeeded; or dropped",
        ),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("reference", sa.String(120), comment="what the gateway calls it"),
        sa.Column("payment_id", sa.String(64)),
        sa.Column("refunded", sa.BigInteger, nullable=False, comment="what of it was taken back in our books"),
        sa.Column("planned_on", sa.Date, nullable=False),
        sa.Column("asked_at", UtcDateTime),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gateway_attempt"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_gateway_attempt_account_id_account"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name="fk_gateway_attempt_invoice_id_invoice"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_gateway_attempt_payment_id_payment"),
        sa.UniqueConstraint("invoice_id", "number", name="uq_gateway_attempt_invoice_id_number"),
        sa.CheckConstraint("amount > 0", name="ck_gateway_attempt_amount"),
    )  # fmt: skip
    op.create_index("ix_gateway_attempt_account_id", "gateway_attempt", ["account_id"])
    op.create_index("ix_gateway_attempt_reference", "gateway_attempt", ["reference"])
