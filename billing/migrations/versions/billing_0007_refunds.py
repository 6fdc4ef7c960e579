"""What happens to a payment later (refunds, chargebacks, moves, receipts), and bank files."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "billing_0007"
down_revision = "billing_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change what is there, then add."""
    _payments()
    _outflows()
    _refunds()
    _chargebacks()
    _rules_and_receipts()
    _bank_creditor()
    _bank_statement()
    _bank_entry()
    _bank_mandate()
    _collection_batch()
    _collection()
    _known_iban()


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


def _bank_creditor() -> None:
    op.create_table(
        "bank_creditor",
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("name", sa.String(70), nullable=False),
        sa.Column("creditor_id", sa.String(35), nullable=False),
        sa.Column("iban", sa.String(34), nullable=False),
        sa.Column("bic", sa.String(11)),
        sa.Column("lead_days", sa.Integer, nullable=False, comment="TARGET days that the bank needs"),
        sa.CheckConstraint("lead_days >= 1", name="ck_bank_creditor_lead_days"),
        sa.PrimaryKeyConstraint("legal_entity", name="pk_bank_creditor"),
        sa.UniqueConstraint("iban", name="uq_bank_creditor_iban"),
        comment="what banks know our legal entities by",
    )


def _bank_statement() -> None:
    op.create_table(
        "bank_statement",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account", sa.String(34), nullable=False, comment="our IBAN"),
        sa.Column("statement_id", sa.String(80), nullable=False),
        sa.Column("number", sa.BigInteger),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("opening", sa.BigInteger),
        sa.Column("closing", sa.BigInteger),
        sa.Column("closed_on", sa.Date, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("file", sa.String(200), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bank_statement"),
        sa.UniqueConstraint(
            "account", "statement_id", "closed_on", name="uq_bank_statement_account_statement_id_closed_on"
        ),
    )


def _bank_entry() -> None:
    op.create_table(
        "bank_entry",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("statement_id", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False, comment="once, however often it is told"),
        sa.Column("place", sa.String(20), nullable=False),
        sa.Column("booked_on", sa.Date, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="positive: it came in"),
        sa.Column("end_to_end", sa.String(80), nullable=False),
        sa.Column("text", sa.Text, nullable=False, comment="what the payer wrote, references first"),
        sa.Column("name", sa.String(140), nullable=False),
        sa.Column("iban_sealed", sa.Text),
        sa.Column("iban_shown", sa.String(16)),
        sa.Column("iban_print", sa.String(64)),
        sa.Column("reason", sa.String(35), nullable=False, comment="the code of a return, such as AM04"),
        sa.Column(
            "state",
            sa.String(12),
            nullable=False,
            comment="pending, then matched, unmatched, assigned, not-ours",
        ),
        sa.Column("rule", sa.String(24), nullable=False, comment="why it was matched"),
        sa.Column("confidence", sa.Integer, nullable=False),
        sa.Column("told", sa.Text, nullable=False, comment="what it did, or why it did nothing"),
        sa.Column("account_id", sa.String(64)),
        sa.Column("effect", sa.String(64), comment="the payment, chargeback, refund or collection"),
        sa.Column("decided_by", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_bank_entry_account_id"),
        sa.ForeignKeyConstraint(["statement_id"], ["bank_statement.id"], name="fk_bank_entry_statement_id"),
        sa.PrimaryKeyConstraint("id", name="pk_bank_entry"),
        sa.UniqueConstraint("key", name="uq_bank_entry_key"),
    )
    op.create_index("ix_bank_entry_account_id", "bank_entry", ["account_id"])
    op.create_index("ix_bank_entry_end_to_end", "bank_entry", ["end_to_end"])
    op.create_index("ix_bank_entry_iban_print", "bank_entry", ["iban_print"])
    op.create_index("ix_bank_entry_statement_id", "bank_entry", ["statement_id"])
    op.create_index(
        "ix_bank_entry_unmatched",
        "bank_entry",
        ["booked_on"],
        postgresql_where=sa.text("state IN ('pending', 'unmatched')"),
        sqlite_where=sa.text("state IN ('pending', 'unmatched')"),
    )


def _bank_mandate() -> None:
    op.create_table(
        "bank_mandate",
        sa.Column("id", sa.String(35), nullable=False, comment="the unique mandate reference"),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("signed_on", sa.Date, nullable=False),
        sa.Column("holder", sa.String(70), nullable=False),
        sa.Column("iban_sealed", sa.Text, nullable=False),
        sa.Column("iban_shown", sa.String(16), nullable=False),
        sa.Column("iban_print", sa.String(64), nullable=False),
        sa.Column("bic", sa.String(11)),
        sa.Column("one_off", sa.Boolean, nullable=False),
        sa.Column(
            "state", sa.String(12), nullable=False, comment="active | last (once more) | ended | blocked"
        ),
        sa.Column("why", sa.String(80), nullable=False, comment="the code that blocked it, or who ended it"),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_bank_mandate_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_bank_mandate"),
    )
    op.create_index("ix_bank_mandate_account_id", "bank_mandate", ["account_id"])
    op.create_index("ix_bank_mandate_iban_print", "bank_mandate", ["iban_print"])


def _collection_batch() -> None:
    op.create_table(
        "collection_batch",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("collect_on", sa.Date, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False, comment="the file, sealed: it has IBANs"),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_collection_batch"),
        sa.UniqueConstraint(
            "legal_entity",
            "collect_on",
            "ordinal",
            name="uq_collection_batch_legal_entity_collect_on_ordinal",
        ),
    )


def _collection() -> None:
    op.create_table(
        "collection",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("batch_id", sa.String(64), nullable=False),
        sa.Column("mandate_id", sa.String(35), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("invoice_id", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.String(4), nullable=False, comment="FRST, RCUR, OOFF, FNAL"),
        sa.Column("payment_info", sa.String(35), nullable=False),
        sa.Column("end_to_end", sa.String(35), nullable=False),
        sa.Column(
            "state", sa.String(12), nullable=False, comment="pending -> paid -> returned; pending -> failed"
        ),
        sa.Column("reason", sa.String(35), nullable=False),
        sa.Column("payment_id", sa.String(64)),
        sa.CheckConstraint("amount > 0", name="ck_collection_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_collection_account_id"),
        sa.ForeignKeyConstraint(["batch_id"], ["collection_batch.id"], name="fk_collection_batch_id"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name="fk_collection_invoice_id"),
        sa.ForeignKeyConstraint(["mandate_id"], ["bank_mandate.id"], name="fk_collection_mandate_id"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_collection_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_collection"),
        sa.UniqueConstraint("end_to_end", name="uq_collection_end_to_end"),
        comment="a direct debit of one invoice; pending until a statement confirms or returns it",
    )
    op.create_index("ix_collection_account_id", "collection", ["account_id"])
    op.create_index("ix_collection_batch_id", "collection", ["batch_id"])
    op.create_index("ix_collection_invoice_id", "collection", ["invoice_id"])
    op.create_index("ix_collection_mandate_id", "collection", ["mandate_id"])
    op.create_index("ix_collection_payment_info", "collection", ["payment_info"])


def _known_iban() -> None:
    op.create_table(
        "known_iban",
        sa.Column("iban_print", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("entry_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_known_iban_account_id"),
        sa.PrimaryKeyConstraint("iban_print", "account_id", name="pk_known_iban"),
        comment="who paid from where before: a person assigned it, or a reference said so",
    )
