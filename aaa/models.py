"""Recorded state of AAA: sessions, usage by day, refusals, and what was asked of NASes."""

from typing import Any

import sqlalchemy as sa

from core.db import Sequenced, UtcDateTime, metadata

METADATA = metadata("aaa")


def partial(name: str, *columns: sa.Column[Any], where: str) -> sa.Index:
    """An index of the rows that fulfil `where` only, on both databases."""
    sqlite = sa.text(where.replace("true", "1"))
    return sa.Index(name, *columns, postgresql_where=sa.text(where), sqlite_where=sqlite)


session = sa.Table(
    "session",
    METADATA,
    sa.Column("session_ref", sa.String(40), primary_key=True),
    sa.Column("nas", sa.String(63), nullable=False),  # device id
    # Any octets: Debian's pppd prints a malformed one.
    sa.Column("acct_session_id", sa.LargeBinary(253), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("service", sa.String(63), nullable=False),  # "" when nobody knows whose it is
    sa.Column("policy_hash", sa.String(16), nullable=False),
    sa.Column("stale", sa.Boolean, nullable=False),  # accounting saw that it is not the wanted policy
    sa.Column("state", sa.String(8), nullable=False),  # open | closed
    sa.Column("inferred", sa.Boolean, nullable=False),  # closed without a Stop: it may reopen
    sa.Column("source", sa.String(45), nullable=False),  # address that the NAS speaks from
    sa.Column("login", sa.String(253), nullable=False),
    sa.Column("calling", sa.String(253), nullable=False),
    sa.Column("framed_address", sa.String(45), nullable=False),
    sa.Column("framed_prefix", sa.String(50), nullable=False),
    sa.Column("delegated_prefix", sa.String(50), nullable=False),
    sa.Column("nas_port", sa.BigInteger, nullable=False),
    sa.Column("nas_port_id", sa.String(253), nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("stopped_at", UtcDateTime),
    sa.Column("cause", sa.String(30), nullable=False),
    sa.Column("session_time", sa.BigInteger, nullable=False),
    sa.Column("up_octets", sa.BigInteger, nullable=False),
    sa.Column("down_octets", sa.BigInteger, nullable=False),
    sa.Column("gigawords", sa.Boolean, nullable=False),  # the NAS sends them: a missing one is no wrap
    sa.Column("interim", sa.Integer, nullable=False),
    sa.Column("framed_address6", sa.String(45), nullable=False),  # RFC 6911, a single address
    sa.Column("multi_session_id", sa.String(253), nullable=False),  # links the sessions of one bundle
    sa.Column("public_address", sa.String(45), nullable=False),  # as the NAS translates it (RFC 8045)
    sa.Column("port_first", sa.Integer, nullable=False),  # of the public address; 0: not told
    sa.Column("port_last", sa.Integer, nullable=False),
)
is_open = session.c.state == sa.literal_column("'open'")
"""In these very words: a database takes a partial index only when it reads its predicate, not a parameter."""

is_stale = sa.and_(session.c.stale == sa.true(), is_open)
"""Open, and marked for the enforcement lane."""

# What an interim changes (counters, updated_at) is in no index: on PostgreSQL it then touches one page and no index.
sa.Index(
    "uq_session_id_nas_start", session.c.acct_session_id, session.c.nas, session.c.started_at, unique=True
)
sa.Index("ix_session_service_started", session.c.service, session.c.started_at)
sa.Index("ix_session_nas_started", session.c.nas, session.c.started_at)
partial("ix_session_open_service", session.c.service, where="state = 'open'")
partial("ix_session_open_nas", session.c.nas, session.c.started_at, where="state = 'open'")
partial("ix_session_open_started", session.c.started_at, where="state = 'open'")
partial("ix_session_stale", session.c.started_at, where="stale = true AND state = 'open'")
for _name in ("framed_address", "framed_address6", "framed_prefix", "delegated_prefix", "public_address"):
    partial(f"ix_session_{_name}", session.c[_name], session.c.started_at, where=f"{_name} <> ''")

usage_day = sa.Table(
    "usage_day",
    METADATA,
    sa.Column("service", sa.String(63), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),  # UTC day of the record that brought the octets
    sa.Column("up_octets", sa.BigInteger, nullable=False),
    sa.Column("down_octets", sa.BigInteger, nullable=False),
)

refusal = sa.Table(
    "refusal",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("login", sa.String(253), nullable=False),
    sa.Column("nas", sa.String(63), nullable=False),
    sa.Column("reason", sa.String(24), nullable=False),
    sa.Column("detail", sa.String(253), nullable=False),
)
sa.Index("ix_refusal_login_at", refusal.c.login, refusal.c.at)

access_minute = sa.Table(
    "access_minute",
    METADATA,
    sa.Column("nas", sa.String(63), primary_key=True),
    sa.Column("minute", UtcDateTime, primary_key=True),
    sa.Column("accepted", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.BigInteger, nullable=False),
)
sa.Index("ix_access_minute_minute", access_minute.c.minute)

enforcement = sa.Table(
    "enforcement",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("session_ref", sa.String(40), nullable=False),
    sa.Column("service", sa.String(63), nullable=False),
    sa.Column("wanted_hash", sa.String(16), nullable=False),
    sa.Column("action", sa.String(12), nullable=False),  # coa | disconnect | end-session
    sa.Column("outcome", sa.String(12), nullable=False),  # acked | nak | timeout | no-session | unreachable
    sa.Column("code", sa.Integer, nullable=False),  # Error-Cause of a NAK, else 0
    sa.Column("milliseconds", sa.Integer, nullable=False),
)
sa.Index("ix_enforcement_session", enforcement.c.session_ref, enforcement.c.seq)
sa.Index("ix_enforcement_service", enforcement.c.service, enforcement.c.seq)

# Moving in: what the old server answered beside us.
moving_tally = sa.Table(
    "moving_tally",
    METADATA,
    sa.Column("day", sa.Date, primary_key=True),  # UTC
    sa.Column("realm", sa.String(128), primary_key=True),
    sa.Column("nas", sa.String(63), primary_key=True),
    sa.Column("what", sa.String(12), primary_key=True),  # agreed | differed | skipped | silent | a kind
    sa.Column("number", sa.BigInteger, nullable=False),
)

moving_difference = sa.Table(
    "moving_difference",
    METADATA,
    sa.Column("nas", sa.String(63), primary_key=True),
    sa.Column("login", sa.String(253), primary_key=True),
    sa.Column("kind", sa.String(12), primary_key=True),  # decision | rate | pool | address | …
    sa.Column("realm", sa.String(128), nullable=False),
    sa.Column("ours", sa.String(200), nullable=False),
    sa.Column("theirs", sa.String(200), nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("first_at", UtcDateTime, nullable=False),
    sa.Column("last_at", UtcDateTime, nullable=False),
)
sa.Index("ix_moving_difference_last_at", moving_difference.c.last_at)


# Retention: what closed sessions and old days of usage become.
session_history = sa.Table(
    "session_history",
    METADATA,
    sa.Column("session_ref", sa.String(40), primary_key=True),
    sa.Column("service", sa.String(63), nullable=False),
    sa.Column("nas", sa.String(63), nullable=False),
    sa.Column("acct_session_id", sa.LargeBinary(253), nullable=False),
    sa.Column("login", sa.String(253), nullable=False),
    sa.Column("calling", sa.String(253), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),  # last heard
    sa.Column("stopped_at", UtcDateTime, nullable=False),
    sa.Column("inferred", sa.Boolean, nullable=False),
    sa.Column("framed_address", sa.String(45), nullable=False),
    sa.Column("framed_address6", sa.String(45), nullable=False),
    sa.Column("framed_prefix", sa.String(50), nullable=False),
    sa.Column("delegated_prefix", sa.String(50), nullable=False),
    sa.Column("public_address", sa.String(45), nullable=False),
    sa.Column("port_first", sa.Integer, nullable=False),
    sa.Column("port_last", sa.Integer, nullable=False),
    sa.Column("up_octets", sa.BigInteger, nullable=False),
    sa.Column("down_octets", sa.BigInteger, nullable=False),
)
sa.Index("ix_session_history_service_started", session_history.c.service, session_history.c.started_at)
sa.Index("ix_session_history_stopped", session_history.c.stopped_at)
for _name in ("framed_address", "framed_address6", "framed_prefix", "delegated_prefix", "public_address"):
    partial(
        f"ix_session_history_{_name}",
        session_history.c[_name],
        session_history.c.started_at,
        where=f"{_name} <> ''",
    )

usage_month = sa.Table(
    "usage_month",
    METADATA,
    sa.Column("service", sa.String(63), primary_key=True),
    sa.Column("month", sa.Date, primary_key=True),  # its first day, UTC
    sa.Column("up_octets", sa.BigInteger, nullable=False),
    sa.Column("down_octets", sa.BigInteger, nullable=False),
)
sa.Index("ix_usage_day_day", usage_day.c.day)
sa.Index("ix_usage_month_month", usage_month.c.month)
