"""Retention and roll-up of sessions and usage; indexes that an interim leaves alone.

On PostgreSQL columns and indexes may be there already: whoever has tens of millions of sessions makes them beforehand,
beside the running service (docs/howto/deploy.md).
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from core.db import UtcDateTime

revision = "aaa_0004"
down_revision = "aaa_0003"
branch_labels = None
depends_on = None

_TEXTS = {"framed_address6": 45, "multi_session_id": 253, "public_address": 45}
_OPEN = "state = 'open'"
_ADDRESSES = ("framed_address", "framed_address6", "framed_prefix", "delegated_prefix", "public_address")


def upgrade() -> None:
    """Add columns and indexes to sessions; create the tables."""
    is_postgres = op.get_bind().dialect.name == "postgresql"
    columns: list[sa.Column[Any]] = [
        sa.Column(name, sa.String(length), nullable=False, server_default="")
        for name, length in _TEXTS.items()
    ]
    columns += [
        sa.Column(name, sa.Integer, nullable=False, server_default="0")
        for name in ("port_first", "port_last")
    ]
    for column in columns:
        op.add_column("session", column, if_not_exists=is_postgres)
    if is_postgres:
        _drop_unfinished()
    _index_sessions()
    _history()
    op.create_table(
        "usage_month",
        sa.Column("service", sa.String(63), primary_key=True),
        sa.Column("month", sa.Date, primary_key=True),
        sa.Column("up_octets", sa.BigInteger, nullable=False),
        sa.Column("down_octets", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_usage_day_day", "usage_day", ["day"], if_not_exists=True)
    op.create_index("ix_usage_month_month", "usage_month", ["month"])
    if is_postgres:
        # Half of every page is free: rows that began together report together, in one transaction, and the new version
        # of each must find room on its page, or every index is touched.
        op.execute("ALTER TABLE session SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)")
        op.execute("ALTER TABLE usage_day SET (fillfactor = 50)")


def _drop_unfinished() -> None:
    """A CREATE INDEX CONCURRENTLY that was interrupted leaves an index that is there and finds nothing."""
    unfinished = sa.text(
        "SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
        "WHERE NOT i.indisvalid AND i.indrelid IN ('session'::regclass, 'usage_day'::regclass)"
    )
    for name in op.get_bind().scalars(unfinished).all():
        op.drop_index(name)


def _index_sessions() -> None:
    for old in ("service_state", "state_updated", "stale", "framed_address"):
        op.drop_index(f"ix_session_{old}", "session")
    op.drop_index("uq_session_nas_id_start", "session")
    if op.get_bind().dialect.name == "postgresql":
        for made in ("stale", "framed_address"):  # beforehand, when the old one had the name
            op.execute(f"ALTER INDEX IF EXISTS ix_session_{made}_new RENAME TO ix_session_{made}")
    key = ["acct_session_id", "nas", "started_at"]
    op.create_index("uq_session_id_nas_start", "session", key, unique=True, if_not_exists=True)
    op.create_index("ix_session_service_started", "session", ["service", "started_at"], if_not_exists=True)
    op.create_index("ix_session_nas_started", "session", ["nas", "started_at"], if_not_exists=True)
    _partial("ix_session_open_service", "session", ["service"], _OPEN)
    _partial("ix_session_open_nas", "session", ["nas", "started_at"], _OPEN)
    _partial("ix_session_open_started", "session", ["started_at"], _OPEN)
    _partial("ix_session_stale", "session", ["started_at"], f"stale = true AND {_OPEN}")
    for name in _ADDRESSES:
        _partial(f"ix_session_{name}", "session", [name, "started_at"], f"{name} <> ''")


def _history() -> None:
    texts = {"framed_address": 45, "framed_address6": 45, "framed_prefix": 50, "delegated_prefix": 50}
    addresses: list[Any] = [
        sa.Column(name, sa.String(length), nullable=False)
        for name, length in (texts | {"public_address": 45}).items()
    ]
    op.create_table(
        "session_history",
        sa.Column("session_ref", sa.String(40), primary_key=True),
        sa.Column("service", sa.String(63), nullable=False),
        sa.Column("nas", sa.String(63), nullable=False),
        sa.Column("acct_session_id", sa.LargeBinary(253), nullable=False),
        sa.Column("login", sa.String(253), nullable=False),
        sa.Column("calling", sa.String(253), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("stopped_at", UtcDateTime, nullable=False),
        sa.Column("inferred", sa.Boolean, nullable=False),
        *addresses,
        sa.Column("port_first", sa.Integer, nullable=False),
        sa.Column("port_last", sa.Integer, nullable=False),
        sa.Column("up_octets", sa.BigInteger, nullable=False),
        sa.Column("down_octets", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_session_history_service_started", "session_history", ["service", "started_at"])
    op.create_index("ix_session_history_stopped", "session_history", ["stopped_at"])
    for name in _ADDRESSES:
        _partial(f"ix_session_history_{name}", "session_history", [name, "started_at"], f"{name} <> ''")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    sqlite = sa.text(where.replace("true", "1"))
    op.create_index(
        name, table, columns, postgresql_where=sa.text(where), sqlite_where=sqlite, if_not_exists=True
    )
