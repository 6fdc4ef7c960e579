"""Drafts that wait: list them, make them final before their grace is over, void them with a reason."""

from collections.abc import Mapping
from datetime import date, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, invoices
from billing.models import invoice
from billing.runs.choosing import Choice
from core import events
from core.money import Money

_DRAFT = sa.literal_column("invoice.state") == sa.literal_column("'draft'")


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A draft. `final_from`: the local date of the run that makes it final."""

    id: str
    account: str
    kind: str
    run: str
    billed_on: date
    final_from: date
    total: Money


def waiting(
    conn: Connection,
    grace: Mapping[str, int],
    account: str | None = None,
    run: str | None = None,
    limit: int | None = None,
) -> list[Waiting]:
    """The drafts, or an account's or a run's, in the order in which they will be numbered. `grace`: days by entity."""
    query = sa.select(invoice).where(_DRAFT).limit(limit)
    if account is not None:
        accounts.get(conn, account)
        query = query.where(invoice.c.account_id == account)
    if run is not None:
        query = query.where(invoice.c.run_id == run)
    order = (invoice.c.legal_entity, invoice.c.kind, invoice.c.account_id, invoice.c.id)
    choice = Choice(grace=dict(grace))
    return [
        Waiting(
            id=row.id, account=row.account_id, kind=row.kind, run=row.run_id, billed_on=row.billed_on,
            final_from=choice.issue(row.legal_entity, row.billed_on, row.run_id),
            total=Money(row.total, row.currency),
        )
        for row in conn.execute(query.order_by(*order))
    ]  # fmt: skip


def sums(conn: Connection) -> list[tuple[int, Money]]:
    """How many drafts wait, and what they come to together, by currency."""
    query = sa.select(invoice.c.currency, sa.func.count(), sa.func.sum(invoice.c.total)).where(_DRAFT)
    rows = conn.execute(query.group_by(invoice.c.currency).order_by(invoice.c.currency))
    return [(int(row[1]), Money(int(row[2]), row[0])) for row in rows]


def void(conn: Connection, draft: str, *, actor: str, reason: str) -> bool:
    """Void a draft: what it billed waits again, and the next run bills it; whether there was anything to void.

    Raises InvoiceUnknown, InvoiceFinal, DraftBuiltOn.
    """
    row = invoices.get(conn, draft)
    accounts.lock(conn, row["account_id"])
    before = invoices.get(conn, draft)["state"]
    invoices.void(conn, draft)
    if before == "void":
        return False
    told = {"draft": row["id"], "reason": reason, "total": row["total"], "run": row["run_id"]}
    events.emit(conn, "invoice.voided", row["account_id"], told, actor=actor)
    return True


def days_left(one: Waiting, today: date) -> int:
    """For how many days more a person may look at it; 0: the next run makes it final."""
    return max(timedelta(), one.final_from - today).days
