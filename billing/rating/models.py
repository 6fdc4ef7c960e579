"""Tables of rating."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, UtcDateTime

usage_rated = sa.Table(
    "usage_rated",
    META,
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), primary_key=True),
    sa.Column(
        "scope", sa.String(160), primary_key=True, comment="who used together: service:<id>, or shared:<plan>"
    ),
    sa.Column("meter", sa.String(16), primary_key=True),
    sa.Column("period_start", sa.Date, primary_key=True),
    sa.Column("period_end", sa.Date, nullable=False),
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.Column("free", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="what it comes to, revisions together"),
    sa.Column("lots", Json, nullable=False, comment="what is left of allowances: (month, quantity)"),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("rated_at", UtcDateTime, nullable=False),
    comment="what was made of a month's usage; a correction is a further revision of its billable",
)
