"""The gateway of the simulated year: what becomes of a charge depends on the seed, the account and the day alone."""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta

import sqlalchemy as sa

from billing.gateways.models import attempt
from billing.gateways.protocol import Answer, Giveback, Order, Stored, Told
from billing.gateways.state import CHARGE, DEBIT, FAILED, PENDING, SUCCEEDED, Fact
from core import clock
from core.db import Database

GATEWAY = "year"
_DAYS, _BACK = 4, 9
"""A debit is decided after so many days; its bank may send it back after so many."""
_FATES = {
    "card": (SUCCEEDED, SUCCEEDED, SUCCEEDED, "card_declined", "insufficient_funds", "stolen_card"),
    "debit": (SUCCEEDED, SUCCEEDED, SUCCEEDED, "returned", "insufficient_funds", "account_closed"),
}


class YearGateway:
    """Cards at once, debits later. A customer is `card:ACCOUNT` or `debit:ACCOUNT`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def describe(self, customer: str, method: str) -> Stored:
        """Never asked in this year."""
        raise NotImplementedError

    def charge(self, order: Order) -> Answer:
        """The same day, the same answer."""
        today = clock.now().date()
        return self._said(f"{order.customer}:{today}:{order.key}")

    def fetch(self, reference: str) -> Answer:
        """A debit is decided by now, or not."""
        return self._said(reference)

    def find(self, _order: Order) -> Answer | None:
        """Nothing is asked for on another day."""
        return None

    def returned(self, database: Database, day: date) -> Iterator[Told]:
        """Debits that their bank sends back on a day, in the order of accounts."""
        ordered = day - timedelta(days=_BACK)
        query = sa.select(attempt.c.reference).where(attempt.c.reference.like(f"debit:%:{ordered}:%"))
        with database.read() as conn:
            found = conn.execute(query.order_by(attempt.c.account_id)).scalars().all()
        for reference in found:
            if self._fate(reference) == "returned":
                fact = Fact(DEBIT, FAILED, _at(day), code="refer_to_payer")
                yield Told(id=f"{reference}:back", kind="back", reference=reference, fact=fact)

    def refund(self, wanted: Giveback) -> Fact:
        """Never asked in this year."""
        raise NotImplementedError

    def find_refund(self, wanted: Giveback) -> Fact | None:
        """Never asked in this year."""
        raise NotImplementedError

    def fetch_refund(self, reference: str) -> Answer:
        """Never asked in this year."""
        raise NotImplementedError

    def read_events(self, headers: Mapping[str, str], body: bytes) -> list[Told]:
        """Never asked in this year."""
        raise NotImplementedError

    def events(self, since: datetime, until: datetime) -> Iterator[Told]:
        """Never asked in this year."""
        raise NotImplementedError

    def _said(self, reference: str) -> Answer:
        way, _account, day, _key = reference.split(":")
        ordered, fate = date.fromisoformat(day), self._fate(reference)
        what = SUCCEEDED if fate in (SUCCEEDED, "returned") else FAILED
        code = fate if what == FAILED else ""
        if way == "card":
            return Answer(reference, (Fact(CHARGE, what, _at(ordered), code=code),))
        decided = ordered + timedelta(days=_DAYS)
        if clock.now().date() < decided:
            return Answer(reference, (Fact(DEBIT, PENDING, _at(ordered)),))
        return Answer(reference, (Fact(DEBIT, what, _at(decided), code=code),))

    def _fate(self, reference: str) -> str:
        way, account, day, _key = reference.split(":")
        return random.Random(f"{self._seed}:{account}:{day}").choice(_FATES[way])


def _at(day: date) -> int:
    return int(datetime.combine(day, time(12), UTC).timestamp())
