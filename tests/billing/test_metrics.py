"""MRR and what moved it: against the timelines folded one by one in Python, and adding up exactly."""

from collections import defaultdict
from contextlib import suppress
from datetime import date, timedelta
from fractions import Fraction

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings

from bench.year_events import FIRST
from bench.year_world import Year
from billing import accounts, subscriptions, taxes
from billing.agenda import transfers
from billing.billrun import run_billing
from billing.books.metrics import metrics
from billing.errors import TaxRateMissing
from billing.timeline import state_on
from core import migrate
from core.db import Database
from core.money import Money, half_up
from tests.billing.stage import START, Stage
from tests.billing.world import MONTHS, World, worlds

FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip


def months(database: Database, since: date, until: date):
    """The report."""
    with database.read() as conn:
        return metrics(conn, since, until)


def worth(conn, owner, events, day: date) -> int | None:
    """What an item is worth a month on a day, told by the pure timeline; None where it does not run."""
    state = state_on(events, day)
    if state.terms is None:
        return None
    if state.blocked:
        return 0
    whole = 1_000_000
    with suppress(TaxRateMissing):
        rate = taxes.rate_on(conn, owner.tax_profile, state.terms.tax, day)
        whole += rate.millionths if rate.inclusive else 0
    return half_up(Fraction(state.terms.price.minor * 1_000_000, whole * state.terms.months))


def by_hand(database: Database, day: date) -> tuple[dict[str, int], dict[tuple[str, str], list[int]]]:
    """Account -> its worth at the end of a day; (currency, plan) -> [items, worth]: item by item."""
    found: dict[str, int] = {}
    plans: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    with database.read() as conn:
        for item in subscriptions.items(conn, sa.true()):
            owner = accounts.get(conn, item.account)
            amount = worth(conn, owner, item.events, day)
            if amount is not None:
                found[item.account] = found.get(item.account, 0) + amount
                terms = state_on(item.events, day).terms
                plan = plans[owner.currency, terms.plan if terms else ""]
                plan[0], plan[1] = plan[0] + 1, plan[1] + amount
    return found, plans


