"""Allocations by a person: taken off an invoice, put on a chosen one; and how an account's payments are allocated."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, invoices, payments, releases
from billing.allocating import NAMED_FIRST, RULES
from billing.models import payment as payment_table
from billing.refunding import found
from billing.refunding.errors import NotAllocated, RuleUnknown
from billing.refunding.models import allocation_policy
from core import clock, db, events
from core.money import Money


def unallocate(
    conn: Connection,
    payment: str,
    invoice: str,
    amount: Money | None = None,
    *,
    actor: str,
    on: date | None = None,
) -> None:
    """Take a payment (or this much of it) off an invoice, which is open again, due as before.

    It stays unapplied until a person allocates it. Raises PaymentUnknown, InvoiceUnknown, NotAllocated, CurrencyWrong,
    AmountNotPayable.
    """
    one = found.lock(conn, payment)
    row = invoices.get(conn, invoice)
    paid = sum(share.amount for share in found.shares(conn, payment) if share.invoice == row["id"])
    taken = one.money(paid) if amount is None else amount
    if not paid:
        raise NotAllocated(payment, row["number"] or invoice, "it pays nothing of that invoice")
    found.require_amount(one, taken)
    if taken.minor > paid:
        raise NotAllocated(payment, row["number"], f"it pays {one.money(paid)} of it, not {taken}")
    day = on or one.owner.today
    payments.place(conn, one.owner, payment, row["id"], -taken.minor, day)
    payments.note_spent(conn, payment)
    _by_hand(conn, payment, by_hand=True)
    told = {"payment": payment, "invoice": row["number"], "amount": taken.minor, "currency": taken.currency}
    events.emit(conn, "payment.unallocated", one.owner.id, told, actor=actor)


def allocate(
    conn: Connection,
    payment: str,
    invoice: str | None = None,
    amount: Money | None = None,
    *,
    actor: str,
    on: date | None = None,
) -> tuple[str, ...]:
    """Put what is unapplied of a payment on a chosen invoice, or so much of it; without one it pays by the rule.

    Of a payment that was taken off by hand, the rest waits for a person where an amount is given; otherwise it pays
    by the account's rule again. Returns the change sets that release services. Raises PaymentUnknown, InvoiceUnknown,
    NotAllocated, CurrencyWrong, AmountNotPayable.
    """
    one = found.lock(conn, payment)
    day = on or one.owner.today
    if invoice is not None:
        _put(conn, one, invoice, amount, day)
    if amount is None:
        _by_hand(conn, payment, by_hand=False)
        payments.settle(conn, one.owner, day)
    events.emit(
        conn, "payment.allocated", one.owner.id, {"payment": payment, "invoice": invoice}, actor=actor
    )
    return releases.release_if_clear(conn, one.owner, max(day, one.owner.today), cause=payment)


def set_rule(conn: Connection, account: str, rule: str, *, actor: str) -> None:
    """How payments of an account are allocated from now on (`allocating.RULES`). Raises AccountUnknown, RuleUnknown."""
    if rule not in RULES:
        raise RuleUnknown(rule, RULES)
    accounts.lock(conn, account)
    row = {"account_id": account, "rule": rule, "actor": actor, "recorded_at": clock.now()}
    if rule == NAMED_FIRST:
        conn.execute(sa.delete(allocation_policy).where(allocation_policy.c.account_id == account))
    else:
        db.upsert(conn, allocation_policy, [row], ["account_id"])
    events.emit(conn, "account.allocation-rule", account, {"rule": rule}, actor=actor)


def _put(conn: Connection, one: found.Found, invoice: str, amount: Money | None, on: date) -> None:
    row = invoices.get(conn, invoice)
    name = row["number"] or invoice
    balances = {item.invoice: item.balance for item in debts.open_balances(conn, one.owner.id)}
    balance = balances.get(row["id"], 0)
    if row["account_id"] != one.owner.id:
        why = f"the invoice is account {row['account_id']}'s, the payment {one.owner.id}'s; move the payment first"
        raise NotAllocated(one.id, name, why)
    if not balance or not one.unapplied:
        raise NotAllocated(
            one.id, name, "nothing of the invoice is open" if not balance else "nothing is unapplied"
        )
    put = one.money(min(balance, one.unapplied)) if amount is None else amount
    found.require_amount(one, put)
    if put.minor > balance or put.minor > one.unapplied:
        why = f"{put} is more than is open ({one.money(balance)}) or unapplied ({one.money(one.unapplied)})"
        raise NotAllocated(one.id, name, why)
    payments.place(conn, one.owner, one.id, row["id"], put.minor, on)
    payments.note_spent(conn, one.id)


def _by_hand(conn: Connection, payment: str, *, by_hand: bool) -> None:
    conn.execute(sa.update(payment_table).where(payment_table.c.id == payment).values(by_hand=by_hand))
