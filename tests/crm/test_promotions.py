"""Promotions that come with an order: reserved, redeemed once, free when cancelled; limits hold at any moment."""

import os
import signal
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from billing import accounts, subscriptions, taxes
from billing.billrun import run_billing
from billing.explain import explain
from billing.models import invoice
from billing.offers import giving, quoting, redeeming
from billing.offers.errors import NotInForce, PromotionRefused
from billing.offers.models import promotion_redemption
from billing.subscriptions import DISCOUNT
from core import clock
from core.db import Database
from core.jobs import _LEASE, Worker
from crm import customers, orders
from intents.reader import MemoryReader
from tests.billing.threads import together
from tests.crm.test_orders import CPE, KEY, provision, state_of, tell
from tests.crm.town import read, town

POINTS = ["billing.before_promotion_commit", "billing.before_redeemed_commit"]
OFFERS = {
    "half": "percent: 50\nmonths: 3\ncode: HALF-26\n",
    "few": 'amount: "10.00"\nlimit: 3\ncode: FEW\n',
    "one-each": "percent: 10\nper-customer: 1\n",
    "new": "percent: 20\nnew-customers: true\n",
    "alone": "percent: 25\ncombinable: false\n",
    "business": "percent: 10\nplans: [business]\n",
    "past": "percent: 10\nfrom: 2020-01-01\nuntil: 2020-02-01\n",
    "twin-a": "percent: 1\ncode: TWIN\n",
    "twin-b": "percent: 2\ncode: TWIN\n",
}


def shop() -> MemoryReader:
    """The town with promotions."""
    found = town()
    kinds = ("config", "site", "edge", "pool", "device", "plan")
    kept = [(kind, name, one) for kind in kinds for name, one in found.all(kind)]
    given = []
    for name, text in OFFERS.items():
        document = read("offer", name, f"type: promotion\n{text}".encode())
        assert document.value is not None, document
        given.append(("offer", name, document.value))
    return MemoryReader.of([*kept, *given])


SHOP = shop()


@pytest.fixture(autouse=True)
def fresh(database: Database) -> None:
    """Nobody redeemed anything yet."""
    with database.write() as conn:
        conn.execute(sa.delete(promotion_redemption))


def someone(database: Database) -> str:
    """A new customer."""
    with database.write() as conn:
        return customers.add(conn, KEY, "Ada Lovelace")


def order(database: Database, *codes: str, customer: str = "", plan: str = "fibre", **given: Any) -> str:
    """An order with promotions."""
    who = customer or someone(database)
    with database.write() as conn:
        return orders.place_order(conn, SHOP, who, plan, CPE, actor="staff-7", promotions=codes, **given)


def states(database: Database, order_id: str) -> list[tuple[str, str]]:
    """(offer, state) of what an order has."""
    with database.read() as conn:
        return [(row["offer"], row["state"]) for row in redeeming.of(conn, order_id)]


def land(database: Database, order_id: str) -> str:
    """Provision it and let its change set land; returns the service."""
    provision(database, order_id, SHOP)
    found = state_of(database, order_id)
    tell(database, "changeset.landed", str(found.set_id), set_id=found.set_id)
    return str(state_of(database, order_id).service)


def discounts(database: Database, service: str) -> list[str]:
    """Names of what is off a service."""
    with database.read() as conn:
        return [one.label for one in subscriptions.items_of(conn, service, (DISCOUNT,))]


def test_a_promotion_is_the_services_when_the_order_is_active(database: Database):
    """Reserved with the order, redeemed on activation, off the first bill; explain names code and order."""
    order_id = order(database, "half-26", "few")
    assert states(database, order_id) == [("few", "reserved"), ("half", "reserved")]
    service = land(database, order_id)
    assert states(database, order_id) == [("few", "redeemed"), ("half", "redeemed")]
    assert sorted(discounts(database, service)) == ["few", "half"]
    tell(database, "changeset.landed", "again", set_id=state_of(database, order_id).set_id)
    assert sorted(discounts(database, service)) == ["few", "half"]
    account = state_of(database, order_id).account_id
    with database.write() as conn:
        taxes.set_rate(conn, "gst", "10%", profile="default", valid_from=date(2000, 1, 1))
    run_billing(database, SHOP, clock.today("Australia/Perth"))
    with database.read() as conn:
        number = conn.execute(sa.select(invoice.c.id).where(invoice.c.account_id == account)).scalar_one()
        lines = explain(conn, number)["lines"]
    (half,) = [line for line in lines if "offer" in line["why"] or "50%" in line["why"]][-1:]
    assert any(f"redeemed as half-26 with order {order_id}" in line["why"] for line in lines), half
    assert any("AUD 10.00 a month off" in line["why"] for line in lines)


