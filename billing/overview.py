"""What staff ask: invoices with what is open of them, and accounts with what is overdue."""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, dunning, overrides, payments
from billing.collecting import waiting
from billing.models import invoice
from billing.rounding import is_owed
from billing.writeoffs.balance import WRITTEN
from core.money import Money


class InvoiceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice in a list. `state`: draft, void, open, overdue, written-off, paid (a residue below one unit is)."""

    id: str
    number: str
    account: str
    kind: str
    state: str
    issued_on: date | None
    due_on: date | None
    total: Money
    open: Money


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How an account stands. `asked`: services whose hold waits for a person, with the parked change set."""

    account: str
    overdue: Money
    open: Money
    credit: Money
    stage: int
    held: tuple[str, ...]
    asked: dict[str, str]
    overridden: tuple[str, ...]


def invoices(
    conn: Connection,
    account: str | None = None,
    *,
    today: date | None = None,
    limit: int = 100,
    after: str = "",
) -> list[InvoiceSummary]:
    """The newest invoices first, of one account or of all, those after the invoice `after`. Raises AccountUnknown."""
    query = sa.select(invoice, debts.BALANCE.label("balance"), WRITTEN.label("written"))
    if account is not None:
        accounts.get(conn, account)
        query = query.where(invoice.c.account_id == account)
    if after:
        last = sa.select(invoice.c.billed_on).where(invoice.c.id == after).scalar_subquery()
        query = query.where(sa.tuple_(invoice.c.billed_on, invoice.c.id) < sa.tuple_(last, after))
    query = query.order_by(invoice.c.billed_on.desc(), invoice.c.id.desc()).limit(limit)
    return [_summary(row, today) for row in conn.execute(query)]


def standing(conn: Connection, account: str, today: date | None = None) -> Standing:
    """How an account stands on a day (default: today where it lives). Raises AccountUnknown."""
    owner = accounts.get(conn, account)
    day = today or owner.today
    (case,) = dunning.open_cases(conn, [account], day)
    late, asked = case.late(day), waiting.asked(conn, case.held)
    return Standing(
        account=account,
        overdue=owner.money(sum(debt.balance.minor for debt in late)),
        open=owner.money(sum(debt.balance.minor for debt in case.debts)),
        credit=payments.credit(conn, owner),
        stage=case.stage(day),
        held=tuple(sorted(case.held.keys() - asked.keys())),
        asked=asked,
        overridden=tuple(sorted(overrides.in_force(conn, [account]))),
    )


def _summary(row: Any, today: date | None) -> InvoiceSummary:
    left = Money(int(row.balance) if row.kind == "invoice" and row.state == "final" else 0, row.currency)
    state = row.state
    if state == "final":
        late = today is not None and row.due_on < today
        given_up = is_owed(Money(int(row.written), row.currency))
        state = ("overdue" if late else "open") if is_owed(left) else "written-off" if given_up else "paid"
    return InvoiceSummary(
        id=row.id, number=row.number or row.id, account=row.account_id, kind=row.kind, state=state,
        issued_on=row.issued_on, due_on=row.due_on, total=Money(row.total, row.currency), open=left,
    )  # fmt: skip
