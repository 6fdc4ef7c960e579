"""Refunds: requested -> sent -> settled | failed. Only what is unapplied goes back; a failed one is credit again.

Invariant 24: what was captured is never refunded and charged back beyond itself. An answer that comes late or twice
changes nothing: a refund only goes on, and `failed` is the end, also after `settled` (banks return transfers).
"""

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, payments, releases
from billing.errors import PaymentKeyReused
from billing.models import payment as payment_table
from billing.refunding import books, found
from billing.refunding.errors import NotRefundable, RefundUnknown
from billing.refunding.found import OURS, RECEIPT, Found
from billing.refunding.models import refund as refund_table
from billing.refunding.replacing import replace
from core import clock, db, events, faults, ids
from core.money import Money

REQUESTED, SENT, SETTLED, FAILED = STATES = ("requested", "sent", "settled", "failed")
AT_ONCE = ("cash",)
"""Methods by which the money is handed over with the request."""
P_REFUND = faults.declare("billing.before_refund_commit")


def refund(
    conn: Connection,
    payment: str,
    amount: Money,
    *,
    key: str,
    method: str,
    actor: str,
    reason: str,
    on: date | None = None,
) -> str:
    """Ask for a refund and return its id; the same key again changes nothing. `on`: local date (default: today).

    Credit from credit notes takes the payment's place on its invoices first, so that what was credited goes back the
    way it came. Event: `refund.requested`, with the method. Raises PaymentUnknown, NotRefundable, PaymentKeyReused,
    CurrencyWrong, AmountNotPayable.
    """
    one = found.lock(conn, payment)
    found.require_amount(one, amount)
    if (earlier := _earlier(conn, payment, amount, key)) is not None:
        return earlier
    day = on or one.owner.today
    _require_free(conn, one, amount, day)
    refund_id = ids.new_id("rfd")
    values = {
        "id": refund_id, "payment_id": payment, "currency": amount.currency, "amount": amount.minor,
        "method": method, "reason": reason, "state": REQUESTED, "idempotency_key": key, "requested_on": day,
        "recorded_at": clock.now(), "actor": actor,
    }  # fmt: skip
    conn.execute(sa.insert(refund_table).values(**values))
    found.let_go(conn, payment, "refund", refund_id, amount.minor, actor=actor, on=day)
    books.requested(conn, one.owner, refund_id, amount, day)
    told = {"refund": refund_id, "payment": payment, "amount": amount.minor, "currency": amount.currency,
            "method": method, "reason": reason}  # fmt: skip
    events.emit(conn, "refund.requested", one.owner.id, told, actor=actor)
    if method in AT_ONCE:
        settled(conn, refund_id, actor=actor, on=day)
    faults.point(P_REFUND)
    return refund_id


def sent(conn: Connection, refund: str, *, actor: str, reference: str | None = None) -> None:
    """The gateway or the bank has it, and calls it `reference`. Raises RefundUnknown."""
    row = _lock(conn, refund)
    values: dict[str, Any] = {"reference": reference} if reference and not row["reference"] else {}
    if row["state"] == REQUESTED:
        values["state"] = SENT
        events.emit(conn, "refund.sent", row["account_id"], {"refund": refund}, actor=actor)
    if values:
        conn.execute(sa.update(refund_table).where(refund_table.c.id == refund).values(**values))


def settled(conn: Connection, refund: str, *, actor: str, on: date | None = None) -> None:
    """The money has left. Raises RefundUnknown."""
    row = _lock(conn, refund)
    if row["state"] in (SETTLED, FAILED):
        return
    owner = accounts.get(conn, row["account_id"])
    amount = Money(row["amount"], row["currency"])
    books.settled(conn, owner, refund, amount, row["method"], on or owner.today)
    _become(conn, refund, SETTLED)
    events.emit(conn, "refund.settled", owner.id, {"refund": refund}, actor=actor)


def failed(conn: Connection, refund: str, *, actor: str, why: str, on: date | None = None) -> tuple[str, ...]:
    """It did not arrive: the amount is credit again, and pays what is open.

    Returns the change sets that release services. Raises RefundUnknown.
    """
    row = _lock(conn, refund)
    if row["state"] == FAILED:
        return ()
    owner = accounts.get(conn, row["account_id"])
    day = on or owner.today
    amount = Money(row["amount"], row["currency"])
    came_from = f"cash:{row['method']}" if row["state"] == SETTLED else books.PENDING
    books.failed(conn, owner, refund, amount, came_from, day)
    found.let_go(conn, row["payment_id"], "refund-failed", refund, -amount.minor, actor=actor, on=day)
    _become(conn, refund, FAILED, failure=why)
    events.emit(conn, "refund.failed", owner.id, {"refund": refund, "why": why}, actor=actor)
    payments.settle(conn, owner, day)
    return releases.release_if_clear(conn, owner, max(day, owner.today), cause=refund)


def get(conn: Connection, refund: str) -> dict[str, Any]:
    """A refund by id, or by what the gateway calls it, as a row with `account_id`. Raises RefundUnknown."""
    query = sa.select(refund_table, payment_table.c.account_id).join(
        payment_table, payment_table.c.id == refund_table.c.payment_id
    )
    named = sa.or_(refund_table.c.id == refund, refund_table.c.reference == refund)
    row = conn.execute(query.where(named).order_by(refund_table.c.id)).mappings().first()
    if row is None:
        raise RefundUnknown(refund)
    return dict(row)


def waiting(conn: Connection, method: str) -> list[str]:
    """Refunds by a method that were asked for and not sent yet, oldest first."""
    query = sa.select(refund_table.c.id).where(
        refund_table.c.method == method, refund_table.c.state == REQUESTED
    )
    return list(conn.execute(query.order_by(refund_table.c.id)).scalars())


def _require_free(conn: Connection, one: Found, amount: Money, on: date) -> None:
    if one.kind != RECEIPT and one.kind not in OURS:
        raise NotRefundable(one.id, "it is a credit note's credit; refund the payment that was captured")
    if amount.minor > one.left:
        raise NotRefundable(one.id, f"of {one.money(one.amount)} only {one.money(one.left)} are left")
    short = amount.minor - one.unapplied
    if short > 0:
        short -= replace(conn, one, short, on)
    if short > 0:
        names = ", ".join(found.number_of(conn, share.invoice) for share in found.shares(conn, one.id))
        raise NotRefundable(
            one.id,
            f"{one.money(short)} of it pay {names}; credit the invoice or take the allocation back first",
        )


def _lock(conn: Connection, refund: str) -> dict[str, Any]:
    row = get(conn, refund)
    accounts.lock(conn, row["account_id"])
    query = sa.select(refund_table).where(refund_table.c.id == row["id"])
    again = conn.execute(db.lock_row(conn, query)).mappings().one()
    return {**again, "account_id": row["account_id"]}


def _become(conn: Connection, refund: str, state: str, **values: Any) -> None:
    conn.execute(sa.update(refund_table).where(refund_table.c.id == refund).values(state=state, **values))


def _earlier(conn: Connection, payment: str, amount: Money, key: str) -> str | None:
    row = conn.execute(sa.select(refund_table).where(refund_table.c.idempotency_key == key)).first()
    if row is None:
        return None
    if (row.payment_id, row.amount, row.currency) != (payment, amount.minor, amount.currency):
        raise PaymentKeyReused(key)
    return str(row.id)
