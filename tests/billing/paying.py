"""A gateway in this process that does as it is told, and an account that pays through it by itself."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa

from billing import debts
from billing.billrun import run_billing
from billing.gateways import asking, autopay, recording
from billing.gateways.errors import GatewayRefused, GatewaySilent
from billing.gateways.models import attempt
from billing.gateways.protocol import Answer, Giveback, Order, Stored, Told
from billing.gateways.state import CHARGE, REFUND, SUCCEEDED, Fact
from billing.models import payment
from core import clock
from core.db import Database
from core.jobs import Job
from tests.billing.stage import START, Stage

DUE = date(2026, 1, 15)


class Fake:
    """A gateway that does as it is told: `says` are facts by the number of the charge, `loses` answers get lost."""

    def __init__(self, says: Mapping[int, Fact] | None = None, loses: int = 0) -> None:
        self.says, self.loses = dict(says or {}), loses
        self.charged: dict[str, Order] = {}
        self.refunded: dict[str, Giveback] = {}
        self.refuses: Exception | None = None
        self.asked = 0

    def describe(self, customer: str, method: str) -> Stored:
        """Any method can be used."""
        return Stored(label=f"{customer} {method}")

    def charge(self, order: Order) -> Answer:
        """Once for a key, whatever the answer's fate."""
        self.asked += 1
        self._may_refuse()
        self.charged.setdefault(order.key, order)
        self._may_lose()
        return self._said(order.key)

    def fetch(self, reference: str) -> Answer:
        """What it said."""
        return self._said(reference.removeprefix("pi_"))

    def find(self, order: Order) -> Answer | None:
        """By our key."""
        return self._said(order.key) if order.key in self.charged else None

    def refund(self, wanted: Giveback) -> Fact:
        """Once for a key, whatever the answer's fate."""
        self._may_refuse()
        self.refunded.setdefault(wanted.key, wanted)
        self._may_lose()
        return self._given(wanted)

    def find_refund(self, wanted: Giveback) -> Fact | None:
        """By our key."""
        return self._given(wanted) if wanted.key in self.refunded else None

    def fetch_refund(self, reference: str) -> Answer:
        """Of another account's key: it does not know it."""
        raise GatewayRefused("fake", "No such refund")

    def read_events(self, headers: Mapping[str, str], body: bytes) -> list[Told]:
        """Never asked here."""
        raise NotImplementedError

    def events(self, since: datetime, until: datetime) -> Iterator[Told]:
        """None."""
        return iter(())

    def _may_refuse(self) -> None:
        if self.refuses is not None:
            raise self.refuses

    def _may_lose(self) -> None:
        if self.loses:
            self.loses -= 1
            raise GatewaySilent("fake", "timeout")

    def _given(self, wanted: Giveback) -> Fact:
        return Fact(REFUND, SUCCEEDED, 0, f"re_{wanted.key}", wanted.amount, "", wanted.key)

    def _said(self, key: str) -> Answer:
        number = list(self.charged).index(key) + 1
        return Answer(f"pi_{key}", (self.says.get(number, Fact(CHARGE, SUCCEEDED)),))


class Paying(Stage):
    """An account with one open invoice of AUD 86.90, due on DUE, and autopay. Its clock stands at the planned day."""

    today = DUE
    later = timedelta(0)

    def __init__(self, database: Database, days_before: int = 0, **given: Any) -> None:
        super().__init__(database, **given)
        self.add()
        run_billing(database, self.reader, START)
        with database.write() as conn:
            terms = autopay.Method(
                gateway="fake", customer="cus_1", method="pm_1", label="visa 4242", days_before=days_before
            )
            autopay.switch_on(conn, self.account, terms, actor="ada")

    def tries(self) -> list[Any]:
        """Its attempts in order."""
        return self._rows(
            sa.select(attempt).where(attempt.c.account_id == self.account).order_by(attempt.c.number)
        )

    def plan(self, on: date) -> list[Any]:
        """Plan, and its attempts."""
        self.today = on
        autopay.plan(self.database, on)
        return self.tries()

    def perform(self, gateway: Fake) -> None:
        """Perform the newest attempt's job."""
        work = Job(1, asking.CHARGE, {"attempt": self.tries()[-1].id}, 1)
        with clock.frozen(self.now()):
            autopay.perform(self.database, work, lambda _name: gateway)

    def now(self) -> datetime:
        """Noon in the west of Australia."""
        return datetime.combine(self.today, time(4), UTC) + self.later

    def open(self) -> int:
        """What is open, in minor units."""
        with self.database.read() as conn:
            return sum(one.balance for one in debts.open_balances(conn, self.account))

    def paid(self) -> list[int]:
        """Amounts of its payments."""
        return [
            row.amount for row in self._rows(sa.select(payment).where(payment.c.account_id == self.account))
        ]

    def hear(self, number: int, fact: Fact | None, reference: str = "", named: bool = True) -> bool:
        """An event about the last attempt."""
        told = Told(id=f"evt_{self.number}_{number}", kind="x", attempt=self.tries()[-1].id if named else "",
                    reference=reference, fact=fact)  # fmt: skip
        with clock.frozen(self.now()), self.database.write() as conn:
            return recording.hear(conn, "fake", told)
