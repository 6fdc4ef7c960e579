"""Payments: received once per key, spread over the oldest debts, and releasing services in the same transaction."""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, posting, releases
from billing.accounts import Account
from billing.allocating import Share, oldest_due_first
from billing.closing import lock
from billing.errors import AmountNotPayable, CurrencyWrong, PaymentKeyReused
from billing.models import allocation, payment
from core import clock, events, faults, ids
from core.money import Money

P_PAID = faults.declare("billing.before_payment_commit")


class Paid(msgspec.Struct, frozen=True):
    """What a payment did. `credit` is what is left for later; `set_ids` the releases that it asked for."""

    payment: str
    amount: Money
    shares: tuple[Share, ...]
    credit: Money
    set_ids: tuple[str, ...]


def pay(
    conn: Connection,
    account: str,
    amount: Money,
    method: str,
    key: str,
    *,
    actor: str = "billing",
    on: date | None = None,
) -> Paid:
    """Take a payment in the caller's transaction; the same key again changes nothing and answers the same.

    When nothing is overdue any more the services are released by change sets of this very transaction.
    `on` is the local date (default: today). Raises AccountUnknown, CurrencyWrong, AmountNotPayable, PaymentKeyReused.
    """
    owner = accounts.lock(conn, account)
    _require_payable(owner, amount)
    if (earlier := _earlier(conn, owner, amount, key)) is not None:
        return earlier
    day = on or owner.today
    payment_id = _store(conn, owner, amount, "receipt", method, key, actor)
    posting.book_receipt(conn, owner, payment_id, amount, method, day)
    settle(conn, owner, day)
    set_ids = releases.release_if_clear(conn, owner, day, cause=payment_id)
    conn.execute(sa.update(payment).where(payment.c.id == payment_id).values(sets=list(set_ids)))
    events.emit(
        conn, "payment.received", account,
        {"payment": payment_id, "amount": amount.minor, "currency": amount.currency, "sets": list(set_ids)},
        actor=actor,
    )  # fmt: skip
    faults.point(P_PAID)
    return _paid(conn, owner, payment_id)


def add_credit(conn: Connection, owner: Account, note: dict[str, Any]) -> None:
    """Turn a credit note's total into the customer's credit (the books have it from the note)."""
    amount = Money(-note["total"], note["currency"])
    _store(conn, owner, amount, "credit", "credit-note", f"credit-note:{note['number']}", "billing")


def apply_credit(conn: Connection, owner: Account, on: date) -> tuple[str, ...]:
    """Let unapplied credit pay what is open; returns the releases that follow. The account is locked."""
    if not settle(conn, owner, on):
        return ()
    return releases.release_if_clear(conn, owner, max(on, owner.today), cause="credit")


def settle(conn: Connection, owner: Account, on: date) -> list[Share]:
    """Allocate every unapplied amount, oldest payment first, oldest debt first. The account is locked."""
    made: list[Share] = []
    on = lock.open_day(conn, owner.legal_entity, on)
    _bring_back(conn, owner, on)
    for payment_id, available in _unapplied(conn, owner.id):
        for share in oldest_due_first(available, debts.open_balances(conn, owner.id)):
            values = {"payment_id": payment_id, "invoice_id": share.invoice, "amount": share.amount}
            conn.execute(sa.insert(allocation).values(**values, allocated_on=on))
            amount = owner.money(share.amount)
            posting.book_allocation(conn, owner, payment_id, share.invoice, amount, on)
            made.append(share)
            available -= share.amount
        if not available:
            conn.execute(sa.update(payment).where(payment.c.id == payment_id).values(spent=True))
    return made


def _bring_back(conn: Connection, owner: Account, on: date) -> None:
    """What is left over pays debts that were written off: they are open again, and paid at once."""
    from billing.writeoffs import recovering  # it asks for debts, and is asked here only

    if available := sum(left for _, left in _unapplied(conn, owner.id)):
        recovering.reinstate(conn, owner, available, on)


def credit(conn: Connection, owner: Account) -> Money:
    """What the customer has paid and not used yet."""
    return owner.money(sum(available for _, available in _unapplied(conn, owner.id)))


def _unapplied(conn: Connection, account: str) -> list[tuple[str, int]]:
    used = (
        sa.select(sa.func.coalesce(sa.func.sum(allocation.c.amount), 0))
        .where(allocation.c.payment_id == payment.c.id)
        .scalar_subquery()
    )
    query = sa.select(payment.c.id, (payment.c.amount - used).label("available"))
    query = query.where(payment.c.account_id == account, payment.c.amount > used)
    query = query.order_by(payment.c.received_at, payment.c.id)
    return [(row.id, int(row.available)) for row in conn.execute(query)]


def _store(
    conn: Connection, owner: Account, amount: Money, kind: str, method: str, key: str, actor: str
) -> str:
    payment_id = ids.new_id("pay")
    values = {
        "id": payment_id, "account_id": owner.id, "kind": kind, "currency": amount.currency,
        "amount": amount.minor, "method": method, "idempotency_key": key, "received_at": clock.now(),
        "actor": actor, "sets": [],
    }  # fmt: skip
    conn.execute(sa.insert(payment).values(**values))
    return payment_id


def _earlier(conn: Connection, owner: Account, amount: Money, key: str) -> Paid | None:
    row = conn.execute(sa.select(payment).where(payment.c.idempotency_key == key)).first()
    if row is None:
        return None
    if (row.account_id, row.amount, row.currency) != (owner.id, amount.minor, amount.currency):
        raise PaymentKeyReused(key)
    return _paid(conn, owner, row.id)


def _paid(conn: Connection, owner: Account, payment_id: str) -> Paid:
    row = conn.execute(sa.select(payment).where(payment.c.id == payment_id)).one()
    query = sa.select(allocation).where(allocation.c.payment_id == payment_id).order_by(allocation.c.seq)
    shares = tuple(Share(one.invoice_id, one.amount) for one in conn.execute(query))
    amount = Money(row.amount, row.currency)
    left = owner.money(amount.minor - sum(share.amount for share in shares))
    return Paid(payment_id, amount, shares, left, tuple(row.sets))


def _require_payable(owner: Account, amount: Money) -> None:
    if amount.currency != owner.currency:
        raise CurrencyWrong(owner.id, owner.currency, amount.currency)
    if amount.minor <= 0:
        raise AmountNotPayable(amount)
