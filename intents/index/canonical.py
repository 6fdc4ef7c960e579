"""The index as bytes that depend on nothing but what it says: to compare a cold build with a followed one."""

from typing import Any

import msgspec
import sqlalchemy as sa

from core.db import Database
from intents.index.models import ROWS, kind_count


def canonical_dump(index_db: Database) -> bytes:
    """Every row of documents, references, claims, counts and quarantine, sorted, one JSON line each."""
    lines: list[bytes] = []
    with index_db.read() as conn:
        for table in ROWS:
            rows = [dict(row) for row in conn.execute(sa.select(table)).mappings()]
            if table is kind_count:
                rows = [row for row in rows if row["count"]]
            lines += sorted(_line(table.name, row) for row in rows)
    return b"\n".join(lines) + b"\n"


def _line(table: str, row: dict[str, Any]) -> bytes:
    plain = {str(name): value for name, value in row.items()}
    return msgspec.json.encode([str(table), plain], order="deterministic")
