"""The simulated ISP: its catalogue, its accounts in a database, and one day of its life.

A day may be lived again from its beginning, whoever died in the middle of it: a step is noted in the transaction that
does it; a run is repeatable by itself until it is noted as ended.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bench import year_money
from bench.year_events import FIRST, Step, Who, by_day, people, willing
from billing import (
    accounts,
    billables,
    billrun,
    catalog,
    crediting,
    debts,
    dunning,
    hearing,
    invoices,
    overrides,
    payments,
    promises,
    subscriptions,
    taxes,
)
from billing.billables import Billable
from billing.closing.closes import close
from billing.closing.recognition import recognise
from billing.errors import NotCreditable
from billing.models import invoice, payment
from billing.timeline import state_on
from core import clock
from core.db import Database
from core.events import Event
from core.money import Money
from intents.plan.schema import Plan, Price
from intents.reader import MemoryReader
from intents.scalars import Amount
from intents.service.schema import Service

_CLOSING_DAY = 10
NOTES = sa.MetaData()
step_done = sa.Table("year_step", NOTES, sa.Column("key", sa.String(80), primary_key=True))
_EVERY = {"fibre": "month", "slow": "month", "yearly": "year", "quarterly": "quarter"}
_AMOUNT = {"fibre": ("79", "85"), "slow": ("49", "52"), "yearly": ("600", "650"), "quarterly": ("237", "240")}


class Year:
    """The year of so many accounts. `days` of it are lived, one after the other."""

    def __init__(self, database: Database, seed: int, count: int, days: int) -> None:
        self.database, self.seed, self.days = database, seed, days
        self.people = people(seed, count)
        self.steps = by_day(seed, self.people, days)
        for who in self.people:
            for step in year_money.story(seed, who, days):
                if step.day < FIRST + timedelta(days=days):
                    self.steps[step.day].append(step)
        services = {(step.service, step.said["plan"]) for step in self._all() if step.what == "activate"}
        services |= {(step.service, "pre") for step in self._all() if step.what == "prepaid"}
        named = [_service(name, plan) for name, plan in sorted(services)]
        self.reader = MemoryReader.of([*_plans(), *year_money.offers(), *named])

    def open(self) -> None:
        """Make accounts and tax rates; once."""
        with self.database.write() as conn:
            NOTES.create_all(conn)
            if accounts.of_customer(conn, "C-1"):
                return
            for profile in ("default", "inclusive"):
                inside = profile == "inclusive"
                taxes.set_rate(
                    conn, "gst", "10%", profile=profile, valid_from=date(2020, 1, 1), inclusive=inside
                )
                taxes.set_rate(
                    conn, "gst", "12.5%", profile=profile, valid_from=date(2026, 7, 1), inclusive=inside
                )
            for who in self.people:
                account = accounts.open_account(
                    conn, f"C-{who.number}", currency=who.currency, timezone=who.zone, anchor=who.anchor,
                    legal_entity=who.entity, tax_profile=who.profile, payment_days=who.payment_days,
                    change_day=who.change_day,
                )  # fmt: skip
                year_money.open_autopay(conn, account, year_money.ways(self.seed, who))

    def live(self, day: date) -> None:
        """One day: what befalls people, the runs, payments, revenue recognised; on the 10th a month is closed."""
        for step in sorted(self.steps.get(day, ()), key=lambda one: (one.moment, one.key)):
            with clock.frozen(step.moment):
                self._once(step.key, step, self._do)
        with clock.frozen(datetime.combine(day, time(12), UTC)):
            self._stage(f"bill:{day}", lambda: billrun.run_billing(self.database, self.reader, day))
            self._stage(f"dunning:{day}", lambda: dunning.run_dunning(self.database, self.reader, day))
            for who in self.people:
                if year_money.ways(self.seed, who) == "hand":
                    self._pay(who, day)
            year_money.evening(self, day)
            closes = day.day == _CLOSING_DAY and day.month > 1
            if closes:  # what was rated late this evening has to be billed before
                self._stage(f"close:{day}", lambda: billrun.run_billing(self.database, self.reader, day))
            recognise(self.database, day)
            if closes:
                close(self.database, day.replace(day=1) - timedelta(days=1), actor="year")

    def last_day(self) -> date:
        """The last day of what is lived."""
        return FIRST + timedelta(days=self.days - 1)

    def account_of(self, number: int) -> str:
        """The account's id: they are opened in order."""
        return f"A-{10_000 + number}"

    def _all(self) -> Iterable[Step]:
        return (step for steps in self.steps.values() for step in steps)

    def _once(self, key: str, step: Any, do: Callable[[Connection, Any], None]) -> None:
        with self.database.write() as conn:
            if conn.execute(sa.select(step_done).where(step_done.c.key == key)).first() is None:
                conn.execute(sa.insert(step_done).values(key=key))
                do(conn, step)

    def _stage(self, key: str, act: Callable[[], Any]) -> None:
        """A run of the day, which is not made again after it was ended: what came in the evening is for tomorrow's."""
        with self.database.read() as conn:
            if conn.execute(sa.select(step_done).where(step_done.c.key == key)).first() is not None:
                return
        act()
        with self.database.write() as conn:
            conn.execute(sa.insert(step_done).values(key=key))

    def _pay(self, who: Who, day: date) -> None:
        account = self.account_of(who.number)
        key = f"{account}:{day}"
        with self.database.read() as conn:
            if conn.execute(sa.select(payment.c.id).where(payment.c.idempotency_key == key)).first():
                return  # this day is lived again: what they were willing to pay they have paid
            owed = [(one.due, one.balance) for one in debts.open_balances(conn, account)]
        amount = willing(self.seed, who, day, owed)
        if amount:
            with self.database.write() as conn:
                payments.pay(conn, account, Money(amount, who.currency), "bank", key, on=day)

    def _do(self, conn: Connection, step: Step) -> None:
        account = self.account_of(step.account)
        owner = accounts.lock(conn, account)
        about_service = step.what != "activate" and step.service.startswith("S-")
        if about_service and not subscriptions.is_billed(conn, step.service):
            return
        (_DO | year_money.DO)[step.what](self, conn, owner, step)

    def terms(self, plan: str, currency: str, on: date) -> Any:
        """What a plan costs in a currency."""
        return catalog.price_on(self.reader, plan, on, currency).terms


