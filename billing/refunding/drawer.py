"""The cash drawer: what a person took in cash on a day, voided and paid out, and what must lie in it."""

from collections import defaultdict
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.models import ledger_transaction, payment
from billing.refunding.models import outflow, refund
from core.money import Money

CASH = "cash"


class Drawer(msgspec.Struct, frozen=True, kw_only=True):
    """One person's cash of one local day in one currency. `expected`: taken less voided less paid out."""

    actor: str
    day: date
    taken: Money
    receipts: int
    voided: Money
    paid_out: Money
    expected: Money


def drawers(conn: Connection, day: date, actor: str | None = None) -> list[Drawer]:
    """The drawers of a day, of everybody or of one person, by person and currency."""
    sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for who, currency, count, minor in conn.execute(_taken(day)).all():
        sums[who, currency] |= {"receipts": int(count), "taken": int(minor)}
    for name, query in (("voided", _voided(day)), ("paid_out", _paid_out(day))):
        for who, currency, minor in conn.execute(query).all():
            sums[who, currency][name] = int(minor)
    return [
        Drawer(
            actor=who, day=day, receipts=one["receipts"], taken=Money(one["taken"], currency),
            voided=Money(one["voided"], currency), paid_out=Money(one["paid_out"], currency),
            expected=Money(one["taken"] - one["voided"] - one["paid_out"], currency),
        )
        for (who, currency), one in sorted(sums.items())
        if actor is None or who == actor
    ]  # fmt: skip


def _booked(kind: str, source: "sa.ColumnElement[str]", day: date) -> "sa.ColumnElement[bool]":
    booked = ledger_transaction.c
    return sa.and_(booked.source == source, booked.kind == kind, booked.booked_on == day)


def _taken(day: date) -> "sa.Select[Any]":
    query = sa.select(payment.c.actor, payment.c.currency, sa.func.count(), sa.func.sum(payment.c.amount))
    query = query.join(ledger_transaction, _booked("receipt", payment.c.id, day))
    return query.where(payment.c.method == CASH).group_by(payment.c.actor, payment.c.currency)


def _voided(day: date) -> "sa.Select[Any]":
    query = sa.select(outflow.c.actor, payment.c.currency, sa.func.sum(outflow.c.amount))
    query = query.join(payment, payment.c.id == outflow.c.payment_id)
    query = query.where(outflow.c.kind == "voided", outflow.c.booked_on == day, payment.c.method == CASH)
    return query.group_by(outflow.c.actor, payment.c.currency)


def _paid_out(day: date) -> "sa.Select[Any]":
    query = sa.select(refund.c.actor, refund.c.currency, sa.func.sum(refund.c.amount))
    query = query.join(ledger_transaction, _booked("refund-settled", refund.c.id, day))
    query = query.where(refund.c.method == CASH, refund.c.state == "settled")
    return query.group_by(refund.c.actor, refund.c.currency)
