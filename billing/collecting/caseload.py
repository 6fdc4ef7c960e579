"""Who is overdue, over all accounts: how much since when, at which stage, and what holds it up."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import debts
from billing.collecting import pledges
from billing.collecting.coming import coming
from billing.models import account, dunning_stage, invoice, nonpayment_hold
from core.money import Money


class Overdue(msgspec.Struct, frozen=True, kw_only=True):
    """An account. `stage`: entered for its oldest debt; `step`: its name; `promised`: until when; `coming`: invoices
    whose debit is on its way.
    """

    account: str
    customer: str
    since: date
    amount: Money
    invoices: int
    stage: int
    step: str
    held: int
    promised: date | None
    coming: tuple[str, ...]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """How many overdue accounts have entered a step and none after it, and what they owe together."""

    stage: int
    name: str
    accounts: int
    amount: Money


def overdue(conn: Connection, today: date, limit: int = 100) -> list[Overdue]:
    """Accounts whose due date has passed, the oldest debt first."""
    late = _late(today).subquery()
    query = sa.select(late, account.c.customer_ref).join(account, account.c.id == late.c.account_id)
    rows = conn.execute(query.order_by(late.c.since, late.c.account_id).limit(limit)).all()
    names = [row.account_id for row in rows]
    stages, holds, promised = _stages(conn, names), _holds(conn, names), _promised(conn, names, today)
    on_way = coming(conn, names, today)
    return [
        Overdue(
            account=row.account_id, customer=row.customer_ref, since=row.since,
            amount=Money(int(row.amount), row.currency), invoices=int(row.invoices),
            stage=stages.get((row.account_id, row.since), (0, ""))[0],
            step=stages.get((row.account_id, row.since), (0, ""))[1], held=holds.get(row.account_id, 0),
            promised=promised.get(row.account_id), coming=tuple(on_way.get(row.account_id, {})),
        )
        for row in rows
    ]  # fmt: skip


def steps(conn: Connection, today: date) -> list[Step]:
    """The overdue accounts by the step that they have reached, the earliest first; 0 is none yet."""
    late = _late(today).subquery()
    mine = sa.and_(dunning_stage.c.account_id == late.c.account_id, dunning_stage.c.debt_due == late.c.since)
    entered = sa.select(sa.func.max(dunning_stage.c.stage)).where(mine).correlate(late).scalar_subquery()
    cases = sa.select(late, sa.func.coalesce(entered, 0).label("stage")).subquery()
    query = sa.select(cases.c.stage, cases.c.currency, sa.func.count(), sa.func.sum(cases.c.amount))
    query = query.group_by(cases.c.stage, cases.c.currency).order_by(cases.c.stage, cases.c.currency)
    names = _names(conn)
    return [
        Step(stage=int(row[0]), name=names.get(int(row[0]), "nothing yet"), accounts=int(row[2]),
             amount=Money(int(row[3]), row[1]))
        for row in conn.execute(query)
    ]  # fmt: skip


def _late(today: date) -> "sa.Select[Any]":
    query = sa.select(
        invoice.c.account_id, invoice.c.currency, sa.func.min(invoice.c.due_on).label("since"),
        sa.func.sum(debts.BALANCE).label("amount"), sa.func.count().label("invoices"),
    )  # fmt: skip
    return query.where(debts.OPEN, invoice.c.due_on < today).group_by(
        invoice.c.account_id, invoice.c.currency
    )


def _names(conn: Connection) -> dict[int, str]:
    """The steps' names by their number, as the default policy has them."""
    return dict(enumerate((step.name for step in debts.policies(conn)["default"].steps), 1))


def _stages(conn: Connection, accounts: Sequence[str]) -> dict[tuple[str, date], tuple[int, str]]:
    query = (
        sa.select(dunning_stage)
        .where(dunning_stage.c.account_id.in_(accounts))
        .order_by(dunning_stage.c.stage)
    )
    return {(row.account_id, row.debt_due): (row.stage, row.name) for row in conn.execute(query)}


def _holds(conn: Connection, accounts: Sequence[str]) -> dict[str, int]:
    held = nonpayment_hold.c.account_id
    query = sa.select(held, sa.func.count()).where(held.in_(accounts), nonpayment_hold.c.held).group_by(held)
    return {row[0]: int(row[1]) for row in conn.execute(query)}


def _promised(conn: Connection, accounts: Sequence[str], today: date) -> dict[str, date]:
    open_ = [one for one in pledges.of_accounts(conn, accounts) if one.state(today) == pledges.OPEN]
    return {one.account: one.until for one in open_}
