"""Seals of many documents in one statement: on PostgreSQL in SQL, on SQLite by Python."""

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.models import invoice, invoice_line, invoice_tax
from billing.runs import seals, tables

_GIVEN = {"number": "u", "issued_on": "f", "due_on": "f"}
"""What a document has only since a moment ago, in `run_number` and `run_final`."""


def seal_all(conn: Connection) -> None:
    """Fill `run_final.seal` for the documents in it."""
    if conn.dialect.name == "sqlite":
        _in_python(conn)
    else:
        conn.exec_driver_sql(_STATEMENT)


def _written(table: sa.Table, prefix: str, name: str) -> str:
    column = f"{prefix}.{name}"
    kind = table.c[name].type
    if isinstance(kind, sa.Date):
        text = f"to_char({column}, 'YYYY-MM-DD')"
    elif isinstance(kind, sa.Boolean):
        text = f"CASE WHEN {column} THEN '1' ELSE '0' END"
    else:
        text = f"{column}::text"
    return f"coalesce(length({text}) || ':' || ({text}), '-')"


def _joined(table: sa.Table, prefix: str, names: tuple[str, ...]) -> str:
    return " || ".join(_written(table, prefix, name) for name in names)


def _header() -> str:
    return " || ".join(_written(invoice, _GIVEN.get(name, "i"), name) for name in seals.HEADER)


_ORDER = ", ".join(
    f't.{name} COLLATE "C"' if isinstance(invoice_tax.c[name].type, sa.String) else f"t.{name}"
    for name in seals.TAX
)
_STATEMENT = f"""
UPDATE run_final SET seal = encode(sha256(convert_to(told.said, 'UTF8')), 'hex')
FROM (
  SELECT f.invoice_id, {_header()}
    || coalesce((SELECT string_agg('|' || {_joined(invoice_line, "l", seals.LINE)}, '' ORDER BY l.position)
        FROM invoice_line l WHERE l.invoice_id = f.invoice_id), '')
    || coalesce((SELECT string_agg('%%' || {_joined(invoice_tax, "t", seals.TAX)}, '' ORDER BY {_ORDER})
        FROM invoice_tax t WHERE t.invoice_id = f.invoice_id), '') AS said
  FROM run_final f JOIN run_number u ON u.n = f.n JOIN invoice i ON i.id = f.invoice_id
) AS told WHERE told.invoice_id = run_final.invoice_id
"""  # noqa: S608 (our own columns)


def _in_python(conn: Connection) -> None:
    mine = sa.select(tables.FINAL.c.invoice_id)
    lines, taxes = (
        _grouped(conn, sa.select(table).where(table.c.invoice_id.in_(mine)))
        for table in (invoice_line, invoice_tax)
    )
    final, number = tables.FINAL.c, tables.NUMBER.c
    given = {"number": number.number, "issued_on": final.issued_on, "due_on": final.due_on}
    query = sa.select(invoice, *(column.label(f"{name}_given") for name, column in given.items()))
    query = query.join(tables.FINAL, final.invoice_id == invoice.c.id).join(
        tables.NUMBER, number.n == final.n
    )
    rows = []
    for row in conn.execute(query).mappings():
        document = {**row, **{name: row[f"{name}_given"] for name in given}}
        told = sorted(lines[row["id"]], key=lambda line: line["position"])
        rows.append({"i": row["id"], "s": seals.seal(seals.VERSION, document, told, taxes[row["id"]])})
    if rows:
        chosen = final.invoice_id == sa.bindparam("i")
        conn.execute(sa.update(tables.FINAL).where(chosen).values(seal=sa.bindparam("s")), rows)


def _grouped(conn: Connection, query: sa.Select[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = defaultdict(list)
    for row in conn.execute(query).mappings():
        found[row["invoice_id"]].append(row)
    return found
