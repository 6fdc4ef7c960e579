"""The mark of an invoice of which nothing is open: `settled_on`, the day of the last move that settled it.

Whoever looks for open invoices need not look at years of paid ones; and who asks as of a day need not look at what was
settled by then, because no move of such an invoice is of a later day. The mark follows from allocations and write-offs,
and is written in the transaction of each of them; numbering marks what has nothing to pay. `verify` proves it.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_BALANCE = """total
  - coalesce((SELECT sum(a.amount) FROM payment_allocation a WHERE a.invoice_id = invoice.id), 0)
  - coalesce((SELECT sum(w.amount) FROM write_off w WHERE w.invoice_id = invoice.id), 0)"""
_LAST = """coalesce((SELECT max(moved.day) FROM (
    SELECT a.allocated_on AS day FROM payment_allocation a WHERE a.invoice_id = invoice.id
    UNION ALL SELECT w.written_on FROM write_off w WHERE w.invoice_id = invoice.id) AS moved), issued_on)"""
_REAL = f"CASE WHEN {_BALANCE} = 0 THEN {_LAST} END"
_INVOICES = "state = 'final' AND kind = 'invoice'"
_NOTE = sa.text(f"UPDATE invoice SET settled_on = {_REAL} WHERE id = :id AND {_INVOICES}")  # noqa: S608 (our own text)
# Each side added up once: asked invoice by invoice, years of them would take hours.
_WRONG = f"""
SELECT * FROM (SELECT i.number, i.settled_on,
  CASE WHEN {_INVOICES} AND i.total = coalesce(m.amount, 0) THEN coalesce(m.day, i.issued_on) END AS due
FROM invoice i LEFT JOIN (
  SELECT invoice_id, sum(amount) AS amount, max(day) AS day FROM (
    SELECT invoice_id, amount, allocated_on AS day FROM payment_allocation
    UNION ALL SELECT invoice_id, amount, written_on FROM write_off
  ) AS moves GROUP BY invoice_id
) AS m ON m.invoice_id = i.id) AS marks
WHERE settled_on <> due OR (settled_on IS NULL) <> (due IS NULL)
ORDER BY number
"""  # noqa: S608 (our own text)


def note(conn: Connection, invoice_id: str) -> None:
    """Write down whether an invoice is settled, and since when: after each allocation and write-off, or their end.

    Its account is locked.
    """
    conn.execute(_NOTE, {"id": invoice_id})


def wrong(conn: Connection) -> Iterator[tuple[str, date | None, date | None]]:
    """Invoices with a wrong mark: number (or nothing), the mark, and what it should be."""
    days: Any = {"settled_on": sa.Date, "due": sa.Date}
    for row in conn.execute(sa.text(_WRONG).columns(number=sa.String, **days)):
        yield str(row[0]), row[1], row[2]