def require_right(database: Database, since: date, until: date) -> None:
    """Every month: adds up, equals what is folded by hand, and each account is in one movement."""
    told = months(database, since, until)
    with database.read() as conn:
        currencies = {one.id: one.currency for one in accounts.by_ids(conn, list(_all(conn)))}
    for one in told:
        moved = one.opening + one.new + one.reactivation + one.expansion - one.contraction - one.churn
        assert moved == one.closing
        assert (
            one.accounts_opening + one.accounts_new + one.accounts_reactivated - one.accounts_churned
            == one.accounts_closing
        )
        last = (one.month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        before, _ = by_hand(database, one.month - timedelta(days=1))
        after, plans = by_hand(database, last)
        mine = {name for name, currency in currencies.items() if currency == one.closing.currency}
        assert one.opening.minor == sum(minor for name, minor in before.items() if name in mine)
        assert one.closing.minor == sum(minor for name, minor in after.items() if name in mine)
        assert one.accounts_closing == len(mine & set(after))
        assert one.churn.minor == sum(before[name] for name in mine & set(before) - set(after))
        grown = [after[name] - before[name] for name in mine & set(before) & set(after)]
        assert one.expansion.minor == sum(minor for minor in grown if minor > 0)
        assert {(p.plan, p.items, p.mrr.minor) for p in one.plans} == {
            (plan, *sums) for (currency, plan), sums in plans.items() if currency == one.closing.currency
        }


def _all(conn):
    from billing.models import account

    return conn.execute(sa.select(account.c.id)).scalars().all()


def test_what_goes_to_another_account_is_neither_churn_nor_new(database: Database):
    """There and back, to one that is there and dearer, one of two and then it ends, the last one and then it ends."""
    stage, other, third = (Stage(database) for _ in range(3))
    service, there = stage.add(plan="slow"), other.add(plan="slow")
    with database.write() as conn:
        for to, on in ((third, date(2026, 2, 28)), (stage, date(2026, 3, 2)), (other, date(2026, 3, 9))):
            transfers.transfer(conn, service, to.account, on, "t")
        subscriptions.change_terms(conn, service, other.terms("fibre"), date(2026, 3, 10), "t")
        for name, to, month in ((there, third, 4), (service, stage, 5)):
            transfers.transfer(conn, name, to.account, date(2026, month, 4), "t")
            subscriptions.cease(conn, name, date(2026, month, 20), "t")
    told = months(database, START, date(2026, 6, 1))
    assert [(one.new.minor, one.reactivation.minor, one.churn.minor) for one in told] == [
        (9800, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 7900),
    ]  # fmt: skip
    assert [one.expansion.minor - one.contraction.minor for one in told] == [0, 0, 3000, -4900, 0]
    assert [
        (one.accounts_opening, one.accounts_new, one.accounts_reactivated, one.accounts_churned, one.accounts_closing)
        for one in told
    ] == [(0, 2, 0, 0, 2), (2, 0, 0, 0, 2), (2, 0, 0, 1, 1), (1, 0, 0, 0, 1), (1, 0, 0, 1, 0)]  # fmt: skip


def test_a_story_of_one_account(database: Database):
    """New in January, dearer in February, cheaper in March, gone in April, back in May."""
    stage = Stage(database)
    service = stage.add(plan="slow")
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        subscriptions.change_terms(conn, service, stage.terms("fibre"), date(2026, 2, 10), "t")
        subscriptions.change_terms(conn, service, stage.terms("yearly"), date(2026, 3, 5), "t")
        subscriptions.cease(conn, service, date(2026, 4, 20), "t")
        subscriptions.activate(conn, stage.account, service, stage.terms("fibre"), date(2026, 5, 2), "t")
    told = {one.month.month: one for one in months(database, START, date(2026, 6, 1))}
    assert (told[1].new.minor, told[1].accounts_new, told[1].billed.minor) == (4900, 1, 4900)
    assert (told[2].expansion.minor, told[2].closing.minor) == (3000, 7900)
    assert (told[3].contraction.minor, told[3].closing.minor, told[3].revenue_churn) == (
        2900,
        5000,
        Fraction(29, 79),
    )
    assert (told[4].churn.minor, told[4].logo_churn, told[4].arpu.minor) == (5000, 1, 0)
    assert (told[5].reactivation.minor, told[5].accounts_reactivated, told[5].new.minor) == (7900, 1, 0)


def test_who_pauses_stays_a_customer(database: Database):
    """A vacation over the end of January is contraction, its end expansion; nobody has left."""
    stage = Stage(database)
    service = stage.add(on=date(2025, 12, 1))
    with database.write() as conn:
        subscriptions.block(conn, service, date(2026, 1, 20), "t")
        subscriptions.unblock(conn, service, date(2026, 2, 20), "t")
    january, february = months(database, START, date(2026, 3, 1))
    assert (january.contraction.minor, january.accounts_churned, january.accounts_closing) == (7900, 0, 1)
    assert (february.expansion.minor, february.accounts_reactivated) == (7900, 0)


def test_prices_that_contain_tax_count_without_it(database: Database):
    """79.00 with 10% in it is worth 71.82."""
    stage = Stage(database)
    with database.write() as conn:
        taxes.set_rate(conn, "gst", "10%", profile=stage.entity, valid_from=START, inclusive=True)
    stage.add()
    (january,) = months(database, START, date(2026, 2, 1))
    assert january.closing == Money(7182, "AUD")


def test_nobody_and_no_months(database: Database):
    """Nothing is told of nothing."""
    assert months(database, START, START) == []
    assert months(database, START, date(2026, 3, 1)) == []


@FEW
@given(worlds)
def test_metrics_are_the_timelines_folded_one_by_one(database: Database, told):
    """Random stories on both databases."""
    world = World(database, told)
    for n in range(len(MONTHS)):
        world.go(n)
    require_right(database, date(2025, 12, 1), date(2026, 6, 1))


@pytest.mark.parametrize("seed", [3, 4])
def test_metrics_of_a_simulated_half_year(tmp_path, seed: int):
    """Four currencies, vacations, changes to and fro, cessations, taxes inside and out, a new rate in July."""
    database = Database(f"sqlite:///{tmp_path / 'year.db'}", durable=False)
    migrate.upgrade(database)
    year = Year(database, seed, 25, 220)
    year.open()
    for day in sorted(year.steps):
        for step in year.steps[day]:
            if step.what not in (
                "usage",
                "goodwill",
                "credit",
                "promise",
                "resume",
                "lifted by somebody",
                "held by somebody",
            ):
                year._once(step.key, step, year._do)
    require_right(database, FIRST, date(2026, 9, 1))
    database.close()
