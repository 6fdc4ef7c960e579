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
    sa.Column("period_end", sa.Date, nullable=False),  # period_start: it was taken back, and is of no days
    sa.Column("used", sa.BigInteger, nullable=False),
    sa.Column("free", sa.BigInteger, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="what it comes to, revisions together"),
    sa.Column("lots", Json, nullable=False, comment="what is left of allowances: (month, quantity)"),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("rated_at", UtcDateTime, nullable=False),
    comment="what was made of a month's usage; a correction is a further revision of its billable",
)

usage_cut = sa.Table(
    "usage_cut",
    META,
    sa.Column("service", sa.String(63), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True, comment="the local date that began"),
    sa.Column("up_octets", sa.BigInteger, nullable=False),
    sa.Column("down_octets", sa.BigInteger, nullable=False),
    comment="what the UTC day in which a local date began had counted by then; append only",
)

usage_cut_run = sa.Table(
    "usage_cut_run",
    META,
    sa.Column("timezone", sa.String(64), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True, comment="the local date that began"),
    sa.Column("cut_at", UtcDateTime, nullable=False),
    comment="local midnights that were noted in time: a service without a row had nothing by then",
)
