"""Buying a period: a final invoice that the wallet pays in the same transaction, or nothing at all.

The fee is supplied when the period begins, so tax falls due then, with an invoice of the ordinary series; a top-up is
no supply and has no tax. Nothing is ever owed for a prepaid service.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import bill, billables, debts, invoices, payments, taxes
from billing.accounts import Account
from billing.billables import Billable
from billing.ledger import CREDIT
from billing.models import invoice, payment
from billing.periods import Cadence, Period, month_index
from billing.runs import numbering
from billing.runs.ranges import Range
from billing.timeline import Terms
from billing.wallet import balance as wallet
from core import clock, ids
from core.money import Money

Row = Any


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The next period of a service and what it costs with tax. `rhythm`: the day that its periods count from."""

    period: Period
    rhythm: date
    things: tuple[Billable, ...]
    drawn: bill.Bill

    @property
    def total(self) -> Money:
        """What the wallet has to have."""
        return self.drawn.total


def next_period(row: Row, terms: Terms, day: date) -> tuple[Period, date]:
    """The next period and the day that the rhythm counts from. Pure.

    It follows the last one up to its day, and while there is grace; whoever lapsed begins a new rhythm.
    """
    start, rhythm = day, day
    if row.paid_until is not None and day < row.paid_until + timedelta(days=max(1, row.grace_days)):
        start, rhythm = row.paid_until, row.rhythm_from
    cadence = Cadence(rhythm.day, terms.months, month_index(rhythm))
    return Period(start, cadence.containing(start).end), rhythm


def offer(conn: Connection, owner: Account, row: Row, day: date) -> Offer:
    """What the next period costs on a day. Raises TaxRateMissing."""
    terms = msgspec.convert(row.terms, Terms)
    period, rhythm = next_period(row, terms, day)
    rate = taxes.rate_on(conn, owner.tax_profile, terms.tax, day)
    things = tuple(_things(owner, row, terms, period, day))
    return Offer(
        period=period, rhythm=rhythm, things=things,
        drawn=bill.make([billables.line_of(one, rate) for one in things], owner.currency),
    )  # fmt: skip


def buy(conn: Connection, owner: Account, row: Row, given: Offer, day: date, actor: str) -> str:
    """Take the fee from the wallet; returns the invoice. `owner` is locked. Raises WalletTooSmall."""
    for one in given.things:
        billables.add(conn, one, actor=actor)
    document = invoices.draft(conn, owner, given.drawn, day, f"prepaid:{given.period.start}")
    billables.billed(conn, given.things, document)
    number = numbering.number_stretch(
        conn, owner.legal_entity, numbering.INVOICE, _Alone(document, None), lambda: None, guess=False
    )
    _pay(conn, owner, document, row.service, day, actor)
    return number.texts()[0] if number else document


class _Alone(Range, frozen=True):
    """Instead of a range of accounts one document: `after` is its id. Other drafts of the account wait."""

    def holds(self, _column: "sa.ColumnElement[str]") -> "sa.ColumnElement[bool]":
        """The condition."""
        return invoice.c.id == self.after


def _things(owner: Account, row: Row, terms: Terms, period: Period, day: date) -> Iterator[Billable]:
    common: dict[str, Any] = {
        "account": owner.id, "service": row.service, "tax": terms.tax, "billed_from": day,
    }  # fmt: skip
    version = f"price version {terms.version} of plan {terms.plan}"
    if terms.setup is not None and terms.setup.minor and row.paid_until is None:
        yield Billable(
            **common, id=ids.new_id("bbl"), kind="setup", source=f"prepaid:{row.service}:setup",
            description=f"{row.plan_name}: set-up on {day}", amount=terms.setup,
            why={"how": f"set-up fee of {version}"},
        )  # fmt: skip
    text = f"{row.plan_name}: {period.start} to {period.end} (exclusive), prepaid"
    yield Billable(
        **common, id=ids.new_id("bbl"), kind="recurring", source=f"prepaid:{row.service}:{period.start}",
        description=text, amount=terms.price, period=period,
        why={"how": f"{terms.price} for {period.days} days, {version}", "paid": "from the wallet"},
    )  # fmt: skip


def _pay(conn: Connection, owner: Account, document: str, service: str, day: date, actor: str) -> None:
    """The wallet pays what credit has left open of the invoice."""
    left = sum(one.balance for one in debts.open_balances(conn, owner.id) if one.invoice == document)
    if left <= 0:
        return
    amount = owner.money(left)
    wallet.move(conn, owner, wallet.FEE, f"{service}:{document}", -amount, CREDIT, on=day, actor=actor)
    payment_id = ids.new_id("pay")
    values = {
        "id": payment_id, "account_id": owner.id, "kind": "wallet", "currency": owner.currency,
        "amount": left, "method": "wallet", "idempotency_key": f"wallet:{document}",
        "received_at": clock.now(), "actor": actor, "sets": [], "spent": True,
    }  # fmt: skip
    conn.execute(sa.insert(payment).values(**values))
    payments.place(conn, owner, payment_id, document, left, day)
