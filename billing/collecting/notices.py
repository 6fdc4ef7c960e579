"""What entering a stage brings with it, exactly once: notices by each of its channels, and its fee on the next bill."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import billables
from billing.accounts import Account
from billing.billables import Billable
from billing.collecting import pledges
from billing.collecting.models import dunning_notice
from billing.models import account
from billing.stages import Debt, Step
from core import db, events
from core.money import Money

_LATELY = timedelta(days=31)


class Entry(msgspec.Struct, frozen=True):
    """An account enters a step of the case of its oldest due date; `late`: what it owes then, oldest first."""

    owner: Account
    debt_due: date
    stage: int
    step: Step
    late: tuple[Debt, ...]


def tell(conn: Connection, entries: Sequence[Entry], on: date, run_id: str) -> None:
    """Write a notice for each channel, and an event `dunning.notice` with it."""
    rows = [row for one in entries for row in _notices(one, on, run_id)]
    db.insert_many(conn, dunning_notice, rows)
    told = [(row["account_id"], _told(row), None) for row in rows]
    events.emit_many(conn, "dunning.notice", told, actor="billing")


def charge(conn: Connection, entries: Sequence[Entry], on: date) -> None:
    """Add the steps' fees, for the next bill: one for each step of a case, whoever runs and however often."""
    for one in entries:
        currency = one.owner.currency
        if currency not in one.step.fee:
            continue
        given = Billable(
            account=one.owner.id, kind="late-fee", source=f"dunning:{one.owner.id}:{one.debt_due}:{one.stage}",
            description=f"Fee: {one.step.name} of {on}", amount=Money.parse(one.step.fee[currency], currency),
            billed_from=on, tax=one.step.fee_tax,
            why={"how": f"{one.step.name}, {one.step.days} days after {one.debt_due}", "for": _numbers(one)},
        )  # fmt: skip
        billables.add(conn, given, actor="billing")


def follow_promises(conn: Connection, on: date) -> None:
    """Tell of promises that were kept or broken lately, each once (`promise.kept`, `promise.broken`)."""
    for one in pledges.of_accounts(conn, since=on - _LATELY):
        state = one.state(on)
        if state in (pledges.KEPT, pledges.BROKEN):
            told = {"promise": one.id, "until": str(one.until), "missing": one.missing(on).minor}
            unique = f"promise.{state}:{one.id}"
            events.emit(conn, f"promise.{state}", one.account, told, actor="billing", unique=unique)


def made(
    conn: Connection, since: date | None = None, until: date | None = None, channel: str | None = None
) -> Iterator[dict[str, Any]]:
    """Notices made from `since` on and before `until`, oldest first, as rows with the customer's reference."""
    table = dunning_notice.c
    query = sa.select(dunning_notice, account.c.customer_ref).join(account, account.c.id == table.account_id)
    if since:
        query = query.where(table.made_on >= since)
    if until:
        query = query.where(table.made_on < until)
    if channel:
        query = query.where(table.channel == channel)
    yield from (dict(row) for row in conn.execute(query.order_by(table.seq)).mappings())


def _notices(one: Entry, on: date, run_id: str) -> Iterator[dict[str, Any]]:
    for channel in one.step.channels:
        yield {
            "account_id": one.owner.id, "debt_due": one.debt_due, "stage": one.stage, "name": one.step.name,
            "channel": channel, "run_id": run_id, "made_on": on, "currency": one.owner.currency,
            "amount": sum(debt.balance.minor for debt in one.late), "invoices": [debt.invoice for debt in one.late],
        }  # fmt: skip


def _told(row: dict[str, Any]) -> dict[str, Any]:
    names = ("stage", "name", "channel", "run_id", "currency", "amount", "invoices")
    return {
        **{name: row[name] for name in names},
        "debt_due": str(row["debt_due"]),
        "made_on": str(row["made_on"]),
    }


def _numbers(one: Entry) -> str:
    return ", ".join(debt.invoice for debt in one.late)
