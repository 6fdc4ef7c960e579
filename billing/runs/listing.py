"""One run of billing or dunning: what it did, and to which documents or services."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.errors import RunUnknown
from billing.glance import RunDone, of_bill_run, of_dunning_run
from billing.models import bill_run, dunning_run, dunning_stage, invoice, nonpayment_hold
from core.money import Money


class Documents(msgspec.Struct, frozen=True, kw_only=True):
    """Documents of a run in one state and currency."""

    kind: str
    state: str
    count: int
    total: Money


def one(conn: Connection, run: str) -> RunDone:
    """A run by its id. Raises RunUnknown."""
    billed = conn.execute(sa.select(bill_run).where(bill_run.c.id == run)).first()
    if billed is not None:
        return of_bill_run(billed)
    dunned = conn.execute(sa.select(dunning_run).where(dunning_run.c.id == run)).first()
    if dunned is None:
        raise RunUnknown(run)
    return of_dunning_run(dunned)


def documents(conn: Connection, run: RunDone) -> list[Documents]:
    """What a bill run drafted, by kind, state and currency."""
    columns = (invoice.c.kind, invoice.c.state, invoice.c.currency)
    query = sa.select(*columns, sa.func.count(), sa.func.sum(invoice.c.total)).where(*_of(run))
    return [
        Documents(kind=row[0], state=row[1], count=int(row[3]), total=Money(int(row[4]), row[2]))
        for row in conn.execute(query.group_by(*columns).order_by(*columns))
    ]


def largest(conn: Connection, run: RunDone, limit: int = 20) -> Sequence[Any]:
    """The documents of a bill run with the largest totals: odd ones are seen first."""
    query = sa.select(invoice).where(*_of(run), invoice.c.state != "void")
    return conn.execute(query.order_by(invoice.c.total.desc(), invoice.c.id).limit(limit)).all()


def entered(conn: Connection, run: RunDone) -> dict[tuple[int, str], int]:
    """How many accounts entered each step in a dunning run: (stage, name) -> accounts."""
    columns = (dunning_stage.c.stage, dunning_stage.c.name)
    query = sa.select(*columns, sa.func.count()).where(dunning_stage.c.run_id == run.id)
    return {
        (row[0], row[1]): int(row[2]) for row in conn.execute(query.group_by(*columns).order_by(*columns))
    }


def holds(conn: Connection, run: RunDone, limit: int = 100) -> Sequence[Any]:
    """Services that the run's own holds still restrict."""
    query = sa.select(nonpayment_hold).where(nonpayment_hold.c.run_id == run.id, nonpayment_hold.c.held)
    return conn.execute(query.order_by(nonpayment_hold.c.service).limit(limit)).all()


def _of(run: RunDone) -> tuple[Any, Any]:
    """All that a run drafts is billed on its day, by which documents are found."""
    return invoice.c.billed_on == run.on, invoice.c.run_id == run.id