def _activate(year: Year, conn: Connection, owner: Any, step: Step) -> None:
    terms = year.terms(step.said["plan"], owner.currency, step.day)
    subscriptions.activate(conn, owner.id, step.service, terms, step.day, "year")


def _change(year: Year, conn: Connection, owner: Any, step: Step) -> None:
    terms = year.terms(step.said["plan"], owner.currency, step.day)
    subscriptions.change_terms(conn, step.service, terms, date.fromisoformat(step.said["on"]), "year")


def _there_and_back(year: Year, conn: Connection, owner: Any, step: Step) -> None:
    before = state_on(subscriptions.item(conn, step.service).events, step.day).terms
    if before is not None:
        other = year.terms(step.said["plan"], owner.currency, step.day)
        for terms in (other, before):
            subscriptions.change_terms(conn, step.service, terms, step.day, "year")


def _cease(_year: Year, conn: Connection, _owner: Any, step: Step) -> None:
    subscriptions.cease(conn, step.service, step.day, "year")


def _hold(reason: str, hear: Any) -> Any:
    def heard(_year: Year, conn: Connection, _owner: Any, step: Step) -> None:
        hear(conn, _event(step, reason))

    return heard


def _usage(_year: Year, conn: Connection, owner: Any, step: Step) -> None:
    kind = "usage" if step.said["amount"] > 0 else "goodwill"
    given = Billable(
        account=owner.id, kind=kind, source=step.key, description=kind, amount=owner.money(step.said["amount"]),
        billed_from=step.day, tax="gst", why={"how": "drawn"},
    )  # fmt: skip
    billables.add(conn, given, actor="year")


def _promise(_year: Year, conn: Connection, owner: Any, step: Step) -> None:
    until = step.day + timedelta(days=step.said["days"])
    promises.make(conn, owner.id, until, actor="year", on=step.day)


def _resume(_year: Year, conn: Connection, owner: Any, _step: Step) -> None:
    overrides.resume(conn, owner.id, "year")


def _credit(_year: Year, conn: Connection, owner: Any, step: Step) -> None:
    """The account's newest invoice: the whole, or the first line, or a third of it."""
    query = sa.select(invoice).where(
        invoice.c.account_id == owner.id, invoice.c.state == "final", invoice.c.kind == "invoice"
    )
    row = conn.execute(query.order_by(invoice.c.sequence.desc())).first()
    if row is None:
        return
    first = invoices.lines(conn, row.id)[0]["amount"]
    third = owner.money(first // 3) if first >= 3 else None
    parts: list[Any] = [None, {1: None}, {1: third}]
    with suppress(NotCreditable):
        crediting.credit(
            conn, row.id, parts[step.said["part"]], actor="year", reason="goodwill", key=step.key, on=step.day
        )


def _event(step: Step, reason: str) -> Event:
    seq = int(step.moment.timestamp())
    said = {"service": step.service, "reason": reason, "set_id": None, "commit": "0" * 40}
    return Event(
        id=step.key,
        type="hold",
        occurred_at=step.moment,
        subject=step.service,
        actor="somebody",
        data=said,
        seq=seq,
    )


_DO: dict[str, Callable[[Year, Connection, Any, Step], None]] = {
    "activate": _activate,
    "change": _change,
    "there and back": _there_and_back,
    "cease": _cease,
    "leave on vacation": _hold("vacation", hearing.hold_added),
    "return": _hold("vacation", hearing.hold_removed),
    "lifted by somebody": _hold("nonpayment", hearing.hold_removed),
    "held by somebody": _hold("nonpayment", hearing.hold_added),
    "usage": _usage,
    "goodwill": _usage,
    "promise": _promise,
    "resume": _resume,
    "credit": _credit,
}


def _plans() -> list[tuple[str, str, Plan]]:
    """Every plan has a second, dearer version from June on, with a set-up fee; who was there before keeps the first."""
    return [("plan", name, Plan(type="internet", name=name, prices=_prices(name))) for name in _EVERY]


def _prices(name: str) -> tuple[Price, ...]:
    every: Any = _EVERY[name]
    old, new = _AMOUNT[name]
    return year_money.in_each(
        Price(id="2025a", from_=date(2025, 1, 1), amount=Amount(old), every=every, tax="gst"),
        Price(
            id="2026b", from_=date(2026, 6, 1), amount=Amount(new), every=every, tax="gst", setup=Amount("25")
        ),
    )


def _service(name: str, plan: str) -> tuple[str, str, Service]:
    return "service", name, Service(customer="C", type="internet", state="active", plan=plan, line="L")
