"""Direct debits on statements: one that is confirmed is a payment, one that is returned a chargeback or a failure."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, payments
from billing.bank.errors import EntryUnknown
from billing.bank.models import collection, mandate
from billing.bank.statement import Line
from billing.refunding import chargebacks
from core import events
from core.money import Money

METHOD = "sepa-debit"
PENDING, PAID, RETURNED, FAILED = "pending", "paid", "returned", "failed"
HARD = ("AC01", "AC04", "AC06", "AG01", "BE05", "MD01", "MD07", "SL01")
"""Returns after which the mandate is not used again: wrong, closed or blocked account, no mandate, deceased."""


class Done(msgspec.Struct, frozen=True):
    """What a line did."""

    told: str
    rule: str
    account: str | None
    effect: str


def by_line(conn: Connection, line: Line, key: str, actor: str) -> Done | None:
    """What a line says about our direct debits; None where it says nothing."""
    one = _of_end_to_end(conn, line)
    if one is None and line.amount < 0 and line.reason:
        one = _of_mandate(conn, line)
    if one is not None:
        if line.amount > 0:
            return _paid(conn, one, line, actor)
        return _returned(conn, one, line, key, actor)
    return _whole_batch(conn, line, actor) if line.amount > 0 else None


def _of_end_to_end(conn: Connection, line: Line) -> Any:
    query = sa.select(collection).where(collection.c.end_to_end == line.end_to_end)
    row = conn.execute(query).mappings().first() if line.end_to_end else None
    if row is None or (line.amount > 0 and line.amount != row["amount"]) or -line.amount > row["amount"] * 2:
        return None
    return row


def _of_mandate(conn: Connection, line: Line) -> Any:
    """A bank that tells no end-to-end id of a return: the newest one of the mandate with this amount."""
    query = sa.select(collection).where(
        collection.c.mandate_id == line.mandate, collection.c.amount == -line.amount,
        collection.c.state.in_((PENDING, PAID)),
    )  # fmt: skip
    return conn.execute(query.order_by(collection.c.id.desc())).mappings().first() if line.mandate else None


def _whole_batch(conn: Connection, line: Line, actor: str) -> Done | None:
    """A batch that the bank booked in one sum: all that is pending of it, when that is the sum.

    What was returned before may be in the sum or not.
    """
    query = sa.select(collection).where(collection.c.payment_info == line.payment_info)
    found = conn.execute(query.order_by(collection.c.account_id, collection.c.id)).mappings().all()
    rows = [row for row in found if row["state"] == PENDING]
    gross = sum(row["amount"] for row in found if row["state"] in (PENDING, RETURNED))
    net = sum(row["amount"] for row in rows)
    told_before = any(row["state"] == PAID for row in found)
    if not line.payment_info or not rows or told_before or line.amount not in (net, gross):
        return None
    for row in rows:
        _paid(conn, row, line, actor)
    return Done(f"{len(rows)} direct debits of {line.payment_info}", "batch", None, line.payment_info)


def _paid(conn: Connection, row: Any, line: Line, actor: str) -> Done:
    if row["state"] == PENDING:
        paid = payments.pay(
            conn, row["account_id"], Money(row["amount"], line.currency), METHOD, f"collection:{row['id']}",
            actor=actor, on=line.booked_on, named=[row["invoice_id"]],
        )  # fmt: skip
        _become(conn, row, PAID, payment_id=paid.payment)
        return Done(f"payment {paid.payment} by direct debit", "end-to-end", row["account_id"], paid.payment)
    return Done(f"the direct debit was {row['state']} before", "end-to-end", row["account_id"], row["id"])


def _returned(conn: Connection, row: Any, line: Line, key: str, actor: str) -> Done:
    """Money that went back: more than was collected is the bank's fee."""
    reason = line.reason or "returned"
    owner = accounts.lock(conn, row["account_id"])
    back = min(-line.amount, row["amount"])
    cost = Money(-line.amount - back, line.currency)
    effect = row["id"]
    if row["state"] == PENDING:  # the sum came in, and this of it went back
        paid = payments.pay(
            conn, owner.id, Money(row["amount"], line.currency), METHOD, f"collection:{row['id']}", actor=actor,
            on=line.booked_on, named=[row["invoice_id"]],
        )  # fmt: skip
        row = {**row, "payment_id": paid.payment}
    if row["state"] in (PENDING, PAID):
        effect = chargebacks.chargeback(
            conn, row["payment_id"], Money(back, line.currency), key=f"bank:{key}", actor=actor, on=line.booked_on,
            reason=reason, cost=cost,
        )  # fmt: skip
        _become(conn, row, RETURNED, reason=reason, payment_id=row["payment_id"])
    block(conn, row["mandate_id"], reason)
    told = {"collection": row["id"], "invoice": row["invoice_id"], "reason": reason}
    events.emit(conn, "collection.returned", owner.id, told, actor=actor, unique=f"returned:{key}")
    return Done(f"direct debit of account {owner.id} returned: {reason}", "end-to-end", owner.id, effect)


def reject(conn: Connection, end_to_end: str, reason: str, *, actor: str) -> str:
    """The bank refused a direct debit before any money moved (pain.002, a letter): it may be collected again.

    Returns its account. Raises EntryUnknown; one that is not pending any more stays as it is.
    """
    query = sa.select(collection).where(collection.c.end_to_end == end_to_end)
    row = conn.execute(query).mappings().first()
    if row is None:
        raise EntryUnknown(end_to_end)
    accounts.lock(conn, row["account_id"])
    row = conn.execute(query).mappings().one()
    if row["state"] == PENDING:
        _become(conn, row, FAILED, reason=reason)
        block(conn, row["mandate_id"], reason)
        told = {"collection": row["id"], "invoice": row["invoice_id"], "reason": reason}
        events.emit(conn, "collection.failed", row["account_id"], told, actor=actor)
    return str(row["account_id"])


def block(conn: Connection, mandate_id: str, reason: str) -> None:
    """A mandate is not used again after a hard return."""
    if reason in HARD:
        mine = sa.and_(mandate.c.id == mandate_id, mandate.c.state.in_(("active", "last")))
        conn.execute(sa.update(mandate).where(mine).values(state="blocked", why=reason))


def _become(conn: Connection, row: Any, state: str, **values: Any) -> None:
    conn.execute(sa.update(collection).where(collection.c.id == row["id"]).values(state=state, **values))
