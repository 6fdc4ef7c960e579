"""Debits that are on their way: dunning takes no further step for an invoice while its money may be coming in.

Nothing is released for it either: the debit may fail, and then the debt is as old as it is.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.bank.models import batch, collection
from billing.gateways.models import UNDECIDED, attempt
from billing.models import invoice

LONGEST = timedelta(days=21)
"""So long a gateway may say that it is coming."""
UNKNOWN = timedelta(days=3)
"""So long nobody needs to know what became of a charge."""
STATED = timedelta(days=10)
"""So long it may take until a statement tells of a collection."""


def coming(conn: Connection, accounts: Sequence[str], today: date) -> Mapping[str, dict[str, date]]:
    """Account -> number of an invoice whose debit is on its way -> the last local day on which that is waited for."""
    found: dict[str, dict[str, date]] = defaultdict(dict)
    for account, number, until in (*_asked(conn, accounts), *_collected(conn, accounts)):
        if until >= today:
            found[account][number] = max(until, found[account].get(number, until))
    return found


def _asked(conn: Connection, accounts: Sequence[str]) -> list[tuple[str, str, date]]:
    query = (
        sa.select(invoice.c.account_id, invoice.c.number, attempt.c.state, attempt.c.planned_on)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(
            attempt.c.account_id.in_(accounts),
            sa.literal_column(UNDECIDED),
            attempt.c.asked_at.is_not(None),
        )
    )
    return [
        (row.account_id, row.number, row.planned_on + (LONGEST if row.state == "pending" else UNKNOWN))
        for row in conn.execute(query)
    ]


def _collected(conn: Connection, accounts: Sequence[str]) -> list[tuple[str, str, date]]:
    query = (
        sa.select(invoice.c.account_id, invoice.c.number, batch.c.collect_on)
        .join(collection, collection.c.invoice_id == invoice.c.id)
        .join(batch, batch.c.id == collection.c.batch_id)
        .where(collection.c.account_id.in_(accounts), collection.c.state == "pending")
    )
    return [(row.account_id, row.number, row.collect_on + STATED) for row in conn.execute(query)]
