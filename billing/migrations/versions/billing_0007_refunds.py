"""What happens to a payment later: refunds, chargebacks, moves, receipts; allocations may be taken back."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "billing_0007"
down_revision = "billing_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change what is there, then add."""
    _payments()
    _outflows()
    _refunds()
    _chargebacks()
    _rules_and_receipts()


def _payments() -> None:
    with op.batch_alter_table("payment") as table:
        table.add_column(
            sa.Column(
                "by_hand",
                sa.Boolean,
                nullable=False,
                server_default=sa.false(),
                comment="a person took it off an invoice: only a person allocates it",
            )
        )
        table.add_column(
            sa.Column("named", Json, comment="ids of the invoices that the payer named, in their order")
        )
    with op.batch_alter_table("payment_allocation") as table:
        table.drop_constraint("ck_payment_allocation_amount", type_="check")
        table.create_check_constraint("amount", "amount <> 0")


def _outflows() -> None:
    op.create_table(
        "payment_outflow",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("payment_id", sa.String(64), nullable=False),
        sa.Column(
            "kind",
            sa.String(24),
            nullable=False,
            comment="refund, chargeback, moved, voided, and what undoes them",
        ),
        sa.Column(
            "cause",
            sa.String(64),
            nullable=False,
            comment="the refund, chargeback or payment that it is about",
        ),
        sa.Column(
            "amount", sa.BigInteger, nullable=False, comment="what left the payment; negative: it came back"
        ),
        sa.Column("booked_on", sa.Date, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.CheckConstraint("amount <> 0", name="ck_payment_outflow_amount"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_payment_outflow_payment_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_payment_outflow"),
        sa.UniqueConstraint("kind", "cause", name="uq_payment_outflow_kind_cause"),
        comment="append only: a payment has left its amount less these",
    )
    op.create_index("ix_payment_outflow_payment_id", "payment_outflow", ["payment_id"])


def _refunds() -> None:
    op.create_table(
        "refund",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("payment_id", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("method", sa.String(32), nullable=False, comment="how the money goes back"),
        sa.Column("reason", sa.String(80), nullable=False),
        sa.Column("state", sa.String(12), nullable=False, comment="requested -> sent -> settled | failed"),
        sa.Column("reference", sa.String(120), comment="what the gateway or the bank calls it"),
        sa.Column("failure", sa.Text),
        sa.Column("idempotency_key", sa.String(120), nullable=False),
        sa.Column("requested_on", sa.Date, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.CheckConstraint("amount > 0", name="ck_refund_amount"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_refund_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_refund"),
        sa.UniqueConstraint("idempotency_key", name="uq_refund_idempotency_key"),
    )
    op.create_index("ix_refund_payment_id", "refund", ["payment_id"])
    op.create_index("ix_refund_reference", "refund", ["reference"])


def _chargebacks() -> None:
    op.create_table(
        "chargeback",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("payment_id", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column(
            "reason", sa.String(80), nullable=False, comment="the bank's or the gateway's code, such as AM04"
        ),
        sa.Column("state", sa.String(12), nullable=False, comment="open -> reversed (it was won)"),
        sa.Column("idempotency_key", sa.String(120), nullable=False),
        sa.Column("charged_on", sa.Date, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.CheckConstraint("amount > 0", name="ck_chargeback_amount"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_chargeback_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_chargeback"),
        sa.UniqueConstraint("idempotency_key", name="uq_chargeback_idempotency_key"),
    )
    op.create_index("ix_chargeback_payment_id", "chargeback", ["payment_id"])


def _rules_and_receipts() -> None:
    op.create_table(
        "allocation_policy",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("rule", sa.String(16), nullable=False, comment="billing.allocating.RULES"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_allocation_policy_account_id"),
        sa.PrimaryKeyConstraint("account_id", name="pk_allocation_policy"),
        comment="how payments of an account are allocated; none: named invoices first, then the oldest due",
    )
    op.create_table(
        "payment_receipt",
        sa.Column("payment_id", sa.String(64), nullable=False),
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("number", sa.String(40), nullable=False),
        sa.Column("issued_on", sa.Date, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_payment_receipt_payment_id"),
        sa.PrimaryKeyConstraint("payment_id", name="pk_payment_receipt"),
        sa.UniqueConstraint("legal_entity", "sequence", name="uq_payment_receipt_legal_entity_sequence"),
        sa.UniqueConstraint("number", name="uq_payment_receipt_number"),
        comment="numbers of receipts: a gapless series for each legal entity",
    )
