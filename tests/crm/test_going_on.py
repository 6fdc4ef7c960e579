"""A service that goes on elsewhere, on another account or as another service: nobody leaves, all it has goes along."""

from datetime import UTC, date, datetime

import msgspec
import pytest
import sqlalchemy as sa
import yaml

from billing import subscriptions, timeline
from billing.agenda import entries
from billing.agenda.errors import NotAgreeable
from billing.billrun import run_billing
from billing.models import account, billable, invoice
from billing.offers import addons, contracts, giving
from billing.timeline import Discount
from core import clock
from core.db import Database
from crm import cessation
from crm.changes import ends, transfers, vacations
from intents.plan.schema import Contract, Plan
from intents.reader import MemoryReader
from tests.billing.stage import PLANS, price, reader_of
from tests.crm.test_changes import START, Desk
from tests.crm.test_moves import Home
from tests.crm.test_orders import tell
from tests.crm.town import TOWN

TERM = {"months": 24, "share": 50}
MORE = {
    "bound": Plan(type="internet", name="Bound", prices=(price("a", "79.00"),), contract=Contract(months=24, share=50)),
    "least": Plan(type="voice", name="Least", prices=(price("a", "10.00", minimum="31.00"),)),
    "static": Plan(type="addon", name="Static address", prices=(price("a", "5.00"),)),
}  # fmt: skip


class Sold(Desk):
    """A desk that also sells a plan with a contract, and an add-on."""

    @property
    def reader(self) -> MemoryReader:
        """With them in the catalogue."""
        return reader_of(self.services, {**PLANS, **MORE})


@pytest.fixture(autouse=True)
def _noon():
    """Noon of 20 January 2026 in Perth."""
    with clock.frozen(datetime(2026, 1, 20, 4, tzinfo=UTC)):
        yield


def two(database: Database, **sold: str) -> tuple[Sold, str, str]:
    """A desk with a service (in its contract, unless `sold` says another), and another account of the customer."""
    desk = Sold(database, legal_entity="both", tax_profile="both")
    customer, other = desk.other_account(anchor=1)
    service = desk.add(START, **{"plan": "bound", **sold})
    desk.services[service] = msgspec.structs.replace(desk.services[service], customer=customer)
    return desk, service, other


def test_a_transfer_breaks_no_contract_and_the_term_goes_on(database: Database):
    """No fee for the old account; the new one is bound until the same day, and pays for leaving then."""
    desk, service, other = two(database)
    desk.bill(START)
    desk.agree(transfers.ask, service, other, "2026-01-11")
    run_billing(database, desk.reader, date(2026, 1, 20))
    assert desk.net() == 2548  # 79.00 x 10/31, and nothing for leaving
    with database.write() as conn:
        found = contracts.running(subscriptions.item(conn, service).events, date(2026, 1, 20))
        assert found is not None
        assert (found.since, found.until) == (START, date(2028, 1, 1))
        subscriptions.cease(conn, service, date(2026, 1, 20), "t")
        slices = list(contracts.terminations(subscriptions.item(conn, service).events, date(2026, 1, 20)))
    assert [str(one.amount) for one in slices] == ["AUD 948.00"]  # 24 begun months x 39.50


def test_after_a_transfer_addons_are_of_the_account_that_has_the_service(database: Database):
    """Removed on the 15th and sold again on the 25th: the new account's days, none of the old one's."""
    desk, service, other = two(database)
    with database.write() as conn:
        addons.add(conn, desk.reader, service, "static", actor="t", on=START)
    desk.agree(transfers.ask, service, other, "2026-01-11")
    for act, name, on in (
        (addons.remove, "static", date(2026, 1, 15)),
        (addons.add, "static", date(2026, 1, 25)),
    ):
        with database.write() as conn:
            given = (conn, desk.reader, service, name) if act is addons.add else (conn, service, name)
            act(*given, actor="t", on=on)
    with database.read() as conn:
        (item,) = subscriptions.items_of(conn, service, ("addon",))
    assert item.account == other
    assert [(one.kind, str(one.effective)) for one in item.events] == [
        ("activated", "2026-01-11"), ("ceased", "2026-01-15"), ("activated", "2026-01-25"),
    ]  # fmt: skip


