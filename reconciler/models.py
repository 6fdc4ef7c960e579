"""Recorded state of the reconciler: device runs and their steps, receipts, pauses, positions."""

import sqlalchemy as sa

from core.db import Json, Sequenced, UtcDateTime, metadata

METADATA = metadata("reconciler")

device_run = sa.Table(
    "device_run",
    METADATA,
    sa.Column("run_id", sa.String(40), primary_key=True),
    sa.Column("device", sa.String(63), nullable=False),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
    sa.Column("wave", sa.Integer, nullable=False),
    sa.Column("urgent", sa.Boolean, nullable=False),
    sa.Column("overrule", sa.Boolean, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("reads_hash", sa.String(64)),
    sa.Column("render_hash", sa.String(64)),
    sa.Column("observed_hash", sa.String(64)),
    sa.Column("diff", sa.Text),
    sa.Column("token", sa.String(40)),
    sa.Column("epoch", sa.BigInteger),
    sa.Column("deadline", UtcDateTime),
    sa.Column("not_before", UtcDateTime),
    sa.Column("baseline", Json),
    sa.Column("why", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Index("ix_device_run_open", "open", "not_before"),
    sa.Index("ix_device_run_device", "device", "created_at"),
    sa.Index("ix_device_run_commit", "commit_id"),
)

device_step = sa.Table(
    "device_step",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.String(40), nullable=False),
    sa.Column("device", sa.String(63), nullable=False),
    sa.Column("state", sa.String(24), nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Index("ix_device_step_run", "run_id", "seq"),
)

receipt = sa.Table(
    "receipt",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("lane", sa.Integer, nullable=False),
    sa.Column("target", sa.String(128), nullable=False),
    sa.Column("step", sa.String(128), nullable=False),
    sa.Column("outcome", sa.String(40), nullable=False),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.UniqueConstraint("commit_id", "target", "step", name="uq_receipt_step"),
    sa.Index("ix_receipt_target", "target", "seq"),
)

receipt_attempt = sa.Table(
    "receipt_attempt",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("target", sa.String(128), nullable=False),
    sa.Column("step", sa.String(128), nullable=False),
    sa.Column("outcome", sa.String(40), nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Index("ix_receipt_attempt_step", "commit_id", "target", "step"),
)

pause = sa.Table(
    "pause",
    METADATA,
    sa.Column("device", sa.String(63), primary_key=True),
    sa.Column("actor", sa.String(120), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
)

staged = sa.Table(
    "staged",
    METADATA,
    sa.Column("run_id", sa.String(40), primary_key=True),
    sa.Column(
        "candidate", sa.Text, nullable=False
    ),  # what a run is about to commit, sealed: it contains secrets
)

applied = sa.Table(
    "applied",
    METADATA,
    sa.Column("device", sa.String(63), primary_key=True),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("render_hash", sa.String(64), nullable=False),
    sa.Column("running_hash", sa.String(64), nullable=False),
    sa.Column("candidate", sa.Text, nullable=False),  # what we loaded, sealed: it contains secrets
    sa.Column("at", UtcDateTime, nullable=False),
)

drift = sa.Table(
    "drift",
    METADATA,
    sa.Column("device", sa.String(63), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),  # unmanaged | not-applied | overruled
    sa.Column("diff", sa.Text, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

position = sa.Table(
    "lane_position",
    METADATA,
    sa.Column("lane", sa.String(24), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("generation", sa.String(40), nullable=False),
)

device_read = sa.Table(
    "device_read",
    METADATA,
    sa.Column("device", sa.String(63), primary_key=True),
    sa.Column("read", sa.String(24), primary_key=True),
    sa.Column("kind", sa.String(24), primary_key=True),
    sa.Column("id", sa.String(130), primary_key=True),
    sa.Index("ix_device_read_what", "kind", "id", "read"),
)

object_work = sa.Table(
    "object_work",
    METADATA,
    sa.Column("device", sa.String(63), primary_key=True),
    sa.Column("line", sa.String(63), primary_key=True),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("not_before", UtcDateTime, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

object_state = sa.Table(
    "object_state",
    METADATA,
    sa.Column("device", sa.String(63), primary_key=True),
    sa.Column("line", sa.String(63), primary_key=True),
    sa.Column("objects", Json, nullable=False),  # what we last put there: [{kind, key, attributes}]
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

session_work = sa.Table(
    "session_work",
    METADATA,
    sa.Column("service", sa.String(63), primary_key=True),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),  # index_change sequence
    sa.Column("queued_at", UtcDateTime, nullable=False),
    sa.Column("not_before", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
)
