"""Tables of closing: groups of deferred lines, how far each series was taken in, and the closes of periods."""

import sqlalchemy as sa

from billing.models import META
from core.db import Json, Sequenced, UtcDateTime

deferral_mark = sa.Table(
    "deferral_mark",
    META,
    sa.Column("legal_entity", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    comment="documents of a series up to this number are in `deferral`; the row is the lock",
)

_WAITING = sa.text("recognised_until < period_end")
deferral = sa.Table(
    "deferral",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("legal_entity", sa.String(32), nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("ledger", sa.String(64), nullable=False, comment="the revenue account that it becomes"),
    sa.Column("issued_on", sa.Date, nullable=False),
    sa.Column("period_start", sa.Date, nullable=False),
    sa.Column("period_end", sa.Date, nullable=False),
    sa.Column("net", sa.BigInteger, nullable=False, comment="of one line"),
    sa.Column("lines", sa.Integer, nullable=False, comment="how many lines are alike"),
    sa.Column("recognised_until", sa.Date, nullable=False, comment="exclusive; at first the day of issue"),
    sa.Index(
        "ix_deferral_waiting",
        "legal_entity",
        "recognised_until",
        postgresql_where=_WAITING,
        sqlite_where=_WAITING,
    ),
    comment="lines that bill days after their issue, alike ones together",
)

period_close = sa.Table(
    "period_close",
    META,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("legal_entity", sa.String(32), nullable=False, index=True),
    sa.Column("what", sa.String(8), nullable=False, comment="close | reopen"),
    sa.Column(
        "closed_through", sa.Date, comment="nothing is booked on or before this day; none: all is open"
    ),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("proof", Json, nullable=False, comment="what the books were when they were closed"),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    comment="append only: the newest row of an entity says how far its books are closed",
)