def test_there_and_back_a_discount_is_off_its_own_days(database: Database):
    """A until the 11th, B until the 21st, A again: 50 % off each one's days."""
    desk, service, other = two(database)
    with database.write() as conn:
        base = subscriptions.item(conn, service)
        half = Discount(of=base.key, since=START, share=500_000)
        giving._give(conn, base, "spring", "spring", half, "AUD", "t")
    desk.bill(START)
    desk.agree(transfers.ask, service, other, "2026-01-11")
    run_billing(database, desk.reader, date(2026, 1, 12))
    desk.agree(transfers.ask, service, desk.account, "2026-01-20")
    run_billing(database, desk.reader, date(2026, 1, 20))
    with database.read() as conn:
        query = sa.select(invoice.c.account_id, sa.func.sum(invoice.c.net)).group_by(invoice.c.account_id)
        net = {row[0]: row[1] for row in conn.execute(query)}
    mine = (2548 - 1274) + (3058 - 1529)  # 79.00 x 10/31 and 12/31, each with half of it off
    assert (net[desk.account], net[other]) == (mine, 2294 - 1147)  # B: 9/31


def test_each_account_has_its_own_minimum(database: Database):
    """31.00 a month at a price of 10.00, transferred on the 16th: 15/31 of it for the one, 16/31 for the other."""
    desk, service, other = two(database, plan="least", type="voice")
    run_billing(database, desk.reader, START)
    desk.agree(transfers.ask, service, other, "2026-01-16")
    run_billing(database, desk.reader, date(2026, 1, 20))
    run_billing(database, desk.reader, date(2026, 2, 1))
    with database.read() as conn:
        query = sa.select(billable.c.account_id, billable.c.amount).where(billable.c.kind == "commitment")
        assert {row[0]: row[1] for row in conn.execute(query)} == {desk.account: 1016, other: 1084}


def test_a_new_service_has_the_contract_the_addons_and_the_discounts_of_the_old_one(database: Database):
    """What is taken back and billed anew on the day is the same: nothing is to be paid for the move."""
    home = Home(database)
    costs = {"id": "a", "from": "2025-01-01", "amount": "5.00", "tax": "gst"}
    static = {"type": "addon", "name": "Static", "prices": [costs]}
    sold = {("plan", "fibre"): {**TOWN["plan", "fibre"], "contract": TERM}, ("plan", "static"): static}
    reader = home.reader({key: yaml.safe_dump(one).encode() for key, one in sold.items()})
    with database.write() as conn:
        base = subscriptions.item(conn, home.service)
        terms = base.events[0].terms
        assert terms is not None
        bound = msgspec.structs.replace(terms, contract=timeline.Contract(months=24, share=500_000))
        subscriptions.change_terms(conn, home.service, bound, date(2026, 1, 20), "t")
        addons.add(conn, reader, home.service, "static", actor="t")
        half = Discount(of=base.key, since=date(2026, 1, 20), share=500_000, months=6)
        giving._give(conn, base, "spring", "spring", half, "AUD", "t")
    run_billing(database, reader, date(2026, 1, 20))
    with clock.frozen(datetime(2026, 2, 10, 4, tzinfo=UTC)):
        run_billing(database, reader, date(2026, 2, 10))
    _, new = home.as_new(reader, datetime(2026, 2, 10, 4, tzinfo=UTC))
    with clock.frozen(datetime(2026, 2, 12, 4, tzinfo=UTC)):
        tell(database, "activation.confirmed", new, service=new)
        with database.read() as conn:
            (end,) = [one for one in entries.of_service(conn, home.service) if one.kind == "cease"]
        tell(database, "changeset.landed", str(end.set_id), set_id=end.set_id)
        run_billing(database, reader, date(2026, 2, 12))
        run_billing(database, reader, date(2026, 3, 1))
    with database.read() as conn:
        found = contracts.running(subscriptions.item(conn, new).events, date(2026, 3, 1))
    assert found is not None
    assert (found.since, found.until) == (date(2026, 1, 20), date(2028, 1, 20))
    with database.read() as conn:
        query = sa.select(invoice.c.net).where(invoice.c.account_id == home.account)
        assert list(conn.execute(query.order_by(invoice.c.number)).scalars()) == [1723, 4450, 0, 4450]


