"""The business at a glance: what came in by month, what the last runs did, what waits for a person."""

import itertools
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import parked
from billing.models import (
    bill_run,
    billable,
    dunning_run,
    invoice,
    ledger_entry,
    ledger_transaction,
    nonpayment_hold,
)
from billing.periods import clamped, month_index
from core.money import Money


class Month(msgspec.Struct, frozen=True):
    """A calendar month in one currency: what was invoiced (credit notes taken off), and what money came in."""

    start: date
    invoiced: Money
    received: Money


class RunDone(msgspec.Struct, frozen=True, kw_only=True):
    """A bill run or a dunning run. `ended` None: it goes on, or it was cut off; `said` are its counts."""

    id: str
    kind: str
    on: date
    started: datetime
    ended: datetime | None
    said: dict[str, int]
    warnings: tuple[str, ...] = ()


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What waits. `parked`: account -> why."""

    drafts: int
    billables: int
    parked: dict[str, str]
    held: int


def months(conn: Connection, until: date, count: int = 12) -> dict[str, list[Month]]:
    """The last `count` months, the one of `until` included, oldest first, by currency."""
    starts = [clamped(1, month_index(until) - back) for back in range(count - 1, -2, -1)]
    spans = list(itertools.pairwise(starts))
    issued = _by_month(spans, invoice.c.issued_on, invoice.c.total, invoice.c.currency)
    issued = issued.where(invoice.c.state == "final", invoice.c.issued_on >= starts[0])
    came = _by_month(spans, ledger_transaction.c.booked_on, ledger_entry.c.amount, ledger_entry.c.currency)
    came = came.join(ledger_transaction, ledger_transaction.c.id == ledger_entry.c.transaction_id)
    came = came.where(
        ledger_entry.c.ledger.startswith("cash:", autoescape=True),
        ledger_transaction.c.booked_on >= starts[0],
    )
    invoiced, received = _sums(conn, issued), _sums(conn, came)
    none = [0] * count
    return {
        currency: [
            Month(start, Money(one, currency), Money(other, currency))
            for start, one, other in zip(
                starts, invoiced.get(currency, none), received.get(currency, none), strict=False
            )
        ]
        for currency in sorted({*invoiced, *received})
    }


def runs(conn: Connection, limit: int = 12) -> list[RunDone]:
    """The last bill runs and dunning runs together, the newest first."""
    billed = conn.execute(sa.select(bill_run).order_by(bill_run.c.started_at.desc()).limit(limit))
    dunned = conn.execute(sa.select(dunning_run).order_by(dunning_run.c.recorded_at.desc()).limit(limit))
    found = [*map(of_bill_run, billed), *map(of_dunning_run, dunned)]
    return sorted(found, key=lambda one: one.started, reverse=True)[:limit]


def waiting(conn: Connection, on: date) -> Waiting:
    """What waits on a day: drafts without a number, billables to be billed by then, parked accounts; holds in force."""

    def count(query: "sa.Select[Any]") -> int:
        return int(conn.execute(query).scalar_one())

    one = sa.func.count()
    due = sa.select(one).select_from(billable).where(billable.c.invoice_id.is_(None))
    return Waiting(
        drafts=count(sa.select(one).select_from(invoice).where(invoice.c.state == "draft")),
        billables=count(due.where(billable.c.billed_from <= on)),
        parked=parked.reasons(conn),
        held=count(sa.select(one).select_from(nonpayment_hold).where(nonpayment_hold.c.held)),
    )


def _by_month(spans: Sequence[tuple[date, date]], day: Any, amount: Any, currency: Any) -> "sa.Select[Any]":
    sums = [sa.func.sum(sa.case((sa.and_(day >= start, day < end), amount), else_=0)) for start, end in spans]
    return sa.select(currency, *sums).group_by(currency)


def _sums(conn: Connection, query: "sa.Select[Any]") -> dict[str, list[int]]:
    return {row[0]: [int(value) for value in row[1:]] for row in conn.execute(query)}


def of_bill_run(row: Any) -> RunDone:
    """A row of `bill_run`."""
    outcome = row.outcome or {}
    said = {
        "bills": outcome.get("drafts", 0),
        "lines": outcome.get("lines", 0),
        "final": outcome.get("final", 0),
    }
    odd = outcome.get("parked") or {}
    told = [f"{len(odd)} parked"] if odd else []
    told += [outcome["silent"]] if outcome.get("silent") else []
    return RunDone(
        id=row.id, kind="bill", on=row.billed_on, started=row.started_at, ended=row.ended_at, said=said,
        warnings=(*told, *outcome.get("unusual", ())),
    )  # fmt: skip


def of_dunning_run(row: Any) -> RunDone:
    """A row of `dunning_run`."""
    return RunDone(
        id=row.id, kind="dunning", on=row.run_on, started=row.recorded_at, ended=row.recorded_at,
        said={"held": row.held, "released": row.released},
    )  # fmt: skip
