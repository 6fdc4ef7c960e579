"""Accounts, subscriptions, charges, invoices, payments, ledger, dunning."""

import sqlalchemy as sa
from alembic import op

from core.db import Json, Sequenced, UtcDateTime

revision = "billing_0001"
down_revision = None
branch_labels = ("billing",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "account",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("customer_ref", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("anchor", sa.Integer, nullable=False),
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("tax_profile", sa.String(32), nullable=False),
        sa.Column("dunning_policy", sa.String(32), nullable=False),
        sa.Column("payment_days", sa.Integer, nullable=False),
        sa.Column("change_day", sa.String(8), nullable=False),
        sa.Column("parent_id", sa.String(64)),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("anchor BETWEEN 1 AND 31", name="ck_account_anchor"),
        sa.ForeignKeyConstraint(["parent_id"], ["account.id"], name="fk_account_parent_id"),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        comment="billing's own party; customer_ref is opaque",
    )
    op.create_index("ix_account_customer_ref", "account", ["customer_ref"])
    op.create_table(
        "bill_run",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("billed_on", sa.Date, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("outcome", Json),
        sa.PrimaryKeyConstraint("id", name="pk_bill_run"),
    )
    op.create_table(
        "billing_change_set",
        sa.Column("set_id", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False, comment="hold | release"),
        sa.Column("cause", sa.String(80), nullable=False, comment="dunning run, payment or promise"),
        sa.PrimaryKeyConstraint("set_id", name="pk_billing_change_set"),
        comment="what billing itself asked for: anything else was somebody else",
    )
    op.create_table(
        "billing_counter",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("issued_on", sa.Date),
        sa.PrimaryKeyConstraint("name", name="pk_billing_counter"),
        comment="gapless numbers: invoice series of a legal entity, account numbers; its row is the lock",
    )
    op.create_table(
        "dunning_policy",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("policy", Json, nullable=False, comment="billing.stages.Policy"),
        sa.PrimaryKeyConstraint("name", name="pk_dunning_policy"),
    )
    op.create_table(
        "dunning_run",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("run_on", sa.Date, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("hold_set", sa.String(64), comment="the one change set of its holds"),
        sa.Column("release_set", sa.String(64)),
        sa.Column("held", sa.Integer, nullable=False),
        sa.Column("released", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dunning_run"),
    )
    op.create_table(
        "tax_rate",
        sa.Column("profile", sa.String(32), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("millionths", sa.Integer, nullable=False),
        sa.Column("inclusive", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("profile", "category", "valid_from", name="pk_tax_rate"),
    )
    op.create_table(
        "bill_park",
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("accepted_by", sa.String(80), comment="a person lets the next run bill it all the same"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_bill_park_account_id"),
        sa.PrimaryKeyConstraint("account_id", name="pk_bill_park"),
        comment="accounts that a run left out, and why (pin 7)",
    )
    op.create_table(
        "billing_override",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("debt_through", sa.Date, nullable=False, comment="debts due until then are not held again"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("commit_id", sa.String(64), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("ended_by", sa.String(80)),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_billing_override_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_billing_override"),
    )
    op.create_index("ix_billing_override_account_id", "billing_override", ["account_id"])
    op.create_index("ix_billing_override_service", "billing_override", ["service"])
    op.create_table(
        "dunning_stage",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("debt_due", sa.Date, nullable=False, comment="the oldest due date of this case"),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("entered_on", sa.Date, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_dunning_stage_account_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_dunning_stage"),
        sa.UniqueConstraint(
            "account_id", "debt_due", "stage", name="uq_dunning_stage_account_id_debt_due_stage"
        ),
        comment="append only: each stage of a case is entered once, none is skipped",
    )
    op.create_index("ix_dunning_stage_account_id", "dunning_stage", ["account_id"])
    op.create_table(
        "invoice",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False, comment="invoice | credit-note"),
        sa.Column("state", sa.String(8), nullable=False, comment="draft -> final; draft -> void"),
        sa.Column("legal_entity", sa.String(32), nullable=False),
        sa.Column("number", sa.String(40)),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("billed_on", sa.Date, nullable=False),
        sa.Column("issued_on", sa.Date),
        sa.Column("due_on", sa.Date),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("net", sa.BigInteger, nullable=False),
        sa.Column("tax", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("seal", sa.String(64), comment="SHA-256 of the final content"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_invoice_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_invoice"),
        sa.UniqueConstraint("legal_entity", "kind", "sequence", name="uq_invoice_legal_entity_kind_sequence"),
        sa.UniqueConstraint("number", name="uq_invoice_number"),
    )
    op.create_index("ix_invoice_account_id", "invoice", ["account_id"])
    op.create_index("ix_invoice_state", "invoice", ["state"])
    op.create_table(
        "ledger_transaction",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("source", sa.String(80), nullable=False),
        sa.Column("booked_on", sa.Date, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_ledger_transaction_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_transaction"),
        sa.UniqueConstraint("kind", "source", name="uq_ledger_transaction_kind_source"),
        comment="append only; (kind, source) makes booking twice impossible",
    )
    op.create_index("ix_ledger_transaction_account_id", "ledger_transaction", ["account_id"])
    op.create_table(
        "nonpayment_hold",
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("held", sa.Boolean, nullable=False, comment="what billing last asked for or was told"),
        sa.Column("effect", sa.String(16), nullable=False),
        sa.Column("debt_through", sa.Date, nullable=False, comment="latest due date that the hold is for"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("set_id", sa.String(64), comment="the change set that asked; none: somebody else did"),
        sa.Column("run_id", sa.String(64)),
        sa.Column("event_seq", sa.BigInteger, nullable=False, comment="newest event about it that was heard"),
        sa.Column("changed_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_nonpayment_hold_account_id"),
        sa.PrimaryKeyConstraint("service", name="pk_nonpayment_hold"),
    )
    op.create_index("ix_nonpayment_hold_account_id", "nonpayment_hold", ["account_id"])
    op.create_table(
        "payment",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False, comment="receipt | credit (of a credit note)"),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("method", sa.String(32), nullable=False),
        sa.Column("idempotency_key", sa.String(120), nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("sets", Json, nullable=False, comment="change sets that it released services with"),
        sa.CheckConstraint("amount > 0", name="ck_payment_amount"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_payment_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_payment"),
        sa.UniqueConstraint("idempotency_key", name="uq_payment_idempotency_key"),
    )
    op.create_index("ix_payment_account_id", "payment", ["account_id"])
    op.create_table(
        "promise_to_pay",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("made_on", sa.Date, nullable=False),
        sa.Column("until", sa.Date, nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_promise_to_pay_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_promise_to_pay"),
    )
    op.create_index("ix_promise_to_pay_account_id", "promise_to_pay", ["account_id"])
    op.create_table(
        "subscription",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("charged_through", sa.Date, comment="billed up to this day, exclusive"),
        sa.Column(
            "recalculate_from", sa.Date, comment="an event since the last run reaches back to this day"
        ),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_subscription_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_subscription"),
        sa.UniqueConstraint("service", name="uq_subscription_service"),
    )
    op.create_index("ix_subscription_account_id", "subscription", ["account_id"])
    op.create_table(
        "invoice_tax",
        sa.Column("invoice_id", sa.String(64), nullable=False),
        sa.Column("category", sa.String(32), nullable=False),
        sa.Column("millionths", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("inclusive", sa.Boolean, nullable=False),
        sa.Column("base", sa.BigInteger, nullable=False),
        sa.Column("tax", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name="fk_invoice_tax_invoice_id"),
        sa.PrimaryKeyConstraint("invoice_id", "category", "millionths", "inclusive", name="pk_invoice_tax"),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("transaction_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("ledger", sa.String(64), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="debit positive, credit negative"),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transaction.id"], name="fk_ledger_entry_transaction_id"
        ),
        sa.PrimaryKeyConstraint("transaction_id", "position", name="pk_ledger_entry"),
    )
    op.create_index("ix_ledger_entry_ledger", "ledger_entry", ["ledger"])
    op.create_table(
        "payment_allocation",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("payment_id", sa.String(64), nullable=False),
        sa.Column("invoice_id", sa.String(64), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("allocated_on", sa.Date, nullable=False),
        sa.CheckConstraint("amount > 0", name="ck_payment_allocation_amount"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name="fk_payment_allocation_invoice_id"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_payment_allocation_payment_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_payment_allocation"),
    )
    op.create_index("ix_payment_allocation_invoice_id", "payment_allocation", ["invoice_id"])
    op.create_index("ix_payment_allocation_payment_id", "payment_allocation", ["payment_id"])
    op.create_table(
        "subscription_item",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("subscription_id", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False, comment="plan, later also add-on, rental, …"),
        sa.Column(
            "cadence_base", sa.Integer, nullable=False, comment="month index that longer periods count from"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name="fk_subscription_item_subscription_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_subscription_item"),
        sa.UniqueConstraint("subscription_id", "role", name="uq_subscription_item_subscription_id_role"),
    )
    op.create_index("ix_subscription_item_subscription_id", "subscription_item", ["subscription_id"])
    op.create_table(
        "charge",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(64), nullable=False),
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False, comment="recurring, setup, and their -reversal"),
        sa.Column("period_start", sa.Date, nullable=False),
        sa.Column("period_end", sa.Date, nullable=False),
        sa.Column("part_start", sa.Date, nullable=False),
        sa.Column("part_end", sa.Date, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False, comment="how often this part was billed before"),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="as listed; negative for a reversal"),
        sa.Column("terms", Json, nullable=False),
        sa.Column("tax_category", sa.String(32), nullable=False),
        sa.Column("tax_millionths", sa.Integer, nullable=False),
        sa.Column("tax_inclusive", sa.Boolean, nullable=False),
        sa.Column("reverses", sa.String(64)),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_charge_account_id"),
        sa.ForeignKeyConstraint(["item_id"], ["subscription_item.id"], name="fk_charge_item_id"),
        sa.ForeignKeyConstraint(["reverses"], ["charge.id"], name="fk_charge_reverses"),
        sa.PrimaryKeyConstraint("id", name="pk_charge"),
        sa.UniqueConstraint(
            "item_id", "period_start", "part_start", "kind", "revision", name="uq_charge_interval"
        ),
        sa.UniqueConstraint("reverses", name="uq_charge_reverses"),
        comment="a billed interval; the unique key makes billing it twice impossible",
    )
    op.create_index("ix_charge_account_id", "charge", ["account_id"])
    op.create_index("ix_charge_item_id", "charge", ["item_id"])
    op.create_table(
        "subscription_event",
        sa.Column("seq", Sequenced, autoincrement=True, nullable=False),
        sa.Column("item_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("effective", sa.Date, nullable=False, comment="local date of the account"),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("terms", Json, comment="the pinned price version, for activated and changed"),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["subscription_item.id"], name="fk_subscription_event_item_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_subscription_event"),
        comment="append only: the timeline",
    )
    op.create_index("ix_subscription_event_item_id", "subscription_event", ["item_id"])
    op.create_table(
        "invoice_line",
        sa.Column("invoice_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("charge_id", sa.String(64)),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("tax_category", sa.String(32), nullable=False),
        sa.Column("tax_millionths", sa.Integer, nullable=False),
        sa.Column("tax_inclusive", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["charge_id"], ["charge.id"], name="fk_invoice_line_charge_id"),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name="fk_invoice_line_invoice_id"),
        sa.PrimaryKeyConstraint("invoice_id", "position", name="pk_invoice_line"),
    )
    op.create_index("ix_invoice_line_charge_id", "invoice_line", ["charge_id"])


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "invoice_line",
        "subscription_event",
        "charge",
        "subscription_item",
        "payment_allocation",
        "ledger_entry",
        "invoice_tax",
        "subscription",
        "promise_to_pay",
        "payment",
        "nonpayment_hold",
        "ledger_transaction",
        "invoice",
        "dunning_stage",
        "billing_override",
        "bill_park",
        "tax_rate",
        "dunning_run",
        "dunning_policy",
        "billing_counter",
        "billing_change_set",
        "bill_run",
        "account",
    ):
        op.drop_table(table)
