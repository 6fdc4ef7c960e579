"""What is open, and what is unapplied: derived from invoices, payments, allocations, write-offs.

No amount is stored. Which invoices are worth looking at is: after years nearly all are settled (`settling`).
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.accounts import Account
from billing.allocating import Open
from billing.collecting import hardships, pledges
from billing.models import allocation, dunning_policy, invoice, payment
from billing.refunding.models import outflow
from billing.stages import DEFAULT, Debt, Policy, Promise, dunned
from billing.writeoffs.balance import WRITTEN
from core.money import Money

_PAID = (
    sa.select(sa.func.coalesce(sa.func.sum(allocation.c.amount), 0))
    .where(allocation.c.invoice_id == invoice.c.id)
    .scalar_subquery()
)
BALANCE = invoice.c.total - _PAID - WRITTEN
"""The open balance of an invoice, as a column: less what is paid, less what is written off."""
UNSETTLED = sa.and_(
    sa.literal_column("invoice.state") == sa.literal_column("'final'"),
    sa.literal_column("invoice.kind") == sa.literal_column("'invoice'"),
    invoice.c.settled_on.is_(None),
)
"""What the index of open invoices has: those that were never paid in full, or are not any more (`settling`)."""
OPEN = sa.and_(UNSETTLED, BALANCE > 0)
"""Which invoices are open."""
_USED = (
    sa.select(sa.func.coalesce(sa.func.sum(allocation.c.amount), 0))
    .where(allocation.c.payment_id == payment.c.id)
    .scalar_subquery()
)
_GONE = (
    sa.select(sa.func.coalesce(sa.func.sum(outflow.c.amount), 0))
    .where(outflow.c.payment_id == payment.c.id)
    .scalar_subquery()
)
LEFT = payment.c.amount - _GONE
"""What a payment has after refunds, chargebacks, moves and voids, as a column."""
UNAPPLIED = LEFT - _USED
"""What of a payment pays nothing yet, as a column."""


def open_balances(conn: Connection, account: str) -> list[Open]:
    """Open balances of one account, for allocating."""
    query = sa.select(invoice.c.due_on, invoice.c.number, invoice.c.id, BALANCE).where(OPEN)
    rows = conn.execute(query.where(invoice.c.account_id == account))
    return [Open(row[0], row[1], row[2], int(row[3])) for row in rows]


def debts(conn: Connection, accounts: Sequence[str]) -> dict[str, list[Debt]]:
    """Open balances by account, for dunning."""
    query = sa.select(
        invoice.c.account_id, invoice.c.due_on, invoice.c.number, BALANCE.label("balance"), invoice.c.currency
    )
    query = query.where(OPEN, invoice.c.account_id.in_(accounts)).order_by(invoice.c.due_on, invoice.c.number)
    found: dict[str, list[Debt]] = defaultdict(list)
    for row in conn.execute(query):
        found[row.account_id].append(Debt(row.due_on, row.number, Money(int(row.balance), row.currency)))
    return found


def promises(conn: Connection, accounts: Sequence[str]) -> dict[str, list[Promise]]:
    """What holds dunning up, by account: promises until they end or are broken, and hardship exemptions."""
    found: dict[str, list[Promise]] = defaultdict(list)
    for one in pledges.of_accounts(conn, accounts):
        found[one.account].append(Promise(one.made_on, one.ends))
    for account, pauses in hardships.pauses(conn, accounts).items():
        found[account] += pauses
    return found


def dunned_of(conn: Connection, owner: Account, today: date) -> list[Debt]:
    """What an account is dunned for on a day, by its policy; oldest first."""
    known = policies(conn)
    policy = known.get(owner.dunning_policy, known["default"])
    return dunned(policy, debts(conn, [owner.id])[owner.id], promises(conn, [owner.id])[owner.id], today)


def with_debts_due_before(conn: Connection, day: date) -> list[str]:
    """Accounts with an open invoice whose due date has passed."""
    query: sa.Select[Any] = sa.select(invoice.c.account_id).where(OPEN, invoice.c.due_on < day)
    return list(conn.execute(query.distinct().order_by(invoice.c.account_id)).scalars())


def policies(conn: Connection) -> dict[str, Policy]:
    """Dunning policies by name; `default` is always there."""
    found = {"default": DEFAULT}
    for row in conn.execute(sa.select(dunning_policy)):
        found[row.name] = Policy.of(row.policy)
    return found
