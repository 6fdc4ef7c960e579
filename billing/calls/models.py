"""Tables of calls."""

import sqlalchemy as sa

from billing.models import META
from core.db import UtcDateTime

voice_number = sa.Table(
    "voice_number",
    META,
    sa.Column("number", sa.String(15), primary_key=True, comment="E.164 without +"),
    sa.Column("since", sa.Date, primary_key=True),
    sa.Column("service", sa.String(64), nullable=False, index=True),
    sa.Column("until", sa.Date, comment="the first day on which it is not theirs any more"),
    sa.Column("actor", sa.String(80), nullable=False),
)

call_rate = sa.Table(
    "call_rate",
    META,
    sa.Column("deck", sa.String(64), primary_key=True),
    sa.Column("valid_from", sa.Date, primary_key=True),
    sa.Column("prefix", sa.String(15), primary_key=True, comment="E.164 without +"),
    sa.Column("destination", sa.String(80), nullable=False),
    sa.Column(
        "per_minute", sa.String(24), nullable=False, comment="a decimal number of the account's currency"
    ),
    sa.Column("connection", sa.String(24), nullable=False),
    sa.Column("first", sa.Integer, nullable=False, comment="seconds that are billed at least"),
    sa.Column("step", sa.Integer, nullable=False, comment="seconds that are billed at once after those"),
    comment="a deck is all its prefixes from a day on",
)

call_record = sa.Table(
    "call_record",
    META,
    sa.Column("id", sa.String(64), primary_key=True, comment="SHA-256 of carrier and record"),
    sa.Column("carrier", sa.String(64), nullable=False),
    sa.Column("service", sa.String(64), comment="none: nobody's, until somebody has the number"),
    sa.Column("caller", sa.String(15), nullable=False),
    sa.Column("callee", sa.String(15), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("seconds", sa.Integer, nullable=False),
    sa.Column("file", sa.String(200), nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
    sa.Index("ix_call_record_service_started_at", "service", "started_at"),
    sa.Index("ix_call_record_caller", "caller"),
    comment="append only",
)
