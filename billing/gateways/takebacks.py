"""What went back of a charge: our own refunds go on, others and disputes take the money off what it paid."""

from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.errors import PaymentKeyReused
from billing.gateways.state import FAILED, SUCCEEDED, WON, Fact, State
from billing.refunding import chargebacks, refunds
from billing.refunding.errors import ChargebackUnknown, NotChargeable
from billing.refunding.models import chargeback as chargeback_table
from billing.refunding.models import refund as refund_table
from core import events
from core.money import Money


def take_back(conn: Connection, row: dict[str, Any], payment: str, state: State, *, actor: str) -> None:
    """Bring the books to a state of attempt `row`, which paid as `payment`; what is there already stays as it is."""
    named = [(one, _own(conn, one)) for one in state.refunds]
    for one, own in named:
        if own is not None:
            _go_on(conn, own, one, actor)
    for one, own in named:  # what ours that failed set free is there for them now
        if own is None or _is_given_up(conn, own):
            _foreign(conn, row, payment, one, actor)
    for reference, verdict, minor in state.disputes:
        amount = Money(minor or row["amount"], row["currency"])
        _dispute(conn, row, payment, f"gateway:{row['id']}:dispute:{reference}", amount, verdict, actor)


def _dispute(
    conn: Connection, row: dict[str, Any], payment: str, key: str, amount: Money, verdict: str, actor: str
) -> None:
    """The last verdict counts: one that was won and is lost after all is another chargeback of the same dispute."""
    last, reversed_ = _last(conn, key)
    if verdict == WON:
        _reverse(conn, last, actor)
    elif reversed_:
        _charged_back(conn, row, payment, amount, f"{last}+", "dispute", actor)
    else:
        _charged_back(conn, row, payment, amount, last, "dispute", actor)


def _last(conn: Connection, key: str) -> tuple[str, bool]:
    """The key of a dispute's newest chargeback, which has a plus for every one before, and whether it was reversed."""
    while True:
        query = sa.select(chargeback_table.c.state).where(chargeback_table.c.idempotency_key == key)
        state = conn.execute(query).scalar()
        following = sa.select(chargeback_table.c.id).where(chargeback_table.c.idempotency_key == f"{key}+")
        if conn.execute(following).first() is None:
            return key, state == chargebacks.REVERSED
        key += "+"


def _own(conn: Connection, one: Fact) -> str | None:
    """Our id of a refund that we asked for ourselves: by its own data, or by what the gateway calls it."""
    mine = sa.or_(refund_table.c.id == one.own, refund_table.c.reference == one.ref)
    return conn.execute(sa.select(refund_table.c.id).where(mine)).scalar()


def _go_on(conn: Connection, refund: str, one: Fact, actor: str) -> None:
    refunds.sent(conn, refund, actor=actor, reference=one.ref)
    if one.what == SUCCEEDED:
        refunds.settled(conn, refund, actor=actor)
    if one.what == FAILED:
        refunds.failed(conn, refund, actor=actor, why=one.code or "the gateway could not pay it out")


def _is_given_up(conn: Connection, refund: str) -> bool:
    """Whether it has failed in our books; what the gateway pays out all the same is then another's doing to them."""
    return bool(refunds.get(conn, refund)["state"] == refunds.FAILED)


def _foreign(conn: Connection, row: dict[str, Any], payment: str, one: Fact, actor: str) -> None:
    """Somebody gave it back at the gateway itself."""
    key, amount = f"gateway:{row['id']}:refund:{one.ref}", Money(one.amount, row["currency"])
    if one.what == FAILED:
        _reverse(conn, key, actor)
    else:
        _charged_back(conn, row, payment, amount, key, "refunded at the gateway", actor)


def _charged_back(
    conn: Connection, row: dict[str, Any], payment: str, amount: Money, key: str, why: str, actor: str
) -> bool:
    """Whether it is in the books now. While a refund of ours takes the rest of the payment it has to wait: when that
    one fails, the facts are looked at again; a person is told.
    """
    try:
        chargebacks.chargeback(conn, payment, amount, key=key, actor=actor, reason=why)
    except (
        NotChargeable,
        PaymentKeyReused,
    ) as error:  # PaymentKeyReused: another amount now, or it was moved
        said = {"attempt": row["id"], "amount": amount.minor, "why": str(error)}
        events.emit(conn, "gateway.waits", row["account_id"], said, actor=actor, unique=f"waits:{key}")
        return False
    return True


def _reverse(conn: Connection, key: str, actor: str) -> None:
    with suppress(ChargebackUnknown):  # it was over before we heard of it
        chargebacks.chargeback_reversed(conn, key, actor=actor)
