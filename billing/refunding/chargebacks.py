"""Chargebacks: the bank took money back. What it paid is open again, the newest allocation first, due as it was.

The next dunning run finds the debt as old as it is, and holds again. A chargeback that is won gives the payment back.
"""

from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import billables, payments, releases
from billing.billables import Billable
from billing.errors import PaymentKeyReused
from billing.refunding import books, found, moving
from billing.refunding.errors import ChargebackUnknown, NotChargeable
from billing.refunding.found import RECEIPT, Found
from billing.refunding.models import chargeback as chargeback_table
from core import clock, events, faults, ids
from core.money import Money

OPEN, REVERSED = "open", "reversed"
P_CHARGEBACK = faults.declare("billing.before_chargeback_commit")


def chargeback(
    conn: Connection,
    payment: str,
    amount: Money,
    *,
    key: str,
    actor: str,
    on: date | None = None,
    reason: str = "",
    fee: Money | None = None,
    tax: str = "",
    cost: Money | None = None,
) -> str:
    """Take back what the bank took back, and return the chargeback's id; the same key again changes nothing.

    `fee` is billed to the customer by the next run, in tax category `tax`; `cost` is what the bank took from us.
    A payment that was moved is charged back where it went. Event: `payment.charged-back` with the invoices that are
    open again. Raises PaymentUnknown, NotChargeable, PaymentKeyReused, CurrencyWrong, AmountNotPayable.
    """
    one = found.lock(conn, moving.where_it_is(conn, payment))
    found.require_amount(one, amount)
    if (earlier := _earlier(conn, one.id, amount, key)) is not None:
        return earlier
    _require_captured(one, amount)
    day = on or one.owner.today
    freed = found.free(conn, one, amount.minor - one.unapplied, day)
    chargeback_id = ids.new_id("cbk")
    values = {
        "id": chargeback_id, "payment_id": one.id, "currency": amount.currency, "amount": amount.minor,
        "reason": reason, "state": OPEN, "idempotency_key": key, "charged_on": day,
        "recorded_at": clock.now(), "actor": actor,
    }  # fmt: skip
    conn.execute(sa.insert(chargeback_table).values(**values))
    found.let_go(conn, one.id, "chargeback", chargeback_id, amount.minor, actor=actor, on=day)
    books.charged_back(conn, one.owner, chargeback_id, amount, one.method, day)
    if cost is not None and cost.minor:
        books.cost(conn, one.owner, chargeback_id, cost, one.method, day)
    if fee is not None and fee.minor:
        _bill(conn, one, chargeback_id, fee, tax, day, actor)
    told = {"chargeback": chargeback_id, "payment": one.id, "amount": amount.minor, "currency": amount.currency,
            "reason": reason, "opened": [found.number_of(conn, share.invoice) for share in freed]}  # fmt: skip
    events.emit(conn, "payment.charged-back", one.owner.id, told, actor=actor)
    payments.settle(conn, one.owner, day)
    faults.point(P_CHARGEBACK)
    return chargeback_id


def chargeback_reversed(
    conn: Connection, chargeback: str, *, actor: str, on: date | None = None
) -> tuple[str, ...]:
    """It was won: the payment has the money again and pays what is open; its fee is taken back.

    Again it changes nothing. Returns the change sets that release services. Raises ChargebackUnknown.
    """
    row = get(conn, chargeback)
    one = found.lock(conn, row["payment_id"])
    if get(conn, chargeback)["state"] == REVERSED:
        return ()
    day = on or one.owner.today
    amount = Money(row["amount"], row["currency"])
    found.let_go(conn, one.id, "chargeback-won", row["id"], -amount.minor, actor=actor, on=day)
    books.won(conn, one.owner, row["id"], amount, one.method, day)
    mine = chargeback_table.c.id == row["id"]
    conn.execute(sa.update(chargeback_table).where(mine).values(state=REVERSED))
    for billed in billables.of_source(conn, _source(row["id"]), amount.currency)[:1]:
        _bill(conn, one, row["id"], -billed.amount, billed.tax, day, actor, revision=1)
    events.emit(conn, "chargeback.reversed", one.owner.id, {"chargeback": row["id"]}, actor=actor)
    payments.settle(conn, one.owner, day)
    return releases.release_if_clear(conn, one.owner, max(day, one.owner.today), cause=row["id"])


def get(conn: Connection, chargeback: str) -> dict[str, Any]:
    """A chargeback by its id or by the key it was told with, as a row. Raises ChargebackUnknown."""
    named = sa.or_(chargeback_table.c.id == chargeback, chargeback_table.c.idempotency_key == chargeback)
    row = conn.execute(sa.select(chargeback_table).where(named)).mappings().first()
    if row is None:
        raise ChargebackUnknown(chargeback)
    return dict(row)


def _require_captured(one: Found, amount: Money) -> None:
    if one.kind != RECEIPT:
        raise NotChargeable(
            one.id, "it is credit of a credit note, a deposit or a wallet, and nothing that was captured"
        )
    if amount.minor > one.left:
        raise NotChargeable(
            one.id, f"of {one.money(one.amount)} only {one.money(one.left)} are left after refunds and others"
        )


def _bill(
    conn: Connection,
    one: Found,
    chargeback: str,
    fee: Money,
    tax: str,
    on: date,
    actor: str,
    revision: int = 0,
) -> None:
    what = "Fee for a payment that was charged back" + (", taken back" if revision else "")
    given = Billable(
        account=one.owner.id, kind="chargeback-fee", source=_source(chargeback), revision=revision,
        description=what, amount=fee, billed_from=on, tax=tax, why={"how": f"chargeback {chargeback} of {one.id}"},
    )  # fmt: skip
    billables.add(conn, given, actor=actor)


def _source(chargeback: str) -> str:
    return f"chargeback:{chargeback}"


def _earlier(conn: Connection, payment: str, amount: Money, key: str) -> str | None:
    row = conn.execute(sa.select(chargeback_table).where(chargeback_table.c.idempotency_key == key)).first()
    if row is None:
        return None
    if (row.payment_id, row.amount, row.currency) != (payment, amount.minor, amount.currency):
        raise PaymentKeyReused(key)
    return str(row.id)
