"""Tables of exemptions, surcharges and external tax engines."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, Sequenced, UtcDateTime

tax_exemption = sa.Table(
    "tax_exemption",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("category", sa.String(32), nullable=False, comment="empty: every category"),
    sa.Column("code", sa.String(2), nullable=False, comment="UNTDID 5305: E, AE, Z, G, O; S: taxed again"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("certificate", sa.String(80), nullable=False),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_until", sa.Date, comment="exclusive; none: until further notice"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="append only: of a day the newest row that covers it counts",
)

tax_surcharge = sa.Table(
    "tax_surcharge",
    META,
    sa.Column("profile", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("valid_from", sa.Date, primary_key=True),
    sa.Column("label", sa.String(80), nullable=False),
    sa.Column("millionths", sa.Integer, nullable=False, comment="of each line; 0: a fixed amount or none"),
    sa.Column("fixed", sa.BigInteger, nullable=False, comment="for each line, in minor units of currency"),
    sa.Column("currency", sa.String(3), nullable=False, comment="of the fixed amount"),
    sa.Column("kinds", Json, nullable=False, comment="kinds of lines that bear it"),
    sa.Column("tax_category", sa.String(32), nullable=False, comment="how it is taxed itself; empty: not"),
    comment="what is added to each line; neither part nor amount: it ended",
)

tax_engine = sa.Table(
    "tax_engine",
    META,
    sa.Column("profile", sa.String(32), primary_key=True),
    sa.Column("engine", sa.String(32), nullable=False, comment="name of the plugin; empty: none any more"),
    sa.Column("settings", Json, nullable=False, comment="the plugin's own; secrets sealed"),
    sa.Column("fallback", sa.String(8), nullable=False, comment="park | rates, while there is no answer"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="who says the rates of a tax profile",
)

tax_answer = sa.Table(
    "tax_answer",
    META,
    sa.Column("account_id", sa.String(64), sa.ForeignKey("account.id"), primary_key=True),
    sa.Column("category", sa.String(32), primary_key=True),
    sa.Column("billed_on", sa.Date, primary_key=True),
    sa.Column("millionths", sa.Integer, nullable=False),
    sa.Column("engine", sa.String(32), nullable=False),
    sa.Column("reference", sa.String(120), nullable=False, comment="what the engine calls its answer"),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="what an engine said, once for each account, category and day: never asked again",
)
