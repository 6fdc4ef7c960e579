"""The dry run: the real one, chunk by chunk, each taken back after its content was read (invariant 14).

Accounts and their numbers come in the same order as in a real run, so each chunk goes on counting where the last one
stopped. Nothing is left but PostgreSQL's sequences, which may skip.
"""

from collections.abc import Callable
from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import bill, canonical, numbers
from billing.billrun import BillRun, Run, Watch, chunk_of
from billing.models import counter, invoice
from billing.runs import choosing, numbering, ranges
from billing.runs.choosing import Choice
from billing.runs.known import Known
from billing.runs.numbering import Numbers
from billing.runs.ranges import Range
from core import db
from core.db import Database
from intents.reader import Reader

Listener = Callable[[str], None]
Counters = dict[str, numbers.Series]


class _TakenBack(Exception):
    """Ends a transaction without a commit."""


def rehearse(
    database: Database,
    reader: Reader,
    on: date,
    *,
    bounds: bill.Bounds = bill.BOUNDS,
    chunk: int | None = None,
    watch: Watch = lambda _: None,
    listener: Listener | None = None,
) -> BillRun:
    """What `run_billing` would do; `listener` hears, line by line, what `canonical.export_all` would tell after it."""
    run = Run(database, Known(reader, on), "dry", bounds, watch)
    with database.read() as conn:
        _, every = ranges.cut(conn, ranges.everybody(), chunk_of(database, chunk))
        run.expect(
            conn.execute(sa.select(sa.func.count()).select_from(ranges.due(on).subquery())).scalar_one()
        )
        series = {row.name: numbers.peek(conn, row.name) for row in conn.execute(sa.select(counter))}
    given: list[Numbers] = []
    choice = choosing.of_run(reader, on)
    for within in every:
        try:
            with database.write() as conn:
                _go_on(conn, series)
                run.bill_now(conn, within)
                given += _number(conn, within, series, choice)
                if listener:
                    for line in canonical.export_range(conn, within.after, within.until):
                        listener(line)
                raise _TakenBack
        except _TakenBack:
            pass
    if listener:
        with database.read() as conn:
            for line in canonical.of_entities(conn):
                listener(line)
        for line in canonical.series_lines(list(series.values())):
            listener(line)
    return run.ended(given)


def _go_on(conn: Connection, series: Counters) -> None:
    """Count on where the last chunk stopped."""
    rows = [{"name": one.name, "last": one.last, "issued_on": one.issued_on} for one in series.values()]
    db.upsert(conn, counter, rows, ["name"])


def _number(conn: Connection, within: Range, series: Counters, choice: Choice) -> list[Numbers]:
    drafts = sa.select(invoice.c.legal_entity, invoice.c.kind).where(
        invoice.c.state == "draft", within.holds(invoice.c.account_id)
    )
    given = []
    for entity, kind in sorted((row[0], row[1]) for row in conn.execute(drafts.distinct())):
        made = numbering.number_stretch(conn, entity, kind, within, lambda: None, guess=False, choice=choice)
        if made:
            name = f"{kind}:{entity}"
            series[name] = numbers.peek(conn, name)
            given.append(made)
    return given
