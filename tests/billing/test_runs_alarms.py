"""Silence is impossible: a run that bills nobody, or far fewer than usual, says so."""

from datetime import date

import sqlalchemy as sa

from billing.billrun import run_billing
from billing.models import subscription_item, tax_rate
from billing.runs.alarms import Day, Tally, silence, unusual
from core.db import Database
from core.models import event
from tests.billing.stage import START, Stage

FEB, MAR = date(2026, 2, 1), date(2026, 3, 1)
MANY = Tally(500, {"AUD": 4_345_000})


def a_day(**given) -> Day:
    """The second of February of a small ISP: nothing is due, everybody was billed the day before."""
    usual = {"renewing": 500, "shortest": 1, "left": 0, "parked": 0, "week": MANY, "rhythm": MANY}
    empty = {"today": Tally(), "month_ago": Tally()}
    return Day(**{"on": date(2026, 2, 2), **usual, **empty, **given})


def test_a_day_on_which_nothing_is_due_is_no_alarm():
    """A daily run bills nobody most days; so does an ISP without subscriptions, and a second run for a date."""
    assert silence(a_day()) == ""
    assert silence(a_day(renewing=0, week=Tally(), rhythm=Tally())) == ""
    assert silence(a_day(today=MANY, left=3)) == ""


def test_what_is_due_and_not_billed_is_an_alarm():
    """Items that renew and were left, or accounts that are all parked."""
    assert "500 are due" in silence(a_day(left=500))
    assert "2 are due" in silence(a_day(parked=2))


def test_a_period_without_a_bill_is_an_alarm():
    """Items renew every month, and nobody was billed for more than one."""
    assert "500 items renew every 1 months" in silence(a_day(week=Tally(), rhythm=Tally()))


def test_a_day_that_billed_many_a_month_ago_is_an_alarm_unless_they_were_billed_these_days():
    """The first fell on a Sunday and was billed on the second: no alarm."""
    assert "it was 500" in silence(a_day(month_ago=MANY, week=Tally()))
    assert silence(a_day(month_ago=MANY)) == ""


def test_a_count_or_a_total_far_off_the_same_day_a_month_ago_is_told():
    """Half, or twice, counts as far; ten bills are too few to compare."""
    assert unusual(a_day(today=Tally(480, {"AUD": 4_000_000}), month_ago=MANY)) == ()
    told = unusual(a_day(today=Tally(200, {"AUD": 9_000_000}), month_ago=MANY))
    assert [one.partition(": ")[2] for one in told] == [
        "200 bills; a month ago, on 2026-01-02, it was 500",
        "AUD 90000.00 billed; a month ago, on 2026-01-02, it was AUD 43450.00",
    ]
    assert unusual(a_day(today=Tally(), month_ago=Tally(9, {"AUD": 1}))) == ()


def test_a_run_that_bills_nobody_raises_the_alarm_once(database: Database):
    """Somebody moved how far items are billed: the run says so, and its event is recorded once for the date."""
    stage = Stage(database)
    stage.add()
    assert run_billing(database, stage.reader, START).silent == ""
    with database.write() as conn:
        conn.execute(sa.update(subscription_item).values(charged_through=date(2027, 1, 1)))
    assert run_billing(database, stage.reader, START).silent == ""
    for _ in range(2):
        assert "nobody was billed" in run_billing(database, stage.reader, FEB).silent
    assert _events(database, "billing.silent") == [str(FEB)]


def test_a_run_that_parks_everybody_raises_the_alarm(database: Database):
    """The tax rate is gone: all accounts are parked, nobody is billed."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        conn.execute(sa.delete(tax_rate))
    run = run_billing(database, stage.reader, FEB)
    assert (list(run.parked), "1 are due" in run.silent) == ([stage.account], True)


def test_a_run_that_bills_far_fewer_is_told(database: Database):
    """Twelve bills in January, five in February."""
    stages = [Stage(database) for _ in range(12)]
    for stage in stages:
        stage.add()
    run_billing(database, stages[0].reader, START)
    with database.write() as conn:
        some = sa.select(subscription_item.c.id).limit(7)
        conn.execute(
            sa.update(subscription_item)
            .where(subscription_item.c.id.in_(some))
            .values(charged_through=date(2027, 1, 1))
        )
    run = run_billing(database, stages[0].reader, FEB)
    assert run.silent == ""
    assert run.unusual[0] == "2026-02-01: 5 bills; a month ago, on 2026-01-01, it was 12"
    assert _events(database, "billing.unusual") == [str(FEB)]


def _events(database: Database, kind: str) -> list[str]:
    with database.read() as conn:
        return list(conn.execute(sa.select(event.c.subject).where(event.c.type == kind)).scalars())
