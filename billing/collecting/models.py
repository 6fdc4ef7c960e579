"""Tables of collecting: notices, hardship exemptions, instalments of promises."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, Sequenced, UtcDateTime

dunning_notice = sa.Table(
    "dunning_notice",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False),
    sa.Column("debt_due", sa.Date, nullable=False, comment="the oldest due date of the case"),
    sa.Column("stage", sa.Integer, nullable=False),
    sa.Column("name", sa.String(32), nullable=False),
    sa.Column("channel", sa.String(16), nullable=False, comment="letter | e-mail | sms | call"),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("made_on", sa.Date, nullable=False, index=True),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="overdue when it was made"),
    sa.Column("invoices", Json, nullable=False, comment="numbers of the overdue invoices, oldest first"),
    sa.UniqueConstraint("account_id", "debt_due", "stage", "channel"),
    comment="append only: what a stage tells the customer, by each channel once",
)

hardship = sa.Table(
    "hardship",
    META,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("since", sa.Date, nullable=False),
    sa.Column("until", sa.Date, nullable=False, comment="the last day; earlier when it was ended"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Column("ended_by", sa.String(80)),
)

instalment = sa.Table(
    "promise_instalment",
    META,
    sa.Column("promise_id", sa.String(64), sa.ForeignKey("promise_to_pay.id"), primary_key=True),
    sa.Column("due_on", sa.Date, primary_key=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
)