@pytest.mark.parametrize("change_day", ["new", "old"])
def test_the_day_of_a_move_by_a_new_service_is_billed_once(database: Database, change_day: str):
    """Whosever change days are: each day is the old service's or the new one's, the month costs what it cost."""
    home = Home(database)
    reader = home.reader()
    with database.write() as conn:
        mine = account.c.id == home.account
        conn.execute(
            sa.update(account).where(mine).values(change_day=change_day)
        )  # before anything was billed to it
    run_billing(database, reader, date(2026, 2, 1))
    moment = datetime(2026, 2, 10, 4, tzinfo=UTC)
    _, new = home.as_new(reader, moment)
    with clock.frozen(moment):
        tell(database, "activation.confirmed", new, service=new)
        with database.read() as conn:
            (end,) = [one for one in entries.of_service(conn, home.service) if one.kind == "cease"]
        tell(database, "changeset.landed", str(end.set_id), set_id=end.set_id)
        run_billing(database, reader, date(2026, 2, 10))
    with database.read() as conn:
        old, after = (timeline.segments(subscriptions.item(conn, one).events) for one in (home.service, new))
        query = sa.select(invoice.c.net).where(invoice.c.account_id == home.account)
        nets = list(conn.execute(query.order_by(invoice.c.number)).scalars())
    assert (old[-1].end, after[0].start, after[0].end) == (date(2026, 2, 10), date(2026, 2, 10), None)
    assert nets[1:] == [0]


def test_what_leaving_costs_is_said_when_it_is_agreed_and_when_it_is_asked_for(database: Database):
    """In the entry of a later day, and of today for who ends it at once; a service without a term costs nothing."""
    desk, service, _ = two(database)
    free = desk.add(START, plan="fibre")
    (bound,) = desk.agree(ends.ask, service, "2026-02-05")
    (loose,) = desk.agree(ends.ask, free, "2026-02-05")
    within = (
        "early-termination fee of 50% of AUD 79.00 for each of the {} months left of the term of 2026-01-01"
    )
    assert bound.details["costs"].startswith(f"AUD 908.50, {within.format(23)}")
    assert loose.details == {}
    with database.read() as conn:
        assert cessation.costs_today(conn, service).startswith(f"AUD 948.00, {within.format(24)}")
        assert [cessation.costs_today(conn, one) for one in (free, "S-unknown")] == ["", ""]


def test_a_vacation_overlaps_no_other_one(database: Database):
    """Past ones count: before it, within it, around it and right before it are refused; right after it is not."""
    desk = Desk(database)
    service = desk.add(START)
    desk.agree(vacations.ask, service, date(2026, 1, 8), date(2026, 1, 12))
    for since, until in ((5, 9), (9, 10), (5, 15), (5, 8), (11, 14)):
        with pytest.raises(NotAgreeable, match="from 2026-01-08 until 2026-01-12 is agreed already"):
            desk.agree(vacations.ask, service, date(2026, 1, since), date(2026, 1, until))
    desk.agree(vacations.ask, service, date(2026, 1, 12), date(2026, 1, 14))
    desk.bill(START)
    with database.read() as conn:
        days = timeline.segments(subscriptions.item(conn, service).events)
    assert [(one.start.day, one.end and one.end.day) for one in days] == [(1, 8), (14, None)]


def test_a_change_for_an_earlier_day_leaves_the_file_to_the_later_one(database: Database):
    """Slow from the 10th, then fibre's other days before it: billed so, and the network stays as it is today."""
    desk = Desk(database)
    service = desk.add(START)
    first = desk.change(service, "slow", at="2026-01-10")
    desk.land(first)
    desk.services[service] = msgspec.structs.replace(desk.services[service], plan="slow")
    earlier = desk.change(service, "yearly", at="2026-01-05")
    assert (earlier.state, earlier.set_id) == ("done", None)
    with database.read() as conn:
        events = subscriptions.item(conn, service).events
    assert [(one.start.day, one.terms.plan) for one in timeline.segments(events)] == [
        (1, "fibre"), (5, "yearly"), (10, "slow"),
    ]  # fmt: skip
