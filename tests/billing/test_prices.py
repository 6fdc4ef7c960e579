"""Price changes: nobody moves unless asked, a preview is the real bill, and applying it is resumable."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from billing import subscriptions
from billing.billrun import run_billing
from billing.errors import PriceVersionUnknown
from billing.models import bill_park, subscription_event
from billing.offers import contracts
from billing.prices import deciding, moving, section
from billing.prices.deciding import Change, Move
from billing.prices.errors import NoticeTooShort, PlanUnknown
from billing.prices.previewing import preview
from billing.prices.section import sections
from billing.subscriptions import Item
from billing.timeline import Contract, Event, EventKind, Terms
from core import clock
from core.db import Database
from core.models import event
from core.money import Money
from core.preview import Comparison
from intents.plan.schema import Plan
from tests.billing.doomed_prices import change
from tests.billing.selling import CATALOGUE, FEB, MAR, START, Shop
from tests.billing.stage import PLANS, price
from tests.faults_matrix import KILLED, run_child

POINTS = [moving.P_MOVED]
NEW = Plan(type="internet", name="Fibre 500", prices=(*PLANS["fibre"].prices, price("2026b", "85.00", START)))


def a_shop(database: Database, **given: Any) -> Shop:
    """A shop with a new version of fibre at 85.00."""
    shop = Shop(database, **given)
    shop.more["fibre"] = NEW
    return shop


def sold_at(shop: Shop, version: str = "2025a") -> str:
    """A service with fibre at a version from the first of January."""
    name = shop.add()
    if version != "2025a":
        return name
    terms = Terms("fibre", "2025a", Money(7900, "AUD"), 1, "gst")
    with shop.database.write() as conn:
        subscriptions.change_terms(conn, name, terms, START, "test")
    return name


def events_of(database: Database) -> int:
    """How many events all timelines have."""
    with database.read() as conn:
        return conn.execute(sa.select(sa.func.count()).select_from(subscription_event)).scalar_one()


def test_invariant_34_neither_a_version_nor_its_preview_moves_anybody(database: Database, today):
    """A new version in the catalogue, its preview, a dry change: what is pinned is billed as before."""
    shop = a_shop(database)
    sold_at(shop)
    before, count = shop.bill(START, FEB), events_of(database)
    found = preview(database, shop.reader, "fibre")
    done = moving.apply(database, shop.reader, "fibre", "2026b", MAR, actor="anna", dry=True)
    assert (found.version, found.items, done.moved, done.monthly) == ("2026b", 1, 1, {"AUD": 600})
    assert events_of(database) == count
    assert shop.bill(MAR)[: len(before)] == before
    assert shop.bill(MAR)[-1] == ("03-01", "recurring", 7900)


def test_who_would_pay_how_much_more_and_last_month_again(database: Database, today):
    """By version; by account; January as it was invoiced to the cent, and at the new price with tax and promotion."""
    shop, other = a_shop(database), a_shop(database)
    service = sold_at(shop)
    shop.promote(service, "half")
    shop.sell(service, "router")
    sold_at(other)
    sold_at(other, "2026b")
    for one in (shop, other):
        one.bill(date(2026, 1, 1))
    found = preview(database, shop.reader, "fibre", "2026b", on=MAR)
    assert [(one.version, str(one.price), one.items, str(one.each)) for one in found.groups] == [
        ("2025a", "AUD 79.00", 2, "AUD 6.00")
    ]
    assert (found.monthly, found.month.start) == ({"AUD": 1200}, START)
    by_account = {one.account: one for one in found.accounts}
    for one in (shop, other):
        assert by_account[one.account].before.minor == sum(made.total for made in one.invoices())
    assert by_account[shop.account].after.minor - by_account[shop.account].before.minor == 330
    assert by_account[other.account].after.minor - by_account[other.account].before.minor == 660
    assert found.after["AUD"] - found.before["AUD"] == 990


def test_a_replay_counts_minimums_and_what_is_in_arrears(database: Database, today):
    """10.00 of at least 31.00: 5.00 more a month are 5.00 less missing; in arrears the month before counts."""
    shop = Shop(database)
    shop.add(date(2025, 12, 1), plan="metered")
    shop.add(date(2025, 12, 1), plan="after")
    metered = Plan(type="voice", prices=(*CATALOGUE["metered"].prices, price("b", "15.00", minimum="31.00")))
    after = Plan(type="internet", prices=(*CATALOGUE["after"].prices, price("b", "41.00", bill="arrears")))
    shop.more.update(metered=metered, after=after)
    shop.bill(date(2025, 12, 1), START, FEB)
    found = preview(database, shop.reader, "metered", "b")
    january = [one.total for one in shop.invoices() if one.billed_on == START]
    assert [one.before.minor for one in found.accounts] == january
    assert found.after == found.before
    arrears = preview(database, shop.reader, "after", "b")
    assert arrears.after["AUD"] - arrears.before["AUD"] == 1100


def test_everybody_moves_from_the_day_and_again_nobody(database: Database, today):
    """Prorated by the day like any change; an event for each account; the same command again adds nothing."""
    shop = a_shop(database)
    service = sold_at(shop)
    shop.bill(START, FEB)
    done = moving.apply(database, shop.reader, "fibre", "2026b", date(2026, 2, 15), actor="anna")
    assert (done.moved, done.accounts, done.left) == (1, 1, {})
    again = moving.apply(database, shop.reader, "fibre", "2026b", date(2026, 2, 15), actor="anna")
    assert (again.moved, again.accounts, again.monthly) == (0, 0, {})
    assert shop.bill(date(2026, 2, 15), MAR)[1:] == [
        ("02-01", "recurring", 3950), ("02-15", "recurring", 4250), ("03-01", "recurring", 8500),
    ]  # fmt: skip
    with database.read() as conn:
        query = sa.select(event.c.data).where(
            event.c.type == "price.changed", event.c.subject == shop.account
        )
        (told,) = conn.execute(query).scalars()
    assert told["items"][0]["service"] == service
    assert (told["on"], told["items"][0]["monthly"]["amount"]) == ("2026-02-15", 600)


def test_addons_move_too_and_only_those_of_the_version_that_is_named(database: Database, today):
    """A rental gets dearer for those who have version a; those at b stay."""
    shop = Shop(database)
    first, second = shop.add(), shop.add()
    shop.sell(first, "router")
    prices = tuple(price(name, f"{n}.20", date(2025, n, 1)) for n, name in ((6, "a"), (7, "b"), (8, "c")))
    shop.more["router"] = Plan(type="rental", prices=prices)
    shop.sell(second, "router")
    assert moving.apply(database, shop.reader, "router", "b", MAR, actor="anna", old="c").moved == 1
    found = moving.apply(database, shop.reader, "router", "b", MAR, actor="anna")
    assert (found.moved, found.monthly) == (1, {"AUD": 100})
    rentals = [one for one in shop.bill(START, FEB, MAR) if one[1] == "rental"]
    assert rentals == [
        ("01-01", "rental", 620), ("01-01", "rental", 820), ("02-01", "rental", 620), ("02-01", "rental", 820),
        ("03-01", "rental", 720), ("03-01", "rental", 720),
    ]  # fmt: skip


def test_a_contract_binds_the_price_and_a_move_never_renews_it(database: Database, today):
    """In term and dearer: left by name; with --in-term moved, and the term ends when it ended; cheaper moves anyway."""
    shop = Shop(database)
    service = shop.add(plan="fixed")
    dearer = Plan(type="internet", prices=(price("a", "60.00"), price("b", "70.00"), price("c", "50.00")),
                  contract=CATALOGUE["fixed"].contract)  # fmt: skip
    shop.more["fixed"] = dearer
    shop.bill(START)
    done = moving.apply(database, shop.reader, "fixed", "b", MAR, actor="anna")
    assert (done.moved, list(done.left)) == (0, [service])
    assert "its contract binds at AUD 60.00 until 2028-01-01 (exclusive)" in done.left[service]
    assert moving.apply(database, shop.reader, "fixed", "c", MAR, actor="anna").moved == 1
    with database.read() as conn:
        found = contracts.running(subscriptions.item(conn, service).events, MAR)
    assert found is not None
    assert str(found.until) == "2028-01-01"
    shop.happen("cease", service, date(2026, 3, 15))
    assert ("03-15", "termination", 20_000) in shop.bill(FEB, MAR, date(2026, 3, 15))


def test_odd_ones_are_left_by_name(database: Database, today):
    """A parked account, a change that is planned already; the others move."""
    parked, planned, fine = (a_shop(database) for _ in range(3))
    services = [sold_at(one) for one in (parked, planned, fine)]
    with database.write() as conn:
        conn.execute(
            sa.insert(bill_park).values(account_id=parked.account, run_id="r", reason="a total of AUD 9")
        )
    terms = Terms("fibre", "2025a", Money(7900, "AUD"), 1, "gst")
    with database.write() as conn:
        subscriptions.change_terms(conn, services[1], terms, date(2026, 4, 1), "test")
    done = moving.apply(database, fine.reader, "fibre", "2026b", MAR, actor="anna")
    assert done.moved == 1
    assert done.left == {
        services[0]: f"{parked.account} is parked: a total of AUD 9",
        services[1]: "it gets version 2025a of fibre on 2026-04-01 already; change that first",
    }


def test_notice_is_kept_and_mistakes_are_one_sentence(database: Database, today):
    """30 days of notice; a day that has passed; a plan or a version that is not."""
    shop = a_shop(database)
    shop.more["told"] = Plan(type="addon", prices=(price("a", "1.00"),), notice=30 * 86_400)  # type: ignore[arg-type]
    with pytest.raises(NoticeTooShort, match="promises 30 days of notice, so the earliest day is 2026-03-12"):
        moving.apply(database, shop.reader, "told", "a", MAR, actor="anna")
    moving.apply(database, shop.reader, "told", "a", today + timedelta(30), actor="anna")
    with pytest.raises(NoticeTooShort, match="that day has passed; the earliest is 2026-02-10"):
        moving.apply(database, shop.reader, "fibre", "2026b", FEB, actor="anna")
    with pytest.raises(NoticeTooShort, match="that day has passed; the earliest is 2026-02-10"):
        preview(database, shop.reader, "fibre", "2026b", on=today - timedelta(1))
    with pytest.raises(PlanUnknown, match="plan nothing is not in the catalogue"):
        preview(database, shop.reader, "nothing")
    with pytest.raises(PriceVersionUnknown, match="no price version 'zz'"):
        preview(database, shop.reader, "fibre", "zz")


@pytest.mark.parametrize("point", POINTS)
def test_killed_between_chunks_the_same_command_goes_on(database: Database, point: str):
    """Five accounts, two a chunk, killed after the second chunk: the rest moves, and nobody twice."""
    shops = [a_shop(database) for _ in range(5)]
    for shop in shops:
        sold_at(shop)
    on = clock.today("Australia/Perth")
    url = database.url.render_as_string(hide_password=False)
    assert run_child("tests.billing.doomed_prices", [url, str(on)], point, 2).returncode == KILLED
    done = change(database, on)
    assert (done.moved, done.accounts) == (1, 1)
    assert change(database, on).moved == 0
    with database.read() as conn:
        versions = [
            [
                one.terms.version
                for one in subscriptions.item(conn, next(iter(shop.services))).events
                if one.terms
            ]
            for shop in shops
        ]
    assert [one[-1] for one in versions] == ["2026b"] * 5
    assert versions == [["2026b", "2025a", "2026b"]] * 5


def test_invariant_3_two_at_once_move_each_account_once(database: Database):
    """Whoever comes second finds it moved."""
    shops = [a_shop(database) for _ in range(4)]
    for shop in shops:
        sold_at(shop)
    on = clock.today("Australia/Perth")
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: change(database, on), range(3)))
    assert sum(one.moved for one in done) == 4
    with database.read() as conn:
        found = [subscriptions.item(conn, next(iter(shop.services))).events for shop in shops]
    assert [len(events) for events in found] == [3] * 4


def test_a_pull_request_says_what_moving_everybody_would_do(database: Database, today):
    """In its preview, where the database is at hand; without one there is nothing to ask."""
    shop = a_shop(database)
    sold_at(shop)
    shop.bill(START)
    head, changed = shop.reader, frozenset([("plan", "fibre")])
    shop.more.pop("fibre")
    comparison = Comparison(base=shop.reader, head=head, changed=changed, db=database)
    (found,) = sections(comparison)
    assert "would move **1 items of 1 accounts**, AUD +6.00 a month" in found.markdown
    assert "January 2026 again at the new price, with tax: AUD +6.60" in found.markdown
    assert found.data["prices"][0]["monthly"] == {"AUD": 600}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(section, "_MANY", 0)
        (short,) = sections(comparison)
    assert "AUD +6.00 a month" in short.markdown
    assert "what last month would have been says `trunkline billing prices preview fibre`" in short.markdown
    assert list(sections(Comparison(base=shop.reader, head=head, changed=changed))) == []


terms = st.builds(
    Terms, st.sampled_from(["p", "q"]), st.sampled_from(["1", "2"]),
    st.integers(0, 9999).map(lambda minor: Money(minor, "AUD")),
    st.sampled_from([1, 3, 12]), contract=st.one_of(st.none(), st.just(Contract(12, fee=Money(1, "AUD")))),
)  # fmt: skip
stories = st.lists(
    st.builds(Event, st.dates(START, date(2026, 12, 1)), st.integers(1, 99), st.sampled_from(list(EventKind)), terms),
    max_size=6, unique_by=lambda one: one.seq,
)  # fmt: skip


@settings(max_examples=300)
@given(stories, st.dates(START, date(2026, 12, 31)), st.booleans(), st.sampled_from([None, "1"]))
def test_a_move_ends_at_the_version_and_is_never_asked_for_twice(story, on, in_term, old):
    """After the event of a move the item is at the version, nothing but its price changed, and the change is over."""
    new = Terms("p", "9", Money(5000, "AUD"), 1, "gst", contract=Contract(24, fee=Money(5, "AUD")))
    item = Item(id="i", subscription="s", account="a", service="S", role="plan", label="", cadence_base=0,
                charged_through=None, recalculate_from=None, events=tuple(story))  # fmt: skip
    change_ = Change(terms=new, on=on, old=old, in_term=in_term)
    found = deciding.decide(item, change_)
    if not isinstance(found, Move):
        return
    moved = subscriptions.Item(**{
        **{name: getattr(item, name) for name in item.__struct_fields__},
        "events": (*item.events, Event(on, 100, EventKind.CHANGED, found.after)),
    })  # fmt: skip
    assert deciding.decide(moved, change_) is None
    before, after = (contracts.running(one.events, on) for one in (item, moved))
    assert before == after
    assert old is None or found.before.version == old
    assert (
        in_term
        or before is None
        or deciding.monthly(found.after).minor <= deciding.monthly(found.before).minor
    )


def test_what_was_billed_by_hand_is_not_needed(database: Database):
    """A preview of a plan that nobody has says so."""
    shop = a_shop(database)
    run_billing(database, shop.reader, START)
    found = preview(database, shop.reader, "fibre")
    assert found.version == "2026b"
    assert [one for one in found.accounts if one.account == shop.account] == []
