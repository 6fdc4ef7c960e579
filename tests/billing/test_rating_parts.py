"""A month in parts: pauses and days at another plan give no cap or tiers twice, and lose nothing that was left."""

from datetime import date
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from billing import subscriptions
from billing.rating import allowance
from billing.rating.allowance import Lot
from billing.rating.models import usage_rated
from billing.rating.running import rate
from core.db import Database
from intents.plan.schema import Plan, Usage, UsageTier
from intents.reader import MemoryReader
from intents.scalars import Amount
from tests.billing.stage import START, price, reader_of
from tests.billing.test_rating import APR, FEB, GB, MAR, Metered

MAY = date(2026, 5, 1)


def _plan(version: str, **usage: Any) -> Plan:
    given: dict[str, Any] = {"meter": "bytes", "per": "1G"} | usage
    return Plan(type="internet", name=version, prices=(price(version, "30.00", usage=(Usage(**given),)),))


_TIERS = (UsageTier(upto="100G", price=Amount("1.00")), UsageTier(price=Amount("0.10")))
PLANS = {
    "rolls": _plan("r1", price="0.50", included="31G", rolls=1),
    "rolls too": _plan("r2", price="0.40", included="31G", rolls=1),
    "capped": _plan("c1", price="0.50", cap="80.00"),
    "graduated": _plan("g1", model="graduated", tiers=_TIERS),
    "package": _plan("p1", model="package", per="100G", price="10.00"),
}


class _Parts(Metered):
    @property
    def reader(self) -> MemoryReader:
        """With plans of which a month may have several parts."""
        return reader_of(self.services, PLANS)

    def away(self, service: str, since: date, until: date) -> None:
        """On vacation."""
        with self.database.write() as conn:
            subscriptions.block(conn, service, since, "test")
            subscriptions.unblock(conn, service, until, "test")

    def change(self, service: str, plan: str, on: date) -> None:
        """To another plan."""
        with self.database.write() as conn:
            subscriptions.change_terms(conn, service, self.terms(plan), on, "test")

    def rate(self, on: date) -> list[tuple[date, str]]:
        """What changed: the first day and what it comes to."""
        changes = rate(self.database, self.reader, on).changes
        return [(one.period.start, str(one.amount)) for one in changes]

    def lots(self) -> list[Any]:
        """What is left of each row, in GB."""
        query = (
            sa.select(usage_rated).where(usage_rated.c.account_id == self.account).order_by("period_start")
        )
        return [(row.period_start, [left // GB for _, left in row.lots]) for row in self._rows(query)]


@pytest.mark.parametrize(
    ("plan", "amount"), [("capped", "80.00"), ("graduated", "110.00"), ("package", "20.00")]
)
def test_a_pause_gives_no_second_cap_tiers_or_packages(database: Database, plan: str, amount: str) -> None:
    """100 GB before a day of vacation and 100 GB after it are the 200 GB of the month."""
    stage = _Parts(database)
    service = stage.add(plan=plan)
    stage.away(service, date(2026, 1, 15), date(2026, 1, 16))
    for day in (5, 25):
        stage.used(service, date(2026, 1, day), 100 * GB)
    assert stage.rate(FEB) == [(START, f"AUD {amount}")]
    assert stage.rate(FEB) == []


def test_days_at_another_plan_give_no_second_cap(database: Database) -> None:
    """There and back within a month: the first plan's days are rated as one, the other's by themselves."""
    stage = _Parts(database)
    service = stage.add(plan="capped")
    stage.change(service, "graduated", date(2026, 1, 11))
    stage.change(service, "capped", date(2026, 1, 21))
    for day in (5, 15, 25):
        stage.used(service, date(2026, 1, day), 150 * GB)
    assert stage.rate(FEB) == [(START, "AUD 80.00"), (date(2026, 1, 11), "AUD 105.00")]


def test_what_is_left_on_both_sides_of_a_pause_rolls_over(database: Database) -> None:
    """10 days and 11 days of 31 GB in 31 days: 21 GB are left for February."""
    stage = _Parts(database)
    service = stage.add(plan="rolls")
    stage.away(service, date(2026, 1, 11), date(2026, 1, 21))
    stage.used(service, date(2026, 2, 5), 52 * GB)
    assert stage.rate(FEB) == [(START, "AUD 0.00")]
    assert stage.lots() == [(START, [21])]
    assert stage.rate(MAR) == [(FEB, "AUD 0.00")]


def test_what_is_left_at_one_plan_rolls_over_at_the_next(database: Database) -> None:
    """20 days at one, 11 at the other, nothing used: all 31 GB are there in February."""
    stage = _Parts(database)
    service = stage.add(plan="rolls")
    stage.change(service, "rolls too", date(2026, 1, 21))
    stage.used(service, date(2026, 2, 5), 62 * GB)
    stage.rate(FEB)
    assert stage.lots()[-1] == (date(2026, 1, 21), [31])
    assert stage.rate(MAR) == [(FEB, "AUD 0.00")]


def test_what_was_left_of_days_that_are_rated_otherwise_is_not_left_any_more(database: Database) -> None:
    """A change was a mistake. Months later, when only February is looked at again, its days count no more."""
    stage = _Parts(database)
    service = stage.add(plan="rolls")
    stage.change(service, "rolls too", date(2026, 1, 21))
    stage.rate(FEB)
    stage.change(service, "rolls", date(2026, 1, 21))
    stage.used(service, date(2026, 2, 5), 50 * GB)
    for on in (date(2026, 2, 2), MAR, APR):
        stage.rate(on)
    assert stage.rate(MAY) == [(APR, "AUD 0.00")]
    assert [row.amount for row in stage.rated()] == []


def test_days_that_are_rated_again_after_they_were_taken_back_count_again(database: Database) -> None:
    """The mistake was none: what is left of those days is there."""
    stage = _Parts(database)
    service = stage.add(plan="rolls")
    stage.change(service, "rolls too", date(2026, 1, 21))
    before = stage.rate(FEB), stage.lots()
    stage.change(service, "rolls", date(2026, 1, 21))
    stage.rate(date(2026, 2, 2))
    assert stage.lots() == [(START, [31]), (date(2026, 1, 21), [])]
    stage.change(service, "rolls too", date(2026, 1, 21))
    assert (stage.rate(date(2026, 2, 2)), stage.lots()) == before


_days = st.lists(st.integers(1, 30), min_size=1, max_size=4, unique=True)


@given(_days, st.lists(st.integers(0, 60), min_size=5, max_size=5), st.integers(1, 3))
def test_a_month_in_parts_gives_what_the_whole_month_gives(
    cuts: list[int], used: list[int], rolls: int
) -> None:
    """Part after part of one allowance: nothing more is over than of the whole, and as much is left."""
    edges = [0, *sorted(cuts), 31]
    spans = [later - earlier for earlier, later in pairwise(edges)]
    lots: tuple[Lot, ...] = (Lot(6, 40),)
    over = 0
    for days, quantity in zip(spans, used, strict=False):
        found = allowance.use(7, quantity, allowance.share(31, days, 31), rolls, lots)
        lots, over = found.lots, over + found.over
    whole = allowance.use(7, sum(used[: len(spans)]), 31, rolls, (Lot(6, 40),))
    assert over >= whole.over
    if not over:
        assert sum(lot.left for lot in lots) == sum(lot.left for lot in whole.lots)
