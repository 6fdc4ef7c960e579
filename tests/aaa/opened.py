"""That the table of open sessions has exactly those."""

import sqlalchemy as sa

from aaa.models import is_open, session, session_open
from core.db import Database

_NAMES = tuple(column.name for column in session_open.columns)


def check_open(database: Database) -> None:
    """Every open session has its row of `session_open`, which says what its own says; nothing else has one."""
    told = sa.select(*(session_open.c[name] for name in _NAMES))
    true = sa.select(*(session.c[name] for name in _NAMES)).where(is_open)
    with database.read() as conn:
        assert sorted(map(tuple, conn.execute(told))) == sorted(map(tuple, conn.execute(true)))
