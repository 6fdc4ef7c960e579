"""A small ISP on stage: plans and services in memory, accounts in the database."""

import itertools
from collections.abc import Iterable
from datetime import date
from typing import Any

import sqlalchemy as sa

from billing import accounts, catalog, subscriptions, taxes
from billing.models import allocation, charge, invoice, ledger_entry, ledger_transaction, payment
from core.db import Database
from core.money import Money
from intents.models import change, change_set
from intents.plan.schema import Plan, Price
from intents.reader import MemoryReader
from intents.service.schema import Service

_numbers = itertools.count(1)
START = date(2026, 1, 1)


def price(version: str, amount: str, since: date = date(2025, 1, 1), **given: Any) -> Price:
    """A price version."""
    return Price(id=version, from_=since, amount=amount, tax="gst", **given)  # type: ignore[arg-type]


PLANS = {
    "fibre": Plan(type="internet", name="Fibre 500", prices=(price("2025a", "79.00"),)),
    "slow": Plan(type="internet", name="Fibre 50", prices=(price("2025a", "49.00"),)),
    "yearly": Plan(
        type="internet", name="Fibre by the year", prices=(price("2025a", "600.00", every="year"),)
    ),
    "quarterly": Plan(type="internet", name="Quarter", prices=(price("2025a", "237.00", every="quarter"),)),
}


def a_service(**given: Any) -> Service:
    """An active service."""
    values: dict[str, Any] = {"customer": "C-1", "type": "internet", "state": "active", "plan": "fibre"}
    return Service(**{**values, "line": "L-1", **given})


def reader_of(
    services: dict[str, Service] | None = None, plans: dict[str, Plan] | None = None
) -> MemoryReader:
    """A reading of the plans and these services."""
    named = [("service", name, value) for name, value in (services or {}).items()]
    sold = {**PLANS, **(plans or {})}
    return MemoryReader.of([*named, *(("plan", name, value) for name, value in sold.items())])


class Stage:
    """An account with services. `entity` keeps each stage's invoice numbers apart."""

    def __init__(self, database: Database, anchor: int = 1, currency: str = "AUD", **given: Any) -> None:
        self.database = database
        self.number = next(_numbers)
        self.entity = f"e{self.number}"
        self.services: dict[str, Service] = {}
        terms: dict[str, Any] = {
            "timezone": "Australia/Perth",
            "legal_entity": self.entity,
            "tax_profile": self.entity,
        }
        with database.write() as conn:
            self.account = accounts.open_account(
                conn, f"C-{self.number}", currency=currency, anchor=anchor, **{**terms, **given}
            )
            taxes.set_rate(conn, "gst", "10%", profile=self.entity, valid_from=date(2000, 1, 1))

    def add(self, on: date = START, plan: str = "fibre", **given: Any) -> str:
        """Activate a service; returns its id."""
        name = f"S-{self.number}-{len(self.services) + 1}"
        self.services[name] = a_service(plan=plan, **given)
        with self.database.write() as conn:
            subscriptions.activate(conn, self.account, name, self.terms(plan, on), on, "test")
        return name

    def terms(self, plan: str = "fibre", on: date = START):
        """The plan's pinned price."""
        with self.database.read() as conn:
            currency = accounts.get(conn, self.account).currency
        return catalog.price_on(self.reader, plan, on, currency).terms

    @property
    def reader(self) -> MemoryReader:
        """What the repository says."""
        return reader_of(self.services)

    def money(self, text: str) -> Money:
        """An amount in the account's currency."""
        return Money.parse(text, "AUD")

    def invoices(self) -> list[Any]:
        """Its invoices by number."""
        return self._rows(
            sa.select(invoice).where(invoice.c.account_id == self.account).order_by(invoice.c.id)
        )

    def charges(self) -> list[Any]:
        """Its charges by interval."""
        query = sa.select(charge).where(charge.c.account_id == self.account)
        return self._rows(query.order_by(charge.c.part_start, charge.c.id))

    def standing(self) -> list[Any]:
        """Charges that no other takes back."""
        rows = self.charges()
        back = {row.reverses for row in rows}
        return [row for row in rows if row.reverses is None and row.id not in back]

    def net(self) -> int:
        """Everything charged minus everything taken back, in minor units as listed."""
        return sum(row.amount for row in self.charges())

    def allocations(self) -> list[Any]:
        """Its allocations."""
        query = sa.select(allocation).join(payment, payment.c.id == allocation.c.payment_id)
        return self._rows(query.where(payment.c.account_id == self.account))

    def ledger(self) -> list[Any]:
        """Its ledger entries."""
        query = sa.select(ledger_entry, ledger_transaction.c.kind, ledger_transaction.c.booked_on).join(
            ledger_transaction, ledger_transaction.c.id == ledger_entry.c.transaction_id
        )
        return self._rows(query.where(ledger_transaction.c.account_id == self.account))

    def _rows(self, query: Any) -> list[Any]:
        with self.database.read() as conn:
            return list(conn.execute(query).all())


def changes_of(database: Database, set_id: str | None) -> list[Any]:
    """The changes of a change set."""
    query = sa.select(change).where(change.c.set_id == set_id).order_by(change.c.path)
    with database.read() as conn:
        return list(conn.execute(query).all())


def all_sets(database: Database) -> list[Any]:
    """Every change set, in order."""
    with database.read() as conn:
        return list(conn.execute(sa.select(change_set).order_by(change_set.c.seq)).all())


def totals(rows: Iterable[Any]) -> int:
    """The sum of their amounts."""
    return sum(row.amount for row in rows)
