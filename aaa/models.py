"""Recorded state of AAA: sessions, usage by day, refusals, and what was asked of NASes."""

from typing import Any

import sqlalchemy as sa

from core.db import Json, Sequenced, UtcDateTime, metadata

METADATA = metadata("aaa")


def partial(name: str, *columns: sa.Column[Any], where: str) -> sa.Index:
    """An index of the rows that fulfil `where` only, on both databases."""
    sqlite = sa.text(where.replace("true", "1"))
    return sa.Index(name, *columns, postgresql_where=sa.text(where), sqlite_where=sqlite)


session = sa.Table(
    "radius_session",
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
    # Agent-Circuit-Id octets, b"" where the NAS does not say: whose ghost a new session replaces.
    sa.Column("circuit", sa.LargeBinary(253), nullable=False, server_default=sa.text("''")),
)
is_open = session.c.state == "open"
"""Of sessions at hand. Who looks for open ones begins at `session_open` (aaa.opened.each)."""

# What an Interim or a Stop changes is in no index: on PostgreSQL it then touches one page and no index.
sa.Index(
    "uq_session_id_nas_start", session.c.acct_session_id, session.c.nas, session.c.started_at, unique=True
)
sa.Index("ix_session_service_started", session.c.service, session.c.started_at)
of_nas = session.c.nas.concat(sa.literal_column("''"))
"""For pages of all of a NAS. An index of the plain name would look, with old statistics, as good for a session's id as
the index of the ids.
"""
sa.Index("ix_session_of_nas", of_nas, session.c.session_ref)
for _name in ("framed_address", "framed_address6", "framed_prefix", "delegated_prefix", "public_address"):
    partial(f"ix_session_{_name}", session.c[_name], session.c.started_at, where=f"{_name} <> ''")

# The open ones, as far as anybody looks for them; aaa/opened.py says who writes it.
session_open = sa.Table(
    "session_open",
    METADATA,
    sa.Column("session_ref", sa.String(40), primary_key=True),
    sa.Column("nas", sa.String(63), nullable=False),
    sa.Column("service", sa.String(63), nullable=False),
    sa.Column("stale", sa.Boolean, nullable=False),
)
sa.Index("ix_session_open_service", session_open.c.service)
sa.Index("ix_session_open_nas", session_open.c.nas, session_open.c.session_ref)
partial("ix_session_open_stale", session_open.c.session_ref, where="stale = true")

# Of a session that had several of a kind, one after the other or at once: all of them, from its start on (held.py).
session_address = sa.Table(
    "session_address",
    METADATA,
    sa.Column("session_ref", sa.String(40), primary_key=True),
    sa.Column("what", sa.String(20), primary_key=True),  # the column of `session` that has the newest
    sa.Column("value", sa.String(50), primary_key=True),
    sa.Column("port_first", sa.Integer, primary_key=True),  # of a public address; 0: not of ports
    sa.Column("port_last", sa.Integer, primary_key=True),
    sa.Column("since", UtcDateTime, primary_key=True),
    sa.Column("heard", UtcDateTime, nullable=False),  # when it was over: last told before another was
    sa.Column("until", UtcDateTime),  # when another was told
)
sa.Index("ix_session_address_value", session_address.c.value, session_address.c.what, session_address.c.since)

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
    sa.Column("service", sa.String(63), nullable=False, server_default=""),
)
sa.Index("ix_refusal_login_at", refusal.c.login, refusal.c.at)
partial("ix_refusal_service", refusal.c.service, refusal.c.seq, where="service <> ''")

accepted_login = sa.Table(
    "accepted_login",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("login", sa.String(253), nullable=False),
    sa.Column("nas", sa.String(63), nullable=False),
)
sa.Index("ix_accepted_login_login_at", accepted_login.c.login, accepted_login.c.at)

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

# Nodes, and the blocks of addresses that their workers have leased.