def test_what_was_promised_is_pinned_with_the_order(database: Database):
    """The offer is gone from the catalogue when the network is ready: the promise stays."""
    order_id = order(database, "few")
    provision(database, order_id, town())
    found = state_of(database, order_id)
    tell(database, "changeset.landed", str(found.set_id), set_id=found.set_id)
    assert discounts(database, str(state_of(database, order_id).service)) == ["few"]


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (["NOPE"], "promotion 'NOPE' cannot be had: no promotion has this code"),
        (["business"], "it is for business, not for fibre"),
        (["past"], "it is given from 2020-01-01 until before 2020-02-01, not on"),
        (["alone", "few"], "'alone' cannot be had: it goes with no other promotion"),
        (["few", "FEW"], "it is named twice"),
        (["twin"], "twin-a and twin-b have it both"),
    ],
)
def test_an_order_whose_promotion_cannot_be_had_is_not_placed(database: Database, codes, words: str):
    """One sentence, and nothing of the order is left."""
    who = someone(database)
    with pytest.raises(PromotionRefused, match=words):
        order(database, *codes, customer=who)
    with database.read() as conn:
        assert orders.of_customer(conn, who) == []
        assert conn.execute(sa.select(promotion_redemption)).first() is None


def test_a_limit_counts_reservations_and_a_cancelled_order_gives_its_back(database: Database):
    """Three may; the fourth waits until one is cancelled; a draft has its own already."""
    placed = [order(database, "FEW"), order(database, "FEW", draft=True), order(database, "FEW")]
    with pytest.raises(PromotionRefused, match="all 3 are taken"):
        order(database, "FEW")
    with database.write() as conn:
        orders.cancel(conn, placed[1], actor="staff-7")
        assert redeeming.release(conn, placed[1]) == 0
        assert redeeming.redeemed(conn) == {"few": {"released": 1, "reserved": 2}}
    order(database, "FEW")
    with pytest.raises(PromotionRefused, match="all 3 are taken"):
        order(database, "FEW")


def test_once_for_a_customer_and_for_new_customers_only(database: Database):
    """The second order of one customer; a customer who has a service."""
    who = someone(database)
    first = order(database, "one-each", customer=who)
    with pytest.raises(PromotionRefused, match=f"customer {who} had it before"):
        order(database, "one-each", customer=who)
    order(database, "new", customer=who)
    land(database, first)
    with pytest.raises(PromotionRefused, match="it is for new customers"):
        order(database, "new", customer=who)


def test_support_gives_within_the_same_limits(database: Database):
    """`promotion add` counts, and keeps to what goes together."""
    service = land(database, order(database, "few"))
    with database.write() as conn:
        with pytest.raises(PromotionRefused, match="has few, and the two do not go together"):
            giving.promote(conn, SHOP, service, "alone", actor="anna")
        giving.promote(conn, SHOP, service, "new", actor="anna")
        giving.promote(conn, SHOP, service, "new", actor="anna")
        with pytest.raises(NotInForce):
            giving.promote(conn, SHOP, service, "past", actor="anna")
        assert redeeming.redeemed(conn)["new"] == {"redeemed": 1}
    for _ in range(2):
        order(database, "few")
    other = land(database, order(database))
    with database.write() as conn, pytest.raises(PromotionRefused, match="all 3 are taken"):
        giving.promote(conn, SHOP, other, "few", actor="anna")
    assert discounts(database, other) == []


