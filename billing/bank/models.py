"""Tables of bank files. IBANs of customers are sealed; beside them a fingerprint that finds equal ones."""

import sqlalchemy as sa

from billing.models import META
from core.db import UtcDateTime


def _key() -> "sa.Column[str]":
    return sa.Column("id", sa.String(64), primary_key=True)


def _to(table: str, name: str, *, null: bool = False) -> "sa.Column[str]":
    return sa.Column(name, sa.String(64), sa.ForeignKey(f"{table}.id"), nullable=null, index=True)


creditor = sa.Table(
    "bank_creditor",
    META,
    sa.Column("legal_entity", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(70), nullable=False),
    sa.Column("creditor_id", sa.String(35), nullable=False),
    sa.Column("iban", sa.String(34), nullable=False, unique=True),
    sa.Column("bic", sa.String(11)),
    sa.Column("lead_days", sa.Integer, nullable=False, comment="TARGET days that the bank needs"),
    sa.CheckConstraint("lead_days >= 1", name="lead_days"),
    comment="what banks know our legal entities by",
)

statement = sa.Table(
    "bank_statement",
    META,
    _key(),
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
    sa.UniqueConstraint("account", "statement_id", "closed_on"),
)

entry = sa.Table(
    "bank_entry",
    META,
    _key(),
    _to("bank_statement", "statement_id"),
    sa.Column("key", sa.String(64), nullable=False, unique=True, comment="once, however often it is told"),
    sa.Column("place", sa.String(20), nullable=False),
    sa.Column("booked_on", sa.Date, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="positive: it came in"),
    sa.Column("end_to_end", sa.String(80), nullable=False, index=True),
    sa.Column("text", sa.Text, nullable=False, comment="what the payer wrote, references first"),
    sa.Column("name", sa.String(140), nullable=False),
    sa.Column("iban_sealed", sa.Text),
    sa.Column("iban_shown", sa.String(16)),
    sa.Column("iban_print", sa.String(64), index=True),
    sa.Column("reason", sa.String(35), nullable=False, comment="the code of a return, such as AM04"),
    sa.Column("state", sa.String(12), nullable=False, comment="pending, then matched, unmatched, assigned, not-ours"),
    sa.Column("rule", sa.String(24), nullable=False, comment="why it was matched"),
    sa.Column("confidence", sa.Integer, nullable=False),
    sa.Column("told", sa.Text, nullable=False, comment="what it did, or why it did nothing"),
    _to("account", "account_id", null=True),
    sa.Column("effect", sa.String(64), comment="the payment, chargeback, refund or collection"),
    sa.Column("decided_by", sa.String(80), nullable=False),
    sa.Index("ix_bank_entry_unmatched", "booked_on", postgresql_where=sa.text("state IN ('pending', 'unmatched')"),
             sqlite_where=sa.text("state IN ('pending', 'unmatched')")),
)  # fmt: skip

mandate = sa.Table(
    "bank_mandate",
    META,
    sa.Column("id", sa.String(35), primary_key=True, comment="the unique mandate reference"),
    _to("account", "account_id"),
    sa.Column("signed_on", sa.Date, nullable=False),
    sa.Column("holder", sa.String(70), nullable=False),
    sa.Column("iban_sealed", sa.Text, nullable=False),
    sa.Column("iban_shown", sa.String(16), nullable=False),
    sa.Column("iban_print", sa.String(64), nullable=False, index=True),
    sa.Column("bic", sa.String(11)),
    sa.Column("one_off", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(12), nullable=False, comment="active | last (once more) | ended | blocked"),
    sa.Column("why", sa.String(80), nullable=False, comment="the code that blocked it, or who ended it"),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
)

batch = sa.Table(
    "collection_batch",
    META,
    _key(),
    sa.Column("legal_entity", sa.String(32), nullable=False),
    sa.Column("collect_on", sa.Date, nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("content", sa.Text, nullable=False, comment="the file, sealed: it has IBANs"),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.UniqueConstraint("legal_entity", "collect_on", "ordinal"),
)

collection = sa.Table(
    "collection",
    META,
    _key(),
    _to("collection_batch", "batch_id"),
    sa.Column("mandate_id", sa.String(35), sa.ForeignKey("bank_mandate.id"), nullable=False, index=True),
    _to("account", "account_id"),
    _to("invoice", "invoice_id"),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("sequence", sa.String(4), nullable=False, comment="FRST, RCUR, OOFF, FNAL"),
    sa.Column("payment_info", sa.String(35), nullable=False, index=True),
    sa.Column("end_to_end", sa.String(35), nullable=False, unique=True),
    sa.Column(
        "state", sa.String(12), nullable=False, comment="pending -> paid -> returned; pending -> failed"
    ),
    sa.Column("reason", sa.String(35), nullable=False),
    sa.Column("payment_id", sa.String(64), sa.ForeignKey("payment.id")),
    sa.CheckConstraint("amount > 0", name="amount"),
    comment="a direct debit of one invoice; pending until a statement confirms or returns it",
)

known_iban = sa.Table(
    "known_iban",
    META,
    sa.Column("iban_print", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("entry_id", sa.String(64), nullable=False),
    comment="who paid from where before: a person assigned it, or a reference said so",
)
