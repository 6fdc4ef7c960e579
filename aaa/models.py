"""Recorded state of AAA: sessions, usage by day, refusals, and what was asked of NASes."""

import sqlalchemy as sa

from core.db import Sequenced, UtcDateTime, metadata

METADATA = metadata("aaa")

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
)
sa.Index(
    "uq_session_nas_id_start", session.c.nas, session.c.acct_session_id, session.c.started_at, unique=True
)
sa.Index("ix_session_service_state", session.c.service, session.c.state)
sa.Index("ix_session_state_updated", session.c.state, session.c.updated_at)
sa.Index("ix_session_stale", session.c.stale, session.c.state)
sa.Index("ix_session_framed_address", session.c.framed_address, session.c.started_at)

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

# Nodes, and the blocks of addresses that their workers have leased.

radius_node = sa.Table(
    "radius_node",
    METADATA,
    sa.Column("node", sa.String(63), primary_key=True),
    sa.Column(
        "home", sa.String(40), nullable=False
    ),  # of the node's disk: a blocks' owner is the two together
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
)
