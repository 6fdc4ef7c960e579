"""Recorded state of the change queue, the committer and the indexer."""

import sqlalchemy as sa

from core.db import Json, Sequenced, UtcDateTime, metadata

METADATA = metadata("intents")

change_set = sa.Table(
    "change_set",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("set_id", sa.String(40), nullable=False, unique=True),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("actor_kind", sa.String(10), nullable=False),  # machine | staff
    sa.Column("approver", sa.String(80)),  # the second person, where one is needed
    sa.Column("reason", sa.String(80), nullable=False),
    sa.Column("correlation", sa.String(80)),
    sa.Column("urgent", sa.Boolean, nullable=False),
    sa.Column(
        "expect", sa.Integer
    ),  # restrictions that the sender foresaw: the guard lets exactly these pass
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("commit_id", sa.String(64)),
    sa.Column("batch_id", sa.String(40)),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("landed_at", UtcDateTime),
    sa.Column("problems", Json),
    sa.Column("guard", Json),  # what tripped: {guard, count, limit, commit}
    sa.Column("released_by", sa.String(80)),
)
sa.Index("ix_change_set_state_seq", change_set.c.state, change_set.c.urgent, change_set.c.seq)
sa.Index("ix_change_set_correlation", change_set.c.correlation)
sa.Index("ix_change_set_commit", change_set.c.commit_id)

change = sa.Table(
    "change",
    METADATA,
    sa.Column("change_id", sa.String(40), primary_key=True),
    sa.Column("set_id", sa.String(40), sa.ForeignKey(change_set.c.set_id), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("path", sa.String(255), nullable=False),
    sa.Column("op", sa.String(6), nullable=False),  # put | delete
    sa.Column("content", sa.LargeBinary),
    sa.Column("fence_key", sa.String(120)),
    sa.Column("fence_version", sa.BigInteger),
    sa.Column("precondition", sa.String(120)),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("why", sa.Text),
    sa.Column("blob", sa.String(64)),  # what the path holds since it landed; null: nothing
)
sa.Index("ix_change_set_position", change.c.set_id, change.c.position)
sa.Index("ix_change_path", change.c.path, change.c.fence_version)

fence = sa.Table(
    "fence",
    METADATA,
    sa.Column("key", sa.String(120), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)

change_batch = sa.Table(
    "change_batch",
    METADATA,
    sa.Column("batch_id", sa.String(40), primary_key=True),
    sa.Column("parent", sa.String(64), nullable=False),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),  # recorded | landed | abandoned
    sa.Column("sets", Json, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)
sa.Index("ix_change_batch_state", change_batch.c.state)

held_commit = sa.Table(
    "held_commit",
    METADATA,
    sa.Column("commit_id", sa.String(64), primary_key=True),
    sa.Column("guard", Json, nullable=False),
    sa.Column("paths", Json, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),  # parked | released | dropped
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("decided_by", sa.String(80)),
    sa.Column("decided_at", UtcDateTime),
)

index_position = sa.Table(
    "index_position",
    METADATA,
    sa.Column("name", sa.String(40), primary_key=True),  # hold-events | clean | accepted
    sa.Column("commit_id", sa.String(64), nullable=False),
)

forge_merge = sa.Table(
    "forge_merge",
    METADATA,
    sa.Column("commit_id", sa.String(64), primary_key=True),  # the merge on the forge's trunk
    sa.Column("taken_as", sa.String(64)),  # our commit; null: nothing was left to take
    sa.Column("actor", sa.String(120), nullable=False),
    sa.Column("conflicts", Json, nullable=False),
    sa.Column("taken_at", UtcDateTime, nullable=False),
)
