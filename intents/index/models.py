"""Tables of the index: derived from the repository, dropped and rebuilt when their layout changes."""

import sqlalchemy as sa

from core.db import Json, Sequenced, UtcDateTime

LAYOUT = 1
METADATA = sa.MetaData()
# Claims compare as bytes on both databases; a language's collation would order them otherwise.
_Exact = sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql")
_Name = sa.String(160)

index_layout = sa.Table("index_layout", METADATA, sa.Column("version", sa.Integer, primary_key=True))

index_state = sa.Table(
    "index_state",
    METADATA,
    sa.Column("one", sa.Integer, primary_key=True),
    sa.Column("generation", sa.String(40), nullable=False),  # another one: sequences began anew, start over
    sa.Column("commit_id", sa.String(64)),  # indexed up to here
    sa.Column("status", sa.String(10), nullable=False),  # following | stopped
    sa.Column("reason", sa.String(40)),
    sa.Column("why", sa.Text),
)

document = sa.Table(
    "document",
    METADATA,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("id", _Name, primary_key=True),
    sa.Column("path", sa.String(255), nullable=False),
    sa.Column("blob", sa.String(64), nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),  # msgpack of the structure
)

reference = sa.Table(
    "reference",
    METADATA,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("id", _Name, primary_key=True),
    sa.Column("to_kind", sa.String(20), primary_key=True),
    sa.Column("to_id", _Name, primary_key=True),
    sa.Index("ix_reference_to", "to_kind", "to_id"),
)

claim = sa.Table(
    "claim",
    METADATA,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("id", _Name, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("scope", sa.String(200), nullable=False),
    sa.Column("low", _Exact, nullable=False),
    sa.Column("high", _Exact, nullable=False),
    sa.Column("stem", _Exact, nullable=False),  # what low and high begin with: every overlap shares a stem
    sa.Column("field", Json, nullable=False),
    sa.Index("ix_claim_low", "scope", "low"),
    sa.Index("ix_claim_stem", "scope", "stem"),
)

kind_count = sa.Table(
    "kind_count",
    METADATA,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
)

quarantine = sa.Table(
    "quarantine",
    METADATA,
    sa.Column("path", sa.String(255), primary_key=True),
    sa.Column("blob", sa.String(64)),  # what trunk has there and we do not apply; null: a deletion
    sa.Column("mode", sa.Integer, nullable=False),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("why", sa.String(10), nullable=False),  # problem | guard
    sa.Column("problems", Json, nullable=False),
)

index_change = sa.Table(
    "index_change",
    METADATA,
    sa.Column("seq", Sequenced, primary_key=True, autoincrement=True),
    sa.Column("commit_id", sa.String(64), nullable=False),
    sa.Column("path", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("id", _Name, nullable=False),
    sa.Column("op", sa.String(6), nullable=False),  # put | delete
    sa.Column("blob", sa.String(64)),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    sa.Index("ix_index_change_document", "kind", "id", "seq"),
    sqlite_autoincrement=True,
)

ROWS = (document, reference, claim, kind_count, quarantine)
"""What a cold build must give byte for byte."""
