"""What a RADIUS node may do in PostgreSQL: follow the view, say where it is, write what subscribers did. No more.

All nodes are members of one role without a login. Where that role exists, whoever makes tables gives it its rights:
a rebuilt view or a new migration locks no node out.
"""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import METADATA

ROLE = "trunkline_node"
"""The role whose members are nodes."""

_READ, _WRITE = "SELECT", "SELECT, INSERT, UPDATE, DELETE"


def grant_nodes(conn: Connection) -> None:
    """Give nodes the tables of recorded state that RADIUS writes; nothing of customers, money or change sets."""
    grant(conn, (), METADATA.sorted_tables, schema="public")


def grant(conn: Connection, read: Iterable[sa.Table], write: Sequence[sa.Table], schema: str) -> None:
    """Give the nodes' role these tables, if there is such a role (SQLite has none)."""
    if conn.dialect.name != "postgresql" or not _has_role(conn):
        return
    for statement in statements(read, write, schema):
        conn.exec_driver_sql(statement)


def _has_role(conn: Connection) -> bool:
    found = conn.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": ROLE})
    return found.scalar() is not None


def statements(read: Iterable[sa.Table], write: Sequence[sa.Table], schema: str) -> list[str]:
    """GRANTs for these tables and the sequences behind their numbers."""
    told = [f"GRANT USAGE ON SCHEMA {schema} TO {ROLE}"]
    told += [f"GRANT {_READ} ON {schema}.{table.name} TO {ROLE}" for table in read]
    for table in write:
        told.append(f"GRANT {_WRITE} ON {schema}.{table.name} TO {ROLE}")
        counted = table.autoincrement_column
        if counted is not None:
            told.append(f"GRANT USAGE ON SEQUENCE {schema}.{table.name}_{counted.name}_seq TO {ROLE}")
    return told
