"""Tables of core: jobs, events, leases."""

import sqlalchemy as sa

from core.db import Json, Sequenced, UtcDateTime, metadata

METADATA = metadata("core")

job = sa.Table(
    "job",
    METADATA,
    sa.Column("job_id", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(80), nullable=False),
    sa.Column("payload", Json, nullable=False),
    sa.Column("unique_key", sa.String(200), unique=True),
    sa.Column("correlation", sa.String(80)),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("run_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("owner", sa.String(80)),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("last_error", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
    sa.Index("ix_job_due", "state", "run_at"),
)

event = sa.Table(
    "event",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("event_id", sa.String(40), nullable=False, unique=True),
    sa.Column("type", sa.String(80), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("occurred_at", UtcDateTime, nullable=False),
    sa.Column("subject", sa.String(200), nullable=False),
    sa.Column("revision", sa.String(64)),
    sa.Column("correlation", sa.String(80)),
    sa.Column("actor", sa.String(120), nullable=False),
    sa.Column("data", Json, nullable=False),
    sa.Column("unique_key", sa.String(200), unique=True),
    sa.Index("ix_event_type", "type", "seq"),
    sa.Index("ix_event_subject", "subject", "seq"),
)

lease = sa.Table(
    "lease",
    METADATA,
    sa.Column("name", sa.String(120), primary_key=True),
    sa.Column("owner", sa.String(120), nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
)
