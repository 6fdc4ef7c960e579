"""Promotions and bundles: exactly the smaller of the discount and what it is off, through changes, pauses and ends."""

from contextlib import suppress
from datetime import date

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import canonical, invoices, taxes
from billing.billrun import run_billing
from billing.explain import explain
from billing.ledger import trial_balance
from billing.offers import giving, view
from billing.offers.discounts import taken_off, windows
from billing.offers.errors import GivenBefore, NotForThis, NotHad, NotInForce, NotTogether
from billing.runs import plain
from billing.runs.rehearsal import rehearse
from billing.timeline import Discount, Event, EventKind, Terms, ought
from core.db import Database
from core.errors import Terminal
from core.money import Money
from tests.billing.selling import APR, FEB, MAR, START, Shop
from tests.support import examples

FEW = settings(
    max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
A, B = (Terms(name, "1", Money(minor, "AUD"), 1, name) for name, minor in (("a", 7900), ("b", 4905)))
Q = Terms("q", "1", Money(23333, "AUD"), 3)


def off(found: list[tuple[str, str, int]]) -> list[tuple[str, int]]:
    """Only the discounts: (first day, amount)."""
    return [(day, amount) for day, kind, amount in found if kind == "discount"]


events = st.lists(
    st.builds(
        Event, st.dates(date(2026, 1, 1), date(2026, 7, 1)), st.integers(1, 99), st.sampled_from(list(EventKind)),
        st.sampled_from([A, B, Q]),
    ),
    max_size=6, unique_by=lambda event: event.seq,
)  # fmt: skip
discounts = st.builds(
    Discount,
    of=st.just("base"),
    since=st.dates(date(2026, 1, 1), date(2026, 4, 1)),
    share=st.one_of(st.just(0), st.integers(1, 10**6)),
    amount=st.integers(1, 20_000).map(lambda minor: Money(minor, "AUD")),
    months=st.one_of(st.none(), st.integers(1, 6)),
    cap=st.one_of(st.none(), st.integers(1, 20_000).map(lambda minor: Money(minor, "AUD"))),
    plans=st.sampled_from([(), ("a",), ("a", "q")]),
).map(lambda one: msgspec.structs.replace(one, amount=None) if one.share else one)


def given_on(discount: Discount, end: date | None = None) -> list[Event]:
    """The timeline of a discount item."""
    terms = Terms("offer", "", Money(0, "AUD"), kind="discount", discount=discount)
    over = [Event(max(end, discount.since), 2, EventKind.CEASED)] if end else []
    return [Event(discount.since, 1, EventKind.ACTIVATED, terms), *over]


@settings(max_examples=400)
@given(
    events, discounts, discounts, st.one_of(st.none(), st.dates(date(2026, 1, 1), date(2026, 7, 1))), st.integers(1, 31)
)  # fmt: skip
def test_invariant_17_what_is_off_is_the_smaller_of_discount_and_base(story, first, second, end, anchor):
    """Each part: never above what is left of its price; below it only for the share or the cap; the sum is exact."""
    story = [Event(date(2026, 1, 1), 0, EventKind.ACTIVATED, A), *story]
    base = ought(story, anchor, 0, date(2026, 8, 1))
    made, left = taken_off(given_on(first, end), base, {})
    more, rest = taken_off(given_on(second), left, {})
    total = sum(one.amount.minor for one in base)
    assert total + sum(one.amount.minor for one in [*made, *more]) == sum(one.amount.minor for one in rest)
    assert all(one.amount.minor >= 0 for one in rest)
    for discount, slices, eligible in ((first, made, left), (second, more, rest)):
        spent = -sum(one.amount.minor for one in slices)
        assert discount.cap is None or spent <= discount.cap.minor
        assert all(one.terms.discount == discount and one.amount.minor < 0 for one in slices)
        if discount.share == 10**6 and discount.cap is None:
            inside = {(one.period, one.part) for one in slices}
            assert all(one.amount.minor == 0 for one in eligible if (one.period, one.part) in inside)
    window = [period for _, period in windows(given_on(first, end), {})]
    assert all(any(w.start <= one.part.start and one.part.end <= w.end for w in window) for one in made)


@settings(max_examples=200)
@given(st.integers(1, 20_000), st.integers(0, 20_000), st.integers(1, 31))
def test_invariant_17_of_a_whole_period_it_is_exactly_the_minimum(price, amount, anchor):
    """A month at one price, cut by nothing: min(amount, price), to the minor unit."""
    terms = Terms("a", "1", Money(price, "AUD"))
    base = ought([Event(date(2025, 12, 1), 0, EventKind.ACTIVATED, terms)], anchor, 0, date(2026, 6, 1))
    discount = Discount("base", date(2025, 12, 1), amount=Money(amount, "AUD"))
    made, _ = taken_off(given_on(discount), base, {})
    whole = [one for one in made if one.part == one.period]
    assert {one.amount.minor for one in whole} <= {-min(amount, price)}
    assert len(whole) >= 5 or not amount


def test_half_the_price_for_three_months_through_a_change_and_a_pause(database: Database):
    """From 15 January until 15 April: parts at both ends, the new plan's price in between, nothing in a pause."""
    shop = Shop(database)
    service = shop.add()
    shop.promote(service, "half", date(2026, 1, 15))
    shop.bill(START, FEB)
    shop.happen("", service, date(2026, 2, 15), "slow")
    shop.happen("block", service, date(2026, 3, 11))
    shop.happen("unblock", service, date(2026, 3, 21))
    found = shop.bill(date(2026, 2, 15), MAR, date(2026, 3, 15), APR, date(2026, 5, 1))
    assert off(found) == [
        ("01-15", -2166), ("02-01", -1975), ("02-15", -1225), ("03-01", -791), ("03-21", -869), ("04-01", -1144),
    ]  # fmt: skip
    assert found == shop.ought(date(2026, 5, 1))


def test_an_account_renews_in_sql_again_when_its_promotion_is_over(database: Database, monkeypatch):
    """While it lasts Python bills it."""
    ways: list[int] = []
    real = plain.bill_plain

    def spy(*args):
        done = real(*args)
        ways.append(done.bills)
        return done

    monkeypatch.setattr(plain, "bill_plain", spy)
    shop = Shop(database)
    service = shop.add()
    shop.promote(service, "half")
    shop.bill(START, FEB, MAR, APR, date(2026, 5, 1))
    assert ways == [0, 0, 0, 0, 1]
    assert off(shop.bill()) == [("01-01", -3950), ("02-01", -3950), ("03-01", -3950)]
    shop.happen("", service, date(2026, 3, 1), "slow")
    assert off(shop.bill(date(2026, 5, 2))) == [("01-01", -3950), ("02-01", -3950), ("03-01", -2450)]


def test_a_cap_is_for_all_months_and_an_amount_never_beyond_the_price(database: Database):
    """10.00 a month until 25.00 are off; 500.00 off a plan of 79.00 are 79.00 off, and no credit."""
    shop, gift = Shop(database), Shop(database)
    shop.promote(shop.add(), "tenner")
    gift.promote(gift.add(), "gift")
    assert off(shop.bill(START, FEB, MAR, APR)) == [("01-01", -1000), ("02-01", -1000), ("03-01", -500)]
    assert off(gift.bill(START, FEB, MAR)) == [("01-01", -7900), ("02-01", -7900)]
    assert [one.total for one in gift.invoices()] == [0, 0, 8690, 8690]
    with database.read() as conn:
        assert sum(trial_balance(conn).values()) == 0


def test_two_promotions_share_what_there_is(database: Database):
    """In the order of their days: half of 79.00, the day after 500.00 of what is left, and nothing for the third."""
    shop = Shop(database)
    service = shop.add()
    shop.promote(service, "half")
    shop.promote(service, "gift", date(2026, 1, 2))
    shop.promote(service, "tenner", date(2026, 1, 3))
    found = shop.bill(START)
    assert off(found) == [("01-01", -3950), ("01-02", -3823)]
    assert sum(amount for _, _, amount in found) == 127


def test_a_promotion_of_some_plans_is_off_these_only(database: Database):
    """Off the slow plan while it is had; a change away ends what is off, a change back brings it again."""
    shop = Shop(database)
    service = shop.add(plan="slow")
    shop.promote(service, "for-slow")
    shop.happen("", service, FEB, "fibre")
    shop.happen("", service, MAR, "slow")
    assert off(shop.bill(START, FEB, MAR)) == [("01-01", -1633), ("03-01", -1633)]
    shop.sell(service, "router")
    shop.promote(service, "cheap-router")
    assert ("01-01", "discount", -620) in shop.bill(MAR)


def test_a_bundle_is_divided_by_price_and_ends_for_all_when_one_leaves(database: Database):
    """12.80 off 79.00 and 49.00: 7.90 and 4.90; broken on 11 February, told late: the rest of the month goes back."""
    shop = Shop(database)
    fast, slow = shop.add(), shop.add(plan="slow")
    shop.bundle("duo", fast, slow)
    shop.bundle("duo", slow, fast)
    shop.bundle("duo", fast, slow, on=FEB)
    assert off(shop.bill(START)) == [("01-01", -790), ("01-01", -490)]
    shop.bill(FEB, MAR)
    shop.happen("cease", slow, date(2026, 2, 11))
    found = shop.bill(MAR, APR)
    assert off(found) == [("01-01", -790), ("01-01", -490), ("02-01", -282), ("02-01", -175)]
    assert found == shop.ought(APR)


def test_a_bundle_goes_on_in_a_pause_and_not_after_a_change_of_plan(database: Database):
    """A vacation leaves nobody; another plan does."""
    shop = Shop(database)
    fast, slow = shop.add(), shop.add(plan="slow")
    shop.bundle("duo", fast, slow)
    shop.happen("block", slow, FEB)
    shop.happen("unblock", slow, MAR)
    shop.happen("", fast, APR, "quarterly")
    assert off(shop.bill(START, FEB, MAR, APR)) == [
        ("01-01", -790), ("01-01", -490), ("02-01", -790), ("03-01", -790), ("03-01", -490),
    ]  # fmt: skip


def test_a_bundle_may_be_of_a_plan_and_its_addon_and_be_taken_back(database: Database):
    """A fifth off both; taken from one, it ends for all."""
    shop = Shop(database)
    service = shop.add()
    shop.sell(service, "static")
    shop.bundle("share-duo", service)
    assert off(shop.bill(START)) == [("01-01", -1580), ("01-01", -100)]
    with database.write() as conn:
        for _ in range(2):
            giving.take(conn, service, "share-duo", actor="anna", on=FEB)
        assert [one.until for one in view.of_service(conn, service, START) if one.role == "discount"] == [
            FEB,
            FEB,
        ]
    assert off(shop.bill(FEB, MAR)) == [("01-01", -1580), ("01-01", -100)]


def test_an_invoice_explains_its_discount_and_taxes_what_is_left(database: Database):
    """Half of 79.00: tax on 39.50; the line says why; the discount stands in its own account of the books."""
    shop = Shop(database)
    shop.promote(shop.add(), "half")
    run = run_billing(database, shop.reader, START)
    with database.read() as conn:
        told = explain(conn, run.final[-1])
        books = {ledger for (ledger, *_), amount in trial_balance(conn).items() if amount}
        kinds = {line["kind"] for line in invoices.lines(conn, shop.invoices()[0].id)}
    assert told["total"] == "AUD 43.45"
    assert told["lines"][1]["why"] == (
        "50% off from 2026-01-01 until 2026-04-01 (exclusive); for 31 of 31 days, "
        "and never more than what it is taken off; its part of AUD 79.00, half-up over all parts of the period together"
    )
    assert kinds == {"recurring", "discount"}
    assert any("revenue:discounts" in str(ledger) for ledger in books)


def test_a_discount_is_taxed_as_what_it_is_off(database: Database):
    """Where tax is inside the price, it is inside the discount."""
    shop = Shop(database, tax_profile="inside")
    with database.write() as conn:
        taxes.set_rate(conn, "gst", "19%", profile="inside", valid_from=date(2000, 1, 1), inclusive=True)
    shop.promote(shop.add(), "half")
    run_billing(database, shop.reader, START)
    assert [(one.net, one.tax, one.total) for one in shop.invoices()] == [(3319, 631, 3950)]


stories = st.lists(
    st.tuples(
        st.dates(date(2026, 1, 2), date(2026, 4, 20)),
        st.sampled_from(
            ["block", "unblock", "slow", "fibre", "cease", "half", "tenner", "for-slow", "static", "run"]
        ),
    ),
    max_size=6,
)


@FEW
@given(stories)
def test_invariants_2_and_13_late_and_in_parts_is_as_in_time(database: Database, story):
    """Whatever was recorded when, with runs between: in the end the books have what the timelines say."""
    shop = Shop(database)
    fast, slow = shop.add(), shop.add(plan="slow")
    shop.bundle("duo", fast, slow)
    shop.bill(START)
    for n, (day, what) in enumerate(story):
        service = (fast, slow)[n % 2]
        with suppress(Terminal):  # what does not go together is refused, and changes nothing
            if what == "run":
                run_billing(database, shop.reader, day)
            elif what in ("half", "tenner", "for-slow"):
                shop.promote(service, what, day)
            elif what == "static":
                shop.sell(service, what, day)
            else:
                shop.happen(what, service, day, what if what in ("slow", "fibre") else "")
    end = date(2026, 5, 3)
    run_billing(database, shop.reader, end)
    found = sorted((f"{one.part_start:%m-%d}", one.kind, one.amount) for one in shop.standing())
    assert found == shop.ought(end)
    before = len(shop.charges())
    run_billing(database, shop.reader, end)
    assert len(shop.charges()) == before


def test_mistakes_are_one_sentence(database: Database):
    """Another type, outside its days, a second time, services that do not go together, nothing to take."""
    shop, other = Shop(database), Shop(database)
    service = shop.add()
    with pytest.raises(NotForThis, match="offer duo is of type bundle; this takes one of type promotion"):
        shop.promote(service, "duo")
    with pytest.raises(NotInForce, match="it is given from 2026-03-01 until 2026-04-01"):
        shop.promote(service, "spring", APR)
    with pytest.raises(NotTogether, match="has none of slow"):
        shop.promote(service, "for-slow")
    with pytest.raises(NotTogether, match=r"none of .* has plan slow"):
        shop.bundle("duo", service)
    with pytest.raises(NotTogether, match="on another account"):
        shop.bundle("duo", service, other.add(plan="slow"))
    with pytest.raises(NotHad, match="has no 'half'; it has none"), database.write() as conn:
        giving.take(conn, service, "half", actor="anna")
    shop.promote(service, "half")
    with database.write() as conn:
        giving.take(conn, service, "half", actor="anna", on=FEB)
    with pytest.raises(GivenBefore, match="got half on 2026-01-01"):
        shop.promote(service, "half", MAR)


def test_invariant_14_a_dry_run_tells_discounts_fees_and_minimums_too(database: Database):
    """What it says is what the real run writes; and no internal id is in the books' fixed form."""
    shop = Shop(database)
    services = [shop.add(plan=plan) for plan in ("fibre", "slow", "metered", "each", "after")]
    shop.bundle("duo", *services[:2])
    shop.promote(services[2], "half")
    shop.sell(services[0], "router")
    shop.bill(START)
    shop.happen("cease", services[3], date(2026, 1, 20))
    lines: list[str] = []
    rehearse(database, shop.reader, FEB, listener=lines.append)
    run_billing(database, shop.reader, FEB)
    with database.read() as conn:
        assert lines == list(canonical.export_all(conn))
    told = "\n".join(lines)
    assert all(f'"kind":"{kind}"' in told for kind in ("discount", "termination", "commitment", "rental"))
    assert "itm_" not in told
