"""Contracts, minimum commitments and billing in arrears."""

from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import billables
from billing.billables import Billable
from billing.explain import explain
from billing.models import billable, subscription_item
from billing.offers import contracts, view
from billing.offers.commitments import owed
from billing.offers.leaving import leaving
from billing.periods import clamped, month_index
from billing.runs.ranges import due
from billing.subscriptions import Item
from billing.timeline import Contract, Event, EventKind, Terms, ought
from core.db import Database
from core.money import Money
from tests.billing.selling import APR, FEB, MAR, START, Shop
from tests.support import examples

FEE = Contract(months=12, each=Money(1000, "AUD"))
TERMS = Terms("each", "a", Money(6000, "AUD"), contract=FEE)
MAY = date(2026, 5, 1)
FEW = settings(
    max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def fees(found: list[tuple[str, str, int]]) -> list[tuple[str, int]]:
    """Only the early-termination fees."""
    return [(day, amount) for day, kind, amount in found if kind == "termination"]


@pytest.mark.parametrize("begun", [date(2026, 1, 1), date(2026, 1, 31), date(2028, 2, 29)])
def test_the_fee_at_every_month_edge(begun: date):
    """The day before, at, and after each month of the term: n months are left until and on the edge, then n - 1."""
    for month in range(1, 12):
        edge = clamped(begun.day, month_index(begun) + month)
        for shift, left in ((-1, 13 - month), (0, 12 - month), (1, 12 - month)):
            story = [
                Event(begun, 1, EventKind.ACTIVATED, TERMS),
                Event(edge + timedelta(shift), 2, EventKind.CEASED),
            ]
            (one,) = contracts.terminations(story, date(2030, 1, 1))
            assert (one.part.start, one.amount.minor) == (edge + timedelta(shift), left * 1000), (
                month,
                shift,
            )
    end = clamped(begun.day, month_index(begun) + 12)
    for shift, many in ((-1, 1), (0, 0), (1, 0)):
        story = [
            Event(begun, 1, EventKind.ACTIVATED, TERMS),
            Event(end + timedelta(shift), 2, EventKind.CEASED),
        ]
        assert len(list(contracts.terminations(story, date(2030, 1, 1)))) == many


@settings(max_examples=200)
@given(
    st.dates(date(2026, 1, 1), date(2028, 12, 31)),
    st.integers(1, 36),
    st.integers(0, 24),
    st.integers(0, 2000),
)
def test_a_term_tiles_time_and_what_is_left_never_grows_within_it(begun, months, renew, days):
    """On any day: the term holds it, months left are 1 to the term's, a day later never more within one term."""
    contract = Contract(months=months, renew=renew, since=begun)
    day = begun + timedelta(days)
    found, later = contracts.on(contract, day), contracts.on(contract, day + timedelta(1))
    if found is None:
        assert not renew
        assert clamped(begun.day, month_index(begun) + months) <= day
        return
    assert begun <= day < found.until
    assert 1 <= found.left <= max(months, months + renew)
    assert later is None or later.until != found.until or later.left <= found.left


def test_leaving_within_the_term_is_billed_once_and_taken_back_with_the_cessation(database: Database):
    """200.00 on the day; corrected to an earlier day; come back the same day: no fee at all."""
    shop = Shop(database)
    service = shop.add(plan="fixed")
    shop.bill(START, FEB)
    with database.read() as conn:
        within, after = (leaving(conn, service, day) for day in (date(2026, 2, 20), date(2028, 1, 1)))
    assert within == (
        "AUD 200.00, early-termination fee of AUD 200.00 within the term of 2026-01-01 to 2028-01-01 (exclusive)"
    )
    assert after == ""
    shop.happen("cease", service, date(2026, 2, 20))
    assert fees(shop.bill(date(2026, 2, 20), MAR)) == [("02-20", 20_000)]
    run = shop.invoices()[-1]
    with database.read() as conn:
        told = explain(conn, run.id)["lines"]
    assert any(
        one["what"] == "Two years: early termination on 2026-02-20"
        and "AUD 200.00 within the term of 2026-01-01 to 2028-01-01 (exclusive)" in one["why"]
        for one in told
    )
    assert any(line.kind == "termination" for line in shop._rows(_lines_of(run.id)))
    assert shop.bill(APR) == shop.ought(APR)


@FEW
@given(
    st.sampled_from(["fixed", "each", "share", "fibre"]),
    st.sampled_from(["each", "fibre"]),
    st.integers(1, 900),
)
def test_what_leaving_costs_is_said_before_as_it_is_billed_then(database: Database, plan, other, days):
    """Any plan, another one from March, the end on any day: the sentence has the very fee that is owed then."""
    shop = Shop(database)
    service = shop.add(plan=plan)
    shop.happen("", service, MAR, other)
    day = START + timedelta(days)
    with database.read() as conn:
        said = leaving(conn, service, day)
    shop.happen("cease", service, day)
    billed = [Money(minor, "AUD") for _, minor in fees(shop.ought(day))]
    assert said.partition(",")[0] == (str(billed[0]) if billed else "")


def test_an_upgrade_renews_the_term_and_a_plan_without_one_keeps_it(database: Database):
    """Fixed -> a year: a new term of 12 months from then. A year -> fibre -> left: the year's fee still."""
    up, down = Shop(database), Shop(database)
    one, other = up.add(plan="fixed"), down.add(plan="each")
    up.bill(START)
    up.happen("", one, FEB, "each")
    assert fees(up.bill(FEB)) == []
    with database.read() as conn:
        (plan,) = view.of_service(conn, one, FEB)
    until = "contract until 2027-02-01 (exclusive), 12 months left"
    assert plan.told == f"{until}; leaving costs AUD 10.00 for each month left"
    up.happen("cease", one, MAR)
    assert fees(up.bill(MAR)) == [("03-01", 11_000)]
    down.happen("", other, FEB, "fibre")
    down.bill(*(date(2026, month, 1) for month in range(4, 12)))
    down.happen("cease", other, date(2026, 11, 15))
    assert fees(down.bill(date(2026, 12, 1))) == [("11-15", 2000)]


def test_a_share_is_of_the_price_and_a_renewed_term_binds_again(database: Database):
    """12.5% of 60.00 for each month left; after 12 months it goes on by 6 at a time."""
    shop = Shop(database)
    service = shop.add(plan="share")
    shop.bill(*(date(2026, month, 1) for month in range(1, 13)))
    shop.happen("cease", service, date(2027, 2, 1))
    assert fees(shop.bill(date(2027, 2, 1))) == [("02-01", 750 * 5)]


def test_invariant_8_there_and_back_in_a_day_begins_no_new_term():
    """Only the day's last word counts, for the contract too."""
    other = Terms("fixed", "a", Money(9000, "AUD"), contract=Contract(24, fee=Money(1, "AUD")))
    day = date(2026, 6, 1)
    story = [
        Event(START, 1, EventKind.ACTIVATED, TERMS), Event(day, 2, EventKind.CHANGED, other),
        Event(day, 3, EventKind.CHANGED, TERMS),
    ]  # fmt: skip
    found = contracts.running(story, day)
    assert found is not None
    assert (found.since, found.until, found.left) == (START, date(2027, 1, 1), 7)


def test_a_contract_does_not_split_what_is_billed():
    """A term that is renewed in the middle of a month at the same price: one slice, at the whole price."""
    longer = Terms("each", "a", Money(6000, "AUD"), contract=Contract(24, each=Money(1000, "AUD")))
    story = [
        Event(START, 1, EventKind.ACTIVATED, TERMS),
        Event(date(2026, 1, 15), 2, EventKind.CHANGED, longer),
    ]
    assert [one.amount.minor for one in ought(story, 1, 0, START)] == [6000]


def test_a_large_fee_is_expected_and_parks_nobody(database: Database):
    """24 times the price is no oddity (pin 7) when the contract says so."""
    shop = Shop(database)
    service = shop.add(plan="steep")
    shop.bill(START)
    shop.happen("cease", service, date(2026, 1, 2))
    assert fees(shop.bill(date(2026, 1, 2))) == [("01-02", 144_000)]


# Arrears


def test_in_arrears_a_month_is_billed_when_it_is_over(database: Database):
    """First from the middle, then whole, then to the day of the end; meanwhile nobody looks at it."""
    shop = Shop(database)
    service = shop.add(date(2026, 1, 17), plan="after")
    assert shop.bill(date(2026, 1, 17), date(2026, 1, 31)) == []
    assert shop.bill(FEB) == [("01-17", "recurring", 1500)]
    with database.read() as conn:
        assert shop.account not in set(conn.execute(due(date(2026, 2, 28))).scalars())
        assert shop.account in set(conn.execute(due(MAR)).scalars())
    assert shop.bill(date(2026, 2, 15), MAR)[-1] == ("02-01", "recurring", 3100)
    shop.happen("cease", service, date(2026, 3, 11))
    assert len(shop.bill(date(2026, 3, 10))) == 2
    assert shop.bill(date(2026, 3, 11))[-1] == ("03-01", "recurring", 1000)
    assert len(shop.bill(APR, date(2026, 3, 11), MAY)) == 3
    with database.read() as conn:
        query = sa.select(subscription_item.c.charged_through, subscription_item.c.due_from)
        assert (date.max, None) in {tuple(row) for row in conn.execute(query)}


def test_in_arrears_a_run_for_an_earlier_day_takes_nothing_back(database: Database):
    """February was billed on 1 March; a run for 15 February leaves it, also when a late event makes it look."""
    shop = Shop(database)
    service = shop.add(plan="after")
    before = shop.bill(FEB, MAR)
    assert shop.bill(date(2026, 2, 15), START) == before
    assert len(shop.charges()) == 2
    shop.happen("cease", service, date(2026, 2, 20))
    assert shop.bill(date(2026, 2, 15))[-1] == ("02-01", "recurring", 2104)


def test_in_arrears_a_late_cessation_takes_back_and_a_promotion_follows(database: Database):
    """Half off in arrears; ceased in February, told in April."""
    shop = Shop(database)
    service = shop.add(plan="after")
    shop.promote(service, "half")
    assert shop.bill(FEB) == [("01-01", "discount", -1550), ("01-01", "recurring", 3100)]
    shop.bill(MAR, APR)
    shop.happen("cease", service, date(2026, 2, 15))
    assert shop.bill(APR)[2:] == [("02-01", "discount", -775), ("02-01", "recurring", 1550)]
    assert shop.bill(MAY) == shop.ought(MAY)


def test_a_change_from_advance_to_arrears_bills_every_day_once(database: Database):
    """And back: together they tile the time."""
    shop = Shop(database)
    service = shop.add()
    shop.bill(START)
    shop.happen("", service, date(2026, 2, 10), "after")
    shop.happen("", service, date(2026, 3, 10), "fibre")
    found = shop.bill(FEB, date(2026, 2, 20), MAR, date(2026, 3, 12), APR)
    assert [(day, kind) for day, kind, _ in found] == [
        ("01-01", "recurring"), ("02-01", "recurring"), ("02-10", "recurring"), ("03-01", "recurring"),
        ("03-10", "recurring"), ("04-01", "recurring"),
    ]  # fmt: skip
    assert found == shop.ought(APR)


stories = st.lists(
    st.builds(
        Event, st.dates(START, date(2026, 6, 1)), st.integers(1, 50), st.sampled_from(list(EventKind)),
        st.just(Terms("p", "1", Money(3100, "AUD"), arrears=True)),
    ),
    max_size=5, unique_by=lambda event: event.seq,
)  # fmt: skip


@settings(max_examples=300)
@given(stories, st.integers(1, 31), st.dates(START, date(2026, 8, 1)))
def test_invariant_5_in_arrears_the_same_is_billed_as_in_advance_only_later(story, anchor, today):
    """Of the same story in advance, exactly the parts that are over."""
    early = [_with(event, arrears=False) for event in story]
    late = {(one.part, one.amount) for one in ought(story, anchor, 0, today)}
    assert late == {(one.part, one.amount) for one in ought(early, anchor, 0, today) if one.part.end <= today}


# Minimum commitment


def use(shop: Shop, service: str, minor: int, on: date, until: date) -> None:
    """A month's usage, rated."""
    from billing.periods import Period

    with shop.database.write() as conn:
        one = Billable(
            account=shop.account, kind="usage", source=f"{service}:{on}:{minor}", description="Calls",
            amount=Money(minor, "AUD"), billed_from=until, service=service, tax="gst", period=Period(on, until),
        )  # fmt: skip
        billables.add(conn, one, actor="test")


def missing(shop: Shop) -> list[tuple[str, int, int]]:
    """Minimum billables: (period, revision, amount)."""
    query = sa.select(billable).where(billable.c.account_id == shop.account, billable.c.kind == "commitment")
    return [
        (f"{row.period_start:%m-%d}", row.revision, row.amount)
        for row in shop._rows(query.order_by(billable.c.period_start, billable.c.revision))
    ]


def test_what_is_missing_of_the_minimum_is_billed_after_the_month(database: Database):
    """31.00 a month at least: 10.00 fixed and 6.00 used leave 15.00; enough used leaves nothing; again adds nothing."""
    shop = Shop(database)
    service = shop.add(plan="metered")
    use(shop, service, 600, START, FEB)
    use(shop, service, 9900, FEB, MAR)
    shop.bill(START)
    assert missing(shop) == []
    shop.bill(FEB, FEB, MAR, MAR, APR)
    assert missing(shop) == [("01-01", 0, 1500), ("03-01", 0, 2100)]
    with database.read() as conn:
        told = [line for made in shop.invoices() for line in explain(conn, made.id)["lines"]]
    assert "how: at least AUD 31.00, used AUD 16.00, missing AUD 15.00" in {line["why"] for line in told}


def test_usage_that_is_rated_late_gives_the_minimum_back(database: Database):
    """By a further revision with the difference."""
    shop = Shop(database)
    service = shop.add(plan="metered")
    shop.bill(START, FEB)
    use(shop, service, 2000, START, FEB)
    shop.bill(MAR)
    assert missing(shop) == [("01-01", 0, 2100), ("01-01", 1, -2000), ("02-01", 0, 2100)]


def test_the_minimum_is_for_the_days_that_the_service_was_had(database: Database):
    """From 17 January until 8 February: 15 of 31 and 7 of 28 days; what a discount takes off is not used."""
    shop = Shop(database)
    service = shop.add(date(2026, 1, 17), plan="metered")
    shop.promote(service, "half", date(2026, 1, 17))
    shop.bill(date(2026, 1, 17), FEB)
    assert missing(shop) == [("01-01", 0, 1500 - 484 + 242)]
    shop.happen("cease", service, date(2026, 2, 8))
    shop.bill(date(2026, 2, 8))
    assert missing(shop)[1:] == [("02-01", 0, 775 - 250 + 125)]
    shop.bill(MAR, APR)
    assert len(missing(shop)) == 2


@settings(max_examples=200)
@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 6000), st.integers(1, 31))
def test_fixed_used_and_missing_together_are_never_below_the_minimum(price, minimum, used, anchor):
    """And nothing is missing where they are above it."""
    terms = Terms("m", "1", Money(price, "AUD"), minimum=Money(minimum, "AUD"))
    begun = clamped(anchor, month_index(START))
    events = (Event(begun, 1, EventKind.ACTIVATED, terms),)
    item = Item(id="i", subscription="s", account="a", service="S", role="plan", label="", cadence_base=0,
                charged_through=None, recalculate_from=None, events=events)  # fmt: skip
    end = date(2026, 3, 31)
    slices = ought(item.events, anchor, 0, end)
    for one in owed(item, anchor, slices, [(begun, used)], begun, end):
        assert one.spent.minor == price + (used if one.period.start == begun else 0)
        assert (one.spent + one.missing).minor == max(one.spent.minor, minimum)


def _with(event: Event, **changed: Any) -> Event:
    import msgspec

    terms = None if event.terms is None else msgspec.structs.replace(event.terms, **changed)
    return msgspec.structs.replace(event, terms=terms)


def _lines_of(invoice: str) -> Any:
    from billing.models import invoice_line

    return sa.select(invoice_line).where(invoice_line.c.invoice_id == invoice)
