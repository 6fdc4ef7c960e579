"""A payment of the wrong account goes to the right one; a receipt that never was is voided. Nothing is deleted."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, payments, releases
from billing.models import payment as payment_table
from billing.refunding import books, found
from billing.refunding.errors import NotMovable
from billing.refunding.found import RECEIPT, Found
from billing.refunding.models import outflow, refund
from core import events, faults

MANUAL = ("cash", "cheque", "bank", "card", "other")
"""Methods of payments that a person keyed in."""
P_MOVED = faults.declare("billing.before_move_commit")


def move(conn: Connection, payment: str, to: str, *, actor: str, reason: str, on: date | None = None) -> str:
    """Move what is left of a payment to account `to`, where it pays the oldest debt; returns the payment made there.

    What it paid is open again. The same again changes nothing. Raises PaymentUnknown, AccountUnknown, NotMovable.
    """
    wrong = _both(conn, payment, to)
    if (earlier := _moved_to(conn, payment)) is not None:
        return _require_same(conn, payment, to, earlier)
    target = accounts.get(conn, to)
    _require_movable(conn, wrong, "moved")
    if target.id == wrong.owner.id:
        raise NotMovable(payment, "moved", f"it is account {to}'s already")
    if (target.currency, target.legal_entity) != (wrong.owner.currency, wrong.owner.legal_entity):
        raise NotMovable(
            payment, "moved", f"account {to} has another currency or legal entity; refund it instead"
        )
    day = on or wrong.owner.today
    amount = wrong.money(wrong.left)
    freed = found.free(conn, wrong, wrong.left - wrong.unapplied, day)
    made = payments.store(conn, target, amount, RECEIPT, wrong.method, f"moved:{payment}", actor)
    found.let_go(conn, payment, "moved", made, amount.minor, actor=actor, on=day)
    books.moved(conn, wrong.owner, target, made, amount, day)
    told = {"payment": payment, "to": to, "as": made, "reason": reason,
            "opened": [found.number_of(conn, share.invoice) for share in freed]}  # fmt: skip
    events.emit(conn, "payment.moved", wrong.owner.id, told, actor=actor)
    payments.settle(conn, wrong.owner, day)
    payments.settle(conn, target, day)
    sets = releases.release_if_clear(conn, target, max(day, target.today), cause=made)
    conn.execute(sa.update(payment_table).where(payment_table.c.id == made).values(sets=list(sets)))
    faults.point(P_MOVED)
    return made


def void(conn: Connection, payment: str, *, actor: str, reason: str, on: date | None = None) -> None:
    """Void a payment that a person keyed in by mistake; what it paid is open again. Again it changes nothing.

    Raises PaymentUnknown, NotMovable: a payment of a gateway or a bank file is refunded or moved instead.
    """
    one = found.lock(conn, payment)
    gone = sa.select(outflow.c.seq).where(outflow.c.payment_id == payment, outflow.c.kind == "voided")
    if conn.execute(gone).first() is not None:
        return
    _require_movable(conn, one, "voided")
    if one.method not in MANUAL or one.key.startswith("moved:"):
        raise NotMovable(
            payment, "voided", f"nobody keyed it in (it came by {one.method}); refund or move it"
        )
    if one.left != one.amount:
        raise NotMovable(payment, "voided", "some of it was refunded or charged back")
    day = on or one.owner.today
    freed = found.free(conn, one, one.left - one.unapplied, day)
    found.let_go(conn, payment, "voided", payment, one.amount, actor=actor, on=day)
    books.voided(conn, one.owner, payment, one.money(one.amount), one.method, day)
    told = {"payment": payment, "reason": reason, "amount": one.amount, "currency": one.owner.currency,
            "opened": [found.number_of(conn, share.invoice) for share in freed]}  # fmt: skip
    events.emit(conn, "payment.voided", one.owner.id, told, actor=actor)
    payments.settle(conn, one.owner, day)


def where_it_is(conn: Connection, payment: str) -> str:
    """The payment that has the money now: itself, or the one that it was moved to."""
    while (following := _moved_to(conn, payment)) is not None:
        payment = following
    return payment


def _both(conn: Connection, payment: str, to: str) -> Found:
    """The payment, with both accounts locked in the order of their ids (one order for all: no deadlock)."""
    query = sa.select(payment_table.c.account_id).where(payment_table.c.id == payment)
    accounts.by_ids(conn, sorted({str(conn.execute(query).scalar()), accounts.get(conn, to).id}))
    return found.lock(conn, payment)


def _moved_to(conn: Connection, payment: str) -> str | None:
    query = sa.select(outflow.c.cause).where(outflow.c.payment_id == payment, outflow.c.kind == "moved")
    return conn.execute(query).scalar()


def _require_same(conn: Connection, payment: str, to: str, made: str) -> str:
    query = sa.select(payment_table.c.account_id).where(payment_table.c.id == made)
    where = conn.execute(query).scalar_one()
    if where != to:
        raise NotMovable(payment, "moved", f"it went to account {where} as {made}; move that one")
    return made


def _require_movable(conn: Connection, one: Found, what: str) -> None:
    if one.kind != RECEIPT:
        raise NotMovable(one.id, what, "it is credit of a credit note, a deposit or a wallet")
    query = sa.select(refund.c.id).where(
        refund.c.payment_id == one.id, refund.c.state.in_(("requested", "sent"))
    )
    if (on_its_way := conn.execute(query).scalar()) is not None:
        raise NotMovable(
            one.id, what, f"refund {on_its_way} is on its way; wait until it has arrived or failed"
        )
    if not one.left:
        raise NotMovable(one.id, what, "nothing of it is left")