def test_orders_at_one_moment_never_exceed_the_limit(database: Database):
    """Eight threads, three promotions: three have it, five hear that all are taken; nothing is left of theirs."""
    people = [someone(database) for _ in range(8)]
    with database.write() as conn:
        for who in people:  # the counter of accounts would queue them up
            orders.open_account(conn, SHOP, who)
    waiting, had, refused = list(people), [], []

    def act() -> None:
        who = waiting.pop()
        try:
            had.append(order(database, "FEW", customer=who))
        except PromotionRefused as error:
            refused.append(str(error))

    together(8, act)
    assert (len(had), len(refused)) == (3, 5)
    assert all("all 3 are taken" in one for one in refused)
    with database.read() as conn:
        assert redeeming.redeemed(conn, "few") == {"few": {"reserved": 3}}
        assert sum(len(orders.of_customer(conn, who)) for who in people) == 3


def test_two_orders_of_one_customer_at_one_moment_redeem_once(database: Database):
    """Once for each customer means once."""
    who = someone(database)
    with database.write() as conn:
        orders.open_account(conn, SHOP, who)
    done: list[str] = []

    def act() -> None:
        try:
            done.append(order(database, "one-each", customer=who))
        except PromotionRefused:
            done.append("")

    together(2, act)
    assert sorted(map(bool, done)) == [False, True]


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_lived_again(database: Database, point: str):
    """Before the order is written: nothing is reserved. While it is redeemed: it is redeemed once."""
    who = someone(database)
    order_id = ""
    if point == POINTS[1]:
        order_id = order(database, "half", customer=who)
        provision(database, order_id, SHOP)
    found = state_of(database, order_id) if order_id else None

    child = os.fork()
    if not child:
        database.engine.dispose(close=False)
        os.environ |= {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}
        if found is None:
            order(database, "half", customer=who)
        else:
            tell(database, "changeset.landed", str(found.set_id), set_id=found.set_id)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    with database.read() as conn:
        assert len(orders.of_customer(conn, who)) == bool(found)
    if found is None:
        order_id = order(database, "half", customer=who)
        service = land(database, order_id)
    else:
        with clock.frozen(clock.now() + _LEASE):
            Worker(database, "after").run_until_idle()
        service = str(state_of(database, order_id).service)
    assert states(database, order_id) == [("half", "redeemed")]
    assert discounts(database, service) == ["half"]


def test_a_quote_says_what_each_period_costs(database: Database):
    """The first part of a month, then 50% off until the three months end, then the price; tax on top."""
    with database.write() as conn:
        taxes.set_rate(conn, "gst", "10%", profile="default", valid_from=date(2000, 1, 1))
        found = quoting.quote(
            conn,
            SHOP,
            "fibre",
            ["half-26"],
            account=None,
            customer=None,
            on=date(2026, 3, 16),
            currency="AUD",
        )
        assert redeeming.redeemed(conn) == {}
    assert found.promotions == {"half": "50% off from 2026-03-16 until 2026-06-16 (exclusive)"}
    told = [(one.period.start.month, one.days, one.listed.minor, one.total.minor) for one in found.parts]
    assert told == [
        (3, 16, 4077, 2242), (4, 30, 7900, 4345), (5, 31, 7900, 4345), (6, 30, 7900, 6518), (7, 31, 7900, 8690),
    ]  # fmt: skip
    assert [one.off["half"].minor for one in found.parts[:4]] == [-2039, -3950, -3950, -1975]
    assert found.stays == date(2026, 7, 1)
    assert found.parts[-1].off == {}
    with database.read() as conn, pytest.raises(PromotionRefused, match="no promotion has this code"):
        quoting.quote(
            conn, SHOP, "fibre", ["NOPE"], account=None, customer=None, on=date(2026, 3, 16), currency="AUD"
        )


def test_a_quote_for_an_account_keeps_to_its_anchor(database: Database):
    """Its own rhythm and tax; who had it before hears so."""
    who = someone(database)
    with database.write() as conn:
        taxes.set_rate(conn, "gst", "10%", profile="default", valid_from=date(2000, 1, 1))
        account = accounts.open_account(conn, who, currency="AUD", timezone="Australia/Perth", anchor=16)
    given: dict[str, Any] = {"account": account, "customer": None, "on": date(2026, 3, 16), "currency": "AUD"}
    with database.read() as conn:
        found = quoting.quote(conn, SHOP, "fibre", [], **given)
    assert [(one.days, one.total.minor) for one in found.parts] == [(31, 8690)]
    order(database, "one-each", customer=who)
    with database.read() as conn, pytest.raises(PromotionRefused, match="had it before"):
        quoting.quote(conn, SHOP, "fibre", ["one-each"], **given)
