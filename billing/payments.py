"""Payments: received once per key, spread over the oldest debts, and releasing services in the same transaction."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, posting, releases, settling
from billing.accounts import Account
from billing.allocating import BY_A_PERSON, NAMED_FIRST, Share, spread
from billing.closing import lock
from billing.errors import AmountNotPayable, CurrencyWrong, InvoiceOfAnother, PaymentKeyReused
from billing.models import allocation, invoice_line, payment
from billing.models import invoice as invoice_table
from billing.refunding.models import allocation_policy
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
    named: Sequence[str] = (),
) -> Paid:
    """Take a payment in the caller's transaction; the same key again changes nothing and answers the same.

    `named`: ids of the invoices that the payer named, which are paid first. When nothing is overdue any more the
    services are released by change sets of this very transaction. `on` is the local date (default: today).
    Raises AccountUnknown, CurrencyWrong, AmountNotPayable, InvoiceOfAnother, PaymentKeyReused.
    """
    owner = accounts.lock(conn, account)
    _require_payable(owner, amount)
    _require_own(conn, owner, named)
    if (earlier := _earlier(conn, owner, amount, key)) is not None:
        return earlier
    day = on or owner.today
    payment_id = store(conn, owner, amount, "receipt", method, key, actor, named)
    posting.book_receipt(conn, owner, payment_id, amount, method, day)
    settle(conn, owner, day)
    set_ids = releases.release_if_clear(conn, owner, max(day, owner.today), cause=payment_id)
    conn.execute(sa.update(payment).where(payment.c.id == payment_id).values(sets=list(set_ids)))
    events.emit(
        conn, "payment.received", account,
        {"payment": payment_id, "amount": amount.minor, "currency": amount.currency, "sets": list(set_ids)},
        actor=actor,
    )  # fmt: skip
    faults.point(P_PAID)
    return _paid(conn, owner, payment_id)


def add_credit(conn: Connection, owner: Account, note: dict[str, Any]) -> None:
    """Turn a credit note's total into the customer's credit (the books have it from the note). It is for the invoice
    that the note credits first, and what was written off of that is no bad debt.
    """
    from billing.writeoffs import recovering  # it asks for debts, and is asked here only

    amount, named = Money(-note["total"], note["currency"]), _credited(conn, note["id"])
    store(conn, owner, amount, "credit", "credit-note", f"credit-note:{note['number']}", "billing", named)
    if len(named) == 1:
        recovering.annul(conn, owner, named[0], amount.minor, note["issued_on"])


def _credited(conn: Connection, note: str) -> list[str]:
    """The invoice of which a person's credit note takes something back; none for one that a bill run made."""
    of, lines = invoice_line.c.credits_invoice, invoice_line.c
    return list(
        conn.execute(sa.select(of).where(lines.invoice_id == note, of.is_not(None)).distinct()).scalars()
    )


def apply_credit(conn: Connection, owner: Account, on: date) -> tuple[str, ...]:
    """Let unapplied credit pay what is open; returns the releases that follow. The account is locked."""
    if not settle(conn, owner, on):
        return ()
    return releases.release_if_clear(conn, owner, max(on, owner.today), cause="credit")


def settle(conn: Connection, owner: Account, on: date) -> list[Share]:
    """Allocate every unapplied amount, oldest payment first, by the account's rule. The account is locked."""
    made: list[Share] = []
    on = lock.open_day(conn, owner.legal_entity, on)
    _bring_back(conn, owner, on)
    unapplied = [row for row in _unapplied(conn, owner.id) if not row.by_hand]
    rule = rule_of(conn, owner.id) if unapplied else NAMED_FIRST
    for row in unapplied:
        shares = spread(rule, int(row.available), debts.open_balances(conn, owner.id), row.named or ())
        for share in shares:
            place(conn, owner, row.id, share.invoice, share.amount, on)
        if shares:
            note_spent(conn, row.id)
        made += shares
    return made


