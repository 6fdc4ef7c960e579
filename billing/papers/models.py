"""Tables of the papers."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, Sequenced, UtcDateTime

seller_version = sa.Table(
    "seller_version",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("legal_entity", sa.String(32), nullable=False, index=True),
    sa.Column("content", Json, nullable=False, comment="billing.papers.parties.Seller"),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="what stood in trunkline.yaml about a legal entity from a moment on; append only",
)

billing_contact = sa.Table(
    "billing_contact",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column(
        "personal", sa.Text, nullable=False, comment="billing.papers.parties.Party, sealed with the data key"
    ),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="to whom an account's invoices are addressed from a moment on; append only",
)

invoice_paper = sa.Table(
    "invoice_paper",
    META,
    sa.Column("invoice_id", sa.String(64), sa.ForeignKey("invoice.id"), primary_key=True),
    sa.Column("form", sa.String(8), primary_key=True, comment="pdf | xml"),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, comment="SHA-256 of the content"),
    sa.Column("made_at", UtcDateTime, nullable=False),
    comment="what a customer was shown: made once, never again",
)