radius_node = sa.Table(
    "radius_node",
    METADATA,
    sa.Column("node", sa.String(63), primary_key=True),
    sa.Column("home", sa.String(40), nullable=False),  # of its disk: blocks belong to the two together
    sa.Column("workers", sa.Integer, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("drained_at", UtcDateTime),  # until then all accounting that it acknowledged is in the database
    sa.Column("draining", sa.Boolean, nullable=False),
)

address_prefix = sa.Table(
    "address_prefix",
    METADATA,
    sa.Column("pool", sa.String(63), primary_key=True),
    sa.Column("prefix", sa.String(50), primary_key=True),
    sa.Column("length", sa.Integer, primary_key=True),  # of what one subscriber gets
    sa.Column("size", sa.Integer, nullable=False),  # so many in a block; never changes
    sa.Column("blocks", sa.BigInteger, nullable=False),
    sa.Column("cut", sa.BigInteger, nullable=False),  # blocks 0 to cut-1 have rows
)

address_block = sa.Table(
    "address_block",
    METADATA,
    sa.Column("pool", sa.String(63), primary_key=True),
    sa.Column("prefix", sa.String(50), primary_key=True),
    sa.Column("length", sa.Integer, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("state", sa.String(8), nullable=False),  # free | leased | resting
    sa.Column("node", sa.String(63), nullable=False),
    sa.Column("worker", sa.String(80), nullable=False),
    sa.Column("home", sa.String(40), nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),  # grows with every lease
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),  # of a resting block: not free before
)
sa.Index("ix_address_block_pool_state", address_block.c.pool, address_block.c.state, address_block.c.since)
sa.Index("ix_address_block_worker", address_block.c.worker, address_block.c.home)

address_count = sa.Table(
    "address_count",
    METADATA,
    sa.Column("pool", sa.String(63), primary_key=True),
    sa.Column("worker", sa.String(80), primary_key=True),
    sa.Column("node", sa.String(63), nullable=False),
    sa.Column("blocks", sa.Integer, nullable=False),
    sa.Column("free", sa.BigInteger, nullable=False),
    sa.Column("given", sa.BigInteger, nullable=False),
    sa.Column("resting", sa.BigInteger, nullable=False),
    sa.Column("doubt", sa.BigInteger, nullable=False),
    sa.Column(
        "refused", sa.BigInteger, nullable=False
    ),  # logins that found the pool empty, since the worker began
    sa.Column("seen_at", UtcDateTime, nullable=False),
    # Events of the worker's ledger that were on its disk.
    sa.Column("synced", sa.BigInteger, nullable=False, server_default="0"),
)
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
# How far a round of retention came when its time was over; no row: the next one begins at the oldest.
retention_place = sa.Table(
    "retention_place",
    METADATA,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("after", sa.String(40), nullable=False),  # session_ref
)
sa.Index("ix_usage_day_day", usage_day.c.day)
sa.Index("ix_usage_month_month", usage_month.c.month)

# Limits: what counters, clocks and people record about a service, joined into the view (aaa/limits).
service_limit = sa.Table(
    "service_limit",
    METADATA,
    # A service, a voucher's id, or `plan:<id>` for the slot of a plan's schedule in a time zone (its cause).
    sa.Column("service", sa.String(80), primary_key=True),
    sa.Column("cause", sa.String(80), primary_key=True),
    sa.Column("effect", sa.String(16), nullable=False),
    sa.Column("down", sa.BigInteger, nullable=False),
    sa.Column("up", sa.BigInteger, nullable=False),
    sa.Column("until", UtcDateTime),  # lifted then; null: by whoever wrote it
    sa.Column("data", Json, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)
sa.Index("ix_service_limit_until", service_limit.c.until)
sa.Index("ix_service_limit_cause", service_limit.c.cause)

# Which services' limits changed, in the order of their commits: the view follows it like index_change.
service_limit_change = sa.Table(
    "service_limit_change",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("service", sa.String(80), nullable=False),
    sqlite_autoincrement=True,
)

# Octets of metered services that nobody has counted yet: written with the session, deleted when counted.
usage_change = sa.Table(
    "usage_change",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("service", sa.String(63), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("up_octets", sa.BigInteger, nullable=False),
    sa.Column("down_octets", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),  # the session is over: what is left is what it is
)

quota_use = sa.Table(
    "quota_use",
    METADATA,
    sa.Column("service", sa.String(63), primary_key=True),
    sa.Column("kind", sa.String(12), primary_key=True),  # fair-use | prepaid | voucher
    sa.Column("period_start", UtcDateTime, primary_key=True),
    sa.Column("period_end", UtcDateTime),
    sa.Column("up_octets", sa.BigInteger, nullable=False),
    sa.Column("down_octets", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.BigInteger, nullable=False),
    sa.Column("told", sa.Integer, nullable=False),  # per cent that an event was emitted for: 0, 80, 100
)

# Quota that somebody gave: a prepaid credit, more fair use, or (kind `billing`) the bounds of a billing period.
quota_grant = sa.Table(
    "quota_grant",
    METADATA,
    sa.Column("grant_id", sa.String(40), primary_key=True),
    sa.Column("service", sa.String(63), nullable=False),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("period_start", UtcDateTime, nullable=False),
    sa.Column("period_end", UtcDateTime),
    sa.Column("octets", sa.BigInteger, nullable=False),  # 0: not limited by octets
    sa.Column("seconds", sa.BigInteger, nullable=False),  # 0: not limited by time
    sa.Column("reference", sa.String(80), nullable=False),  # the same one twice is one grant
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)
sa.Index("ix_quota_grant_service_kind", quota_grant.c.service, quota_grant.c.kind)
sa.Index(
    "uq_quota_grant_reference",
    quota_grant.c.service,
    quota_grant.c.kind,
    quota_grant.c.reference,
    unique=True,
)

voucher = sa.Table(
    "voucher",
    METADATA,
    sa.Column("voucher", sa.String(63), primary_key=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=False),  # keyed hash of the code; the code is nowhere
    sa.Column("batch", sa.String(63), nullable=False),
    sa.Column("plan", sa.String(63), nullable=False),
    sa.Column("seconds", sa.BigInteger, nullable=False),
    sa.Column("octets", sa.BigInteger, nullable=False),
    sa.Column("devices", sa.Integer, nullable=False),
    sa.Column("valid_from", UtcDateTime),
    sa.Column("valid_until", UtcDateTime),
    sa.Column("first_use", UtcDateTime),
    sa.Column("ends", UtcDateTime),
    sa.Column("macs", Json, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),  # early | fresh | active | used | cancelled | gone
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)
sa.Index("uq_voucher_digest", voucher.c.digest, unique=True)
sa.Index("ix_voucher_batch", voucher.c.batch)
