"""Many rows at once: by COPY into PostgreSQL, by executemany into SQLite."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import db


def insert(conn: Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all have the same columns; nothing for none."""
    if not rows:
        return
    if conn.dialect.name == "sqlite":
        db.insert_many(conn, table, rows)
        return
    names = list(rows[0])
    copy(conn, table, names, ([row[name] for name in names] for row in rows))


def copy(conn: Connection, table: sa.Table, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows given as values in the order of `names`."""
    if conn.dialect.name == "sqlite":
        db.insert_many(conn, table, [dict(zip(names, row, strict=True)) for row in rows])
        return
    prepared = [table.c[name].type.dialect_impl(conn.dialect) for name in names]
    binds = [one.bind_processor(conn.dialect) for one in prepared]
    if not conn.in_transaction():
        conn.begin()  # or nothing would commit what SQLAlchemy does not see
    raw: Any = conn.connection.dbapi_connection
    quoted = ", ".join(f'"{name}"' for name in names)
    with raw.cursor() as cursor, cursor.copy(f"COPY {table.name} ({quoted}) FROM STDIN") as target:
        for row in rows:
            target.write_row([bind(value) if bind else value for bind, value in zip(binds, row, strict=True)])