def place(conn: Connection, owner: Account, payment_id: str, invoice: str, minor: int, on: date) -> None:
    """Allocate minor units of a payment to an invoice (below zero: take back) and book it. The account is locked.

    What is of a closed day is allocated on the first open one, and nothing before the day on which its invoice was
    issued (a series of numbers never goes back, so that may be tomorrow where the account lives). Whoever calls it has
    looked at what is there, and calls `note_spent` after it.
    """
    issued = conn.execute(sa.select(invoice_table.c.issued_on).where(invoice_table.c.id == invoice)).scalar()
    on = lock.open_day(conn, owner.legal_entity, max(on, issued or on))
    values = {"payment_id": payment_id, "invoice_id": invoice, "amount": minor, "allocated_on": on}
    conn.execute(sa.insert(allocation).values(**values))
    settling.note(conn, invoice)
    mine = sa.and_(allocation.c.payment_id == payment_id, allocation.c.invoice_id == invoice)
    nth = conn.execute(sa.select(sa.func.count()).select_from(allocation).where(mine)).scalar_one()
    posting.book_allocation(conn, owner, payment_id, invoice, owner.money(minor), on, nth)


def note_spent(conn: Connection, payment_id: str) -> None:
    """Write down whether anything of a payment is unapplied: after each allocation, refund, chargeback or their end."""
    left = conn.execute(sa.select(debts.UNAPPLIED).where(payment.c.id == payment_id)).scalar_one()
    conn.execute(sa.update(payment).where(payment.c.id == payment_id).values(spent=not left))


def rule_of(conn: Connection, account: str) -> str:
    """How payments of an account are allocated (`allocating.RULES`)."""
    query = sa.select(allocation_policy.c.rule).where(allocation_policy.c.account_id == account)
    return str(conn.execute(query).scalar() or NAMED_FIRST)


def _bring_back(conn: Connection, owner: Account, on: date) -> None:
    """What is left over pays debts that were written off: they are open again, and paid at once."""
    from billing.writeoffs import recovering  # it asks for debts, and is asked here only

    if rule_of(conn, owner.id) in BY_A_PERSON:
        return
    if available := sum(int(row.available) for row in _unapplied(conn, owner.id) if not row.by_hand):
        recovering.reinstate(conn, owner, available, on)


def credit(conn: Connection, owner: Account) -> Money:
    """What the customer has paid and not used yet."""
    return owner.money(sum(int(row.available) for row in _unapplied(conn, owner.id)))


def _unapplied(conn: Connection, account: str) -> list[Any]:
    query = sa.select(payment.c.id, payment.c.by_hand, payment.c.named, debts.UNAPPLIED.label("available"))
    query = query.where(payment.c.account_id == account, debts.UNAPPLIED > 0)
    return list(conn.execute(query.order_by(payment.c.received_at, payment.c.id)))


def store(
    conn: Connection,
    owner: Account,
    amount: Money,
    kind: str,
    method: str,
    key: str,
    actor: str,
    named: Sequence[str] = (),
) -> str:
    """Write a payment down and return its id; what it pays and its books are the caller's."""
    payment_id = ids.new_id("pay")
    values = {
        "id": payment_id, "account_id": owner.id, "kind": kind, "currency": amount.currency,
        "amount": amount.minor, "method": method, "idempotency_key": key, "received_at": clock.now(),
        "actor": actor, "sets": [], "named": list(named) or None,
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
    net = sa.func.sum(allocation.c.amount)
    query = sa.select(allocation.c.invoice_id, net).where(allocation.c.payment_id == payment_id)
    query = query.group_by(allocation.c.invoice_id).having(net != 0).order_by(sa.func.min(allocation.c.seq))
    shares = tuple(Share(one[0], int(one[1])) for one in conn.execute(query))
    left = conn.execute(sa.select(debts.UNAPPLIED).where(payment.c.id == payment_id)).scalar_one()
    return Paid(payment_id, Money(row.amount, row.currency), shares, owner.money(int(left)), tuple(row.sets))


def _require_payable(owner: Account, amount: Money) -> None:
    if amount.currency != owner.currency:
        raise CurrencyWrong(owner.id, owner.currency, amount.currency)
    if amount.minor <= 0:
        raise AmountNotPayable(amount)


def _require_own(conn: Connection, owner: Account, named: Sequence[str]) -> None:
    if not named:
        return
    others = sa.and_(invoice_table.c.id.in_(named), invoice_table.c.account_id != owner.id)
    query = sa.select(invoice_table.c.number, invoice_table.c.id, invoice_table.c.account_id).where(others)
    if (row := conn.execute(query).first()) is not None:
        raise InvoiceOfAnother(row.number or row.id, row.account_id, owner.id)
