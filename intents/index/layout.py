"""The index's own layout: made when it is not there, dropped and rebuilt when it is another version's."""

import sqlalchemy as sa

from core import ids
from core.db import Database
from intents.index.models import LAYOUT, METADATA, index_layout, index_state


def prepare(index_db: Database) -> None:
    """Make sure that the tables are there in our layout; empty after a change of layout."""
    with index_db.write() as conn:
        if index_db.schema:
            conn.execute(sa.schema.CreateSchema(index_db.schema, if_not_exists=True))
        there = sa.inspect(conn).has_table(index_layout.name, index_db.schema)
        if there and conn.execute(sa.select(index_layout.c.version)).scalar() == LAYOUT:
            return
        METADATA.drop_all(conn)
        METADATA.create_all(conn)
        conn.execute(sa.insert(index_layout).values(version=LAYOUT))
        conn.execute(
            sa.insert(index_state).values(
                one=1, generation=ids.new_id("gen"), commit_id=None, status="following"
            )
        )


def reset(index_db: Database) -> None:
    """Throw the index away; the next run builds it from the repository."""
    with index_db.write() as conn:
        METADATA.drop_all(conn)
    prepare(index_db)
