"""Lines that nobody could match: the list, and a person's word."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, invoices, payments
from billing.bank import importing
from billing.bank.applying import ASSIGNED, METHOD, NOT_OURS, PENDING, UNMATCHED
from billing.bank.errors import EntryUnknown, NotAssignable
from billing.bank.models import entry as entry_table
from billing.errors import InvoiceUnknown
from core import db, events
from core.money import Money


class Unmatched(msgspec.Struct, frozen=True, kw_only=True):
    """A line that waits for a person. `iban` is masked; `told` says why, with accounts to look at."""

    id: str
    booked_on: Any
    amount: Money
    name: str
    iban: str
    text: str
    reason: str
    told: str


def unmatched(conn: Connection, limit: int = 100) -> list[Unmatched]:
    """The oldest first."""
    query = sa.select(entry_table).where(entry_table.c.state.in_((PENDING, UNMATCHED)))
    rows = conn.execute(query.order_by(entry_table.c.booked_on, entry_table.c.id).limit(limit))
    return [
        Unmatched(
            id=row.id, booked_on=row.booked_on, amount=Money(row.amount, row.currency), name=row.name,
            iban=row.iban_shown or "", text=row.text, reason=row.reason, told=row.told,
        )
        for row in rows
    ]  # fmt: skip


def assign(conn: Connection, entry: str, to: str, *, actor: str) -> payments.Paid:
    """Money in is a payment of an account, or of an invoice's account, which it pays first. Later lines are like it.

    Raises EntryUnknown, NotAssignable, AccountUnknown, InvoiceUnknown, CurrencyWrong.
    """
    row = _lock(conn, entry)
    if row["amount"] <= 0:
        raise NotAssignable(
            entry, "money went out; write a chargeback or a refund of a payment, then ignore it"
        )
    account, named = _where(conn, to)
    owner = accounts.lock(conn, account)
    paid = payments.pay(
        conn, owner.id, Money(row["amount"], row["currency"]), METHOD, f"bank:{row['key']}", actor=actor,
        on=row["booked_on"], named=named,
    )  # fmt: skip
    told = f"payment {paid.payment} of account {owner.id}"
    _decide(conn, entry, ASSIGNED, told, actor, account_id=owner.id, effect=paid.payment)
    importing.remember(conn, row["iban_print"], owner.id, entry)
    events.emit(conn, "bank.assigned", owner.id, {"entry": entry, "payment": paid.payment}, actor=actor)
    return paid


def ignore(conn: Connection, entry: str, why: str, *, actor: str) -> None:
    """A line that is no customer's. Raises EntryUnknown, NotAssignable."""
    _lock(conn, entry)
    _decide(conn, entry, NOT_OURS, why, actor)


def _lock(conn: Connection, entry: str) -> Any:
    query = sa.select(entry_table).where(entry_table.c.id == entry)
    row = conn.execute(db.lock_row(conn, query)).mappings().first()
    if row is None:
        raise EntryUnknown(entry)
    if row["state"] != UNMATCHED:
        raise NotAssignable(entry, f"it is {row['state']} already: {row['told']}")
    return row


def _where(conn: Connection, to: str) -> tuple[str, list[str]]:
    try:
        row = invoices.get(conn, to)
    except InvoiceUnknown:
        return accounts.get(conn, to).id, []
    return str(row["account_id"]), [str(row["id"])]


def _decide(conn: Connection, entry: str, state: str, told: str, actor: str, **values: Any) -> None:
    mine = entry_table.c.id == entry
    conn.execute(
        sa.update(entry_table).where(mine).values(state=state, told=told, decided_by=actor, **values)
    )
