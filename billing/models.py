"""Billing's tables. Amounts are integers of minor units; what is posted is only ever added to."""

import sqlalchemy as sa

from core.db import Json, Sequenced, UtcDateTime, metadata

META = metadata("billing")
UNSETTLED = "state = 'final' AND kind = 'invoice' AND settled_on IS NULL"
"""Invoices of which something is open; written out, so that both databases see that an index has just these."""


def _key() -> "sa.Column[str]":
    return sa.Column("id", sa.String(64), primary_key=True)


def _to(table: str, name: str, *, null: bool = False, index: bool = True) -> "sa.Column[str]":
    return sa.Column(name, sa.String(64), sa.ForeignKey(f"{table}.id"), nullable=null, index=index)


def _where(name: str, condition: str, *columns: str, unique: bool = False) -> sa.Index:
    """An index of the rows that meet a condition: what most rows do not have costs them nothing."""
    told = sa.text(condition)
    return sa.Index(name, *columns, unique=unique, postgresql_where=told, sqlite_where=told)


counter = sa.Table(
    "billing_counter",
    META,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.Column("issued_on", sa.Date),
    comment="gapless numbers: invoice series of a legal entity, account numbers; its row is the lock",
)

account = sa.Table(
    "account",
    META,
    _key(),
    sa.Column("customer_ref", sa.String(64), nullable=False, index=True),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("anchor", sa.Integer, nullable=False),
    sa.Column("legal_entity", sa.String(32), nullable=False),
    sa.Column("tax_profile", sa.String(32), nullable=False),
    sa.Column("dunning_policy", sa.String(32), nullable=False),
    sa.Column("payment_days", sa.Integer, nullable=False),
    sa.Column("change_day", sa.String(8), nullable=False),
    sa.Column("parent_id", sa.String(64), sa.ForeignKey("account.id"), index=True),
    sa.Column("opened_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("anchor BETWEEN 1 AND 31", name="anchor"),
    comment="billing's own party; customer_ref is opaque",
)

tax_rate = sa.Table(
    "tax_rate",
    META,
    sa.Column("profile", sa.String(32), primary_key=True),
    sa.Column("category", sa.String(32), primary_key=True),
    sa.Column("valid_from", sa.Date, primary_key=True),
    sa.Column("millionths", sa.Integer, nullable=False),
    sa.Column("inclusive", sa.Boolean, nullable=False),
)

subscription = sa.Table(
    "subscription",
    META,
    _key(),
    _to("account", "account_id"),
    sa.Column("service", sa.String(64), nullable=False, index=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("left_on", sa.Date, comment="from this day on another account has the service"),
    _where("uq_subscription_service", "left_on IS NULL", "service", unique=True),
)

pinned_terms = sa.Table(
    "pinned_terms",
    META,
    sa.Column("id", sa.String(64), primary_key=True, comment="SHA-256 of the terms"),
    sa.Column("months", sa.Integer, nullable=False),
    sa.Column("terms", Json, nullable=False),
    comment="each price version that some item renews at, once",
)

subscription_item = sa.Table(
    "subscription_item",
    META,
    _key(),
    _to("subscription", "subscription_id", index=False),
    sa.Column("role", sa.String(16), nullable=False, comment="plan, addon, rental, discount"),
    sa.Column("label", sa.String(64), nullable=False),
    sa.Column(
        "cadence_base", sa.Integer, nullable=False, comment="month index that longer periods count from"
    ),
    sa.Column("charged_through", sa.Date, index=True, comment="billed up to this day, exclusive"),
    sa.Column("recalculate_from", sa.Date, comment="an event since the last run reaches back to this day"),
    sa.Column(
        "renews",
        sa.String(64),
        sa.ForeignKey("pinned_terms.id"),
        comment="what each whole period after charged_through costs; none: only the timeline knows",
    ),
    sa.Column("due_from", sa.Date, comment="in arrears: nothing is due before this day"),
    sa.UniqueConstraint("subscription_id", "role", "label"),
    _where("ix_subscription_item_recalculate_from", "recalculate_from IS NOT NULL", "recalculate_from"),
)

subscription_event = sa.Table(
    "subscription_event",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    _to("subscription_item", "item_id"),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("effective", sa.Date, nullable=False, comment="local date of the account"),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("terms", Json, comment="the pinned price version, for activated and changed"),
    sa.Column("actor", sa.String(80), nullable=False),
    comment="append only: the timeline",
)

charge = sa.Table(
    "charge",
    META,
    _key(),
    _to("account", "account_id"),
    _to("subscription_item", "item_id", index=False),
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
    sa.Column("reverses", sa.String(64), sa.ForeignKey("charge.id")),
    _where("uq_charge_reverses", "reverses IS NOT NULL", "reverses", unique=True),
    sa.UniqueConstraint(
        "item_id", "period_start", "period_end", "part_start", "kind", "revision", name="uq_charge_interval"
    ),
    comment="a billed interval; the unique key makes billing it twice impossible",
)

bill_run = sa.Table(
    "bill_run",
    META,
    _key(),
    sa.Column("billed_on", sa.Date, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("outcome", Json),
)

bill_park = sa.Table(
    "bill_park",
    META,
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("accepted_by", sa.String(80), comment="a person lets the next run bill it all the same"),
    comment="accounts that a run left out, and why (pin 7)",
)

invoice = sa.Table(
    "invoice",
    META,
    _key(),
    _to("account", "account_id"),
    sa.Column("kind", sa.String(16), nullable=False, comment="invoice | credit-note"),
    sa.Column("state", sa.String(8), nullable=False, comment="draft -> final; draft -> void"),
    sa.Column("legal_entity", sa.String(32), nullable=False),
    sa.Column("number", sa.String(40)),
    sa.Column("sequence", sa.BigInteger),
    sa.Column("billed_on", sa.Date, nullable=False, index=True),
    *(sa.Column(name, sa.Date) for name in ("issued_on", "due_on")),
    sa.Column("currency", sa.String(3), nullable=False),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("net", "tax", "total")),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("seal", sa.String(64), comment="SHA-256 of the final content"),
    sa.Column("seal_version", sa.Integer, comment="what the seal covers: billing.runs.seals"),
    sa.Column("settled_on", sa.Date, comment="the day of the last move that settled it: billing.settling"),
    sa.UniqueConstraint("legal_entity", "kind", "sequence"),
    sa.UniqueConstraint("number"),
    _where("ix_invoice_unsettled", UNSETTLED, "account_id", "due_on"),
    _where("ix_invoice_settled_on", "settled_on IS NOT NULL", "settled_on"),
    _where("ix_invoice_draft", "state = 'draft'", "legal_entity", "kind", "account_id", "id"),
)

billable = sa.Table(
    "billable",
    META,
    _key(),
    _to("account", "account_id"),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("source", sa.String(160), nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("service", sa.String(64)),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("tax_category", sa.String(32), nullable=False),
    sa.Column("billed_from", sa.Date, nullable=False),
    sa.Column("period_start", sa.Date),
    sa.Column("period_end", sa.Date),
    sa.Column("why", Json, nullable=False),
    sa.Column("invoice_id", sa.String(64), sa.ForeignKey("invoice.id"), index=True),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("source", "revision"),
    sa.Index("ix_billable_waiting", "billed_from", postgresql_where=sa.text("invoice_id IS NULL"),
             sqlite_where=sa.text("invoice_id IS NULL")),
    comment="what no timeline says: fees, usage, rental of a month, deposits, credits; the next run bills it",
)  # fmt: skip

invoice_line = sa.Table(
    "invoice_line",
    META,
    sa.Column("invoice_id", sa.String(64), sa.ForeignKey("invoice.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("charge_id", sa.String(64), sa.ForeignKey("charge.id"), index=True),
    sa.Column("billable_id", sa.String(64), sa.ForeignKey("billable.id")),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("service", sa.String(64)),
    sa.Column("period_start", sa.Date),
    sa.Column("period_end", sa.Date),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("net", sa.BigInteger, nullable=False),
    sa.Column("tax_category", sa.String(32), nullable=False),
    sa.Column("tax_millionths", sa.Integer, nullable=False),
    sa.Column("tax_inclusive", sa.Boolean, nullable=False),
    sa.Column("credits_invoice", sa.String(64), sa.ForeignKey("invoice.id")),
    sa.Column("credits_position", sa.Integer),
    _where("ix_invoice_line_billable_id", "billable_id IS NOT NULL", "billable_id"),
    _where("ix_invoice_line_credits_invoice", "credits_invoice IS NOT NULL", "credits_invoice"),
)

invoice_tax = sa.Table(
    "invoice_tax",
    META,
    sa.Column("invoice_id", sa.String(64), sa.ForeignKey("invoice.id"), primary_key=True),
    sa.Column("category", sa.String(32), primary_key=True),
    sa.Column("millionths", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("inclusive", sa.Boolean, primary_key=True),
    sa.Column("base", sa.BigInteger, nullable=False),
    sa.Column("tax", sa.BigInteger, nullable=False),
)

payment = sa.Table(
    "payment",
    META,
    _key(),
    _to("account", "account_id"),
    sa.Column("kind", sa.String(8), nullable=False, comment="receipt | credit (of a credit note)"),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("method", sa.String(32), nullable=False),
    sa.Column("idempotency_key", sa.String(120), nullable=False, unique=True),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("sets", Json, nullable=False, comment="change sets that it released services with"),
    sa.Column(
        "spent",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="wholly allocated: numbering need not ask; whoever takes an allocation back clears it",
    ),
    sa.Column(
        "by_hand",
        sa.Boolean,
        nullable=False,
        server_default=sa.false(),
        comment="a person took it off an invoice: only a person allocates it",
    ),
    sa.Column("named", Json, comment="ids of the invoices that the payer named, in their order"),
    sa.CheckConstraint("amount > 0", name="amount"),
    _where("ix_payment_unspent", "NOT spent", "account_id"),
)

allocation = sa.Table(
    "payment_allocation",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    _to("payment", "payment_id"),
    _to("invoice", "invoice_id"),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("allocated_on", sa.Date, nullable=False),
    sa.CheckConstraint("amount <> 0", name="amount"),
)
"""Append only: what is taken back is a row below zero. So a sum is always what stands."""

ledger_transaction = sa.Table(
    "ledger_transaction",
    META,
    _key(),
    _to("account", "account_id", null=True),
    sa.Column("legal_entity", sa.String(32), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("source", sa.String(80), nullable=False),
    sa.Column("booked_on", sa.Date, nullable=False),
    sa.Column("happened_on", sa.Date, comment="its own day, where the books of that day were closed already"),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("kind", "source"),
    comment="append only; (kind, source) makes booking twice impossible",
)

ledger_entry = sa.Table(
    "ledger_entry",
    META,
    sa.Column("transaction_id", sa.String(64), sa.ForeignKey("ledger_transaction.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("ledger", sa.String(64), nullable=False, index=True),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="debit positive, credit negative"),
)

dunning_policy = sa.Table(
    "dunning_policy",
    META,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("policy", Json, nullable=False, comment="billing.stages.Policy"),
)

dunning_run = sa.Table(
    "dunning_run",
    META,
    _key(),
    sa.Column("run_on", sa.Date, nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("hold_set", sa.String(64), comment="the one change set of its holds"),
    sa.Column("release_set", sa.String(64)),
    sa.Column("held", sa.Integer, nullable=False),
    sa.Column("released", sa.Integer, nullable=False),
)

dunning_stage = sa.Table(
    "dunning_stage",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    _to("account", "account_id"),
    sa.Column("debt_due", sa.Date, nullable=False, comment="the oldest due date of this case"),
    sa.Column("stage", sa.Integer, nullable=False),
    sa.Column("name", sa.String(32), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False, index=True),
    sa.Column("entered_on", sa.Date, nullable=False),
    sa.UniqueConstraint("account_id", "debt_due", "stage"),
    comment="append only: each stage of a case is entered once, none is skipped",
)

nonpayment_hold = sa.Table(
    "nonpayment_hold",
    META,
    sa.Column("service", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("held", sa.Boolean, nullable=False, comment="what billing last asked for or was told"),
    sa.Column("effect", sa.String(16), nullable=False),
    sa.Column("debt_through", sa.Date, nullable=False, comment="latest due date that the hold is for"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("set_id", sa.String(64), comment="the change set that asked; none: somebody else did"),
    sa.Column("run_id", sa.String(64), index=True),
    sa.Column("event_seq", sa.BigInteger, nullable=False, comment="newest event about it that was heard"),
    sa.Column("changed_at", UtcDateTime, nullable=False),
)

billing_change_set = sa.Table(
    "billing_change_set",
    META,
    sa.Column("set_id", sa.String(64), primary_key=True),
    sa.Column("purpose", sa.String(16), nullable=False, comment="hold | release"),
    sa.Column("cause", sa.String(80), nullable=False, comment="dunning run, payment or promise"),
    comment="what billing itself asked for: anything else was somebody else",
)

billing_override = sa.Table(
    "billing_override",
    META,
    _key(),
    _to("account", "account_id"),
    sa.Column("service", sa.String(64), nullable=False, index=True),
    sa.Column("debt_through", sa.Date, nullable=False, comment="debts due until then are not held again"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("ended_by", sa.String(80)),
)

promise = sa.Table(
    "promise_to_pay",
    META,
    _key(),
    _to("account", "account_id"),
    sa.Column("made_on", sa.Date, nullable=False),
    sa.Column("until", sa.Date, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("amount", sa.BigInteger, comment="what was due when it was made, in minor units"),
)
