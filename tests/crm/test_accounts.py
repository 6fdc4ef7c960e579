"""Accounts with terms of their own, from the order to the hold, on both databases."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from billing import accounts, catalog, policies, subscriptions, taxes
from billing import register as billing_register
from billing.billrun import run_billing
from billing.dunning import run_dunning
from billing.errors import AccountTermsFixed, PriceMissing
from billing.models import invoice
from billing.stages import Step
from core import clock, events
from core import register as core_register
from core.crypto import DataKey
from core.db import Database
from core.jobs import Worker
from crm import activation, adoption, customers, orders
from crm import register as crm_register
from crm.access import Radio
from crm.errors import AccountNotTheirs, CustomerUnknown
from crm.models import service_order
from intents.models import change
from intents.reader import MemoryReader
from tests.billing.threads import together
from tests.crm.town import TOWN, town

KEY = DataKey.generate()
CPE = Radio(ap="ap-hill", sector="s1", mac="02:00:5e:10:00:01")
SUBSCRIBERS = (core_register, billing_register, crm_register)  # they subscribe by being imported
FILES = {
    ("line", "L-1"): b"type: gpon\nstate: active\nolt: olt7\npon: 0/1/0\nonu: 0\nserial: HWTC00000001\n",
    ("service", "S-1"): (
        b"customer: C-1\ntype: internet\nstate: active\nplan: fibre\nline: L-1\n"
        b'session: {method: pppoe, login: s1@example.net, password: "enc:v1:AAAA"}\n'
    ),
}
"""A service that is in Git already."""
NOON = datetime(2026, 3, 9, 21, 0, tzinfo=UTC)
"""On the 10th in Kathmandu and in Perth."""


def both(currency: str, amount: str) -> dict[tuple[str, str], bytes]:
    """Fibre at AUD 79.00, and at a price in another currency."""
    said = "type: internet\nname: Fibre 500\nrate: {down: 500M, up: 50M}\nprices:\n"
    said += '- {id: 2025a, from: 2025-01-01, amount: "79.00", tax: gst}\n'
    said += f'- {{id: other, from: 2025-01-01, currency: {currency}, amount: "{amount}", tax: gst}}\n'
    return {("plan", "fibre"): said.encode()}


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryReader]:
    """The town, whose operator has a second legal entity, at a fixed moment."""
    config = {**TOWN["config", "trunkline"], "entities": {"west": {"name": "West Ltd"}}}
    monkeypatch.setitem(TOWN, ("config", "trunkline"), config)
    with clock.frozen(NOON):
        yield town()


def ready(database: Database) -> str:
    """Somebody new; a policy that reminds after a day and blocks after three, and two rates of one category."""
    with database.write() as conn:
        policies.set_policy(conn, "strict", [Step("reminder", 1), Step("stop", 3, "block")])
        for profile, rate in (("default", "10%"), ("nepal", "13%")):
            taxes.set_rate(conn, "gst", rate, profile=profile, valid_from=date(2000, 1, 1))
        return customers.add(conn, KEY, "Ada Lovelace")


def opened(database: Database, reader: MemoryReader, customer: str, **terms) -> str:
    """An account that a person opens."""
    with database.write() as conn:
        return orders.open_account(conn, reader, customer, actor="sue", **terms)


def placed(
    database: Database, reader: MemoryReader, customer: str, account: str | None = None
) -> orders.Order:
    """An order."""
    with database.write() as conn:
        name = orders.place_order(conn, reader, customer, "fibre", CPE, actor="sue", account=account)
        return orders.get(conn, name)


def works(database: Database, reader: MemoryReader, order: orders.Order) -> tuple[str, MemoryReader]:
    """It is provisioned and has landed: the service, and the town with its files."""
    set_id = activation.activate(database, reader, order.id, actor="sue", key=KEY)
    with database.read() as conn:
        rows = conn.execute(sa.select(change).where(change.c.set_id == set_id)).all()
        service, line = orders.get(conn, order.id).service, orders.get(conn, order.id).line
    with database.write() as conn:
        events.emit(conn, "changeset.landed", set_id, {"set_id": set_id}, actor="committer")
    Worker(database, "test").run_until_idle()
    assert service is not None
    assert line is not None
    files = {row.path.partition("/")[0]: row.content for row in rows}
    return service, town({("service", service): files["services"], ("line", line): files["lines"]})


def test_an_order_is_billed_and_dunned_by_the_terms_of_its_account(database: Database, reader: MemoryReader):
    """Zone, anchor, entity, tax profile, time to pay and policy are the account's; the neighbour has the operator's."""
    customer, neighbour = ready(database), ready(database)
    name = opened(
        database, reader, customer, timezone="Asia/Kathmandu", anchor=31, legal_entity="west", tax_profile="nepal",
        payment_days=5, dunning_policy="strict", change_day="old",
    )  # fmt: skip
    order = placed(database, reader, customer, name)
    service, there = works(database, reader, order)
    other = placed(database, reader, neighbour)
    _, both = works(database, there, other)
    today = date(2026, 3, 10)
    run_billing(database, both, today)
    with database.read() as conn:
        mine, theirs = (
            conn.execute(sa.select(invoice).where(invoice.c.account_id == one)).one()
            for one in (name, other.account_id)
        )
    # From 10 March to 31 March of a period of 28 February to 31 March: 21 of 31 days of AUD 79.00, and 13% of it.
    assert (mine.number, mine.net, mine.tax) == ("INV-west-000001", 5_352, 696)
    assert (mine.due_on, theirs.due_on) == (today + timedelta(days=5), today + timedelta(days=14))
    assert (theirs.number, theirs.legal_entity) == ("INV-000001", "main")
    assert run_dunning(database, there, today + timedelta(days=7)).held == ()
    assert run_dunning(database, there, today + timedelta(days=8)).held == (service,)


def test_an_account_in_another_currency_is_billed_and_dunned_in_it(database: Database, reader: MemoryReader):
    """Three decimals, and the policy's minimum is the one of that currency."""
    name = opened(
        database, reader, ready(database), currency="KWD", timezone="Asia/Kuwait", dunning_policy="strict"
    )
    sold = town(both("KWD", "19.750"))
    with database.write() as conn:
        policies.set_policy(
            conn, "strict", [Step("stop", 3, "block")], minimum={"KWD": "30.000", "AUD": "1.00"}
        )
        terms = catalog.price_on(sold, "fibre", date(2026, 3, 1), "KWD").terms
        subscriptions.activate(conn, name, "S-1", terms, date(2026, 3, 1), "sue")
    for month, held in ((3, ()), (4, ("S-1",))):
        run_billing(database, sold, date(2026, month, 1))
        assert run_dunning(database, town(FILES), date(2026, month, 25)).held == held
    with database.read() as conn:
        totals = conn.execute(sa.select(invoice.c.currency, invoice.c.total)).all()
    assert [tuple(one) for one in totals] == [("KWD", 21_725)] * 2


def test_an_order_without_an_account_opens_one_as_the_operator_has_it(
    database: Database, reader: MemoryReader
):
    """Once: the second order takes the same; a named one must be theirs."""
    customer, other = ready(database), ready(database)
    first, second = placed(database, reader, customer), placed(database, reader, customer)
    with database.read() as conn:
        (owner,) = accounts.of_customer(conn, customer)
    assert first.account_id == second.account_id == owner.id
    assert (owner.currency, owner.timezone, owner.anchor, owner.legal_entity) == (
        "AUD", "Australia/Perth", 1, "main",
    )  # fmt: skip
    with pytest.raises(AccountNotTheirs):
        placed(database, reader, other, owner.id)
    with pytest.raises(CustomerUnknown):
        opened(database, reader, "C-X")


def test_a_plan_is_not_ordered_to_an_account_in_a_currency_without_a_price(
    database: Database, reader: MemoryReader
):
    """The sentence names plan, day, currency and what to do; nothing is placed."""
    customer = ready(database)
    name = opened(database, reader, customer, currency="EUR")
    with pytest.raises(
        PriceMissing,
        match=r"plan fibre has no price on \d{4}-\d\d-\d\d in EUR; add a price with `currency: EUR` that starts "
        r"by then to catalog/plans/fibre.yaml",
    ):
        placed(database, reader, customer, name)
    with database.read() as conn:
        assert conn.execute(sa.select(service_order)).all() == []


def test_an_order_that_still_comes_keeps_the_currency_of_its_price(database: Database, reader: MemoryReader):
    """Other terms still change; once it is cancelled the currency does too."""
    customer = ready(database)
    order = placed(database, reader, customer)

    def change(**terms):
        with database.write() as conn:
            return orders.change_account(conn, reader, order.account_id, actor="sue", **terms)[1]

    with pytest.raises(AccountTermsFixed, match=f"keeps its currency: order {order.id} has a price in it"):
        change(currency="EUR", anchor=7)
    assert (change(anchor=7, currency="AUD").anchor, change(legal_entity="west").legal_entity) == (7, "west")
    with database.write() as conn:
        orders.cancel(conn, order.id, actor="sue")
    assert change(currency="EUR").currency == "EUR"


def test_an_order_and_a_change_of_currency_at_once_never_both_happen(
    database: Database, reader: MemoryReader
):
    """Whoever comes second is refused."""
    customer = ready(database)
    name = opened(database, reader, customer)
    turns = iter(
        [
            lambda conn: orders.change_account(conn, reader, name, actor="sue", currency="EUR"),
            lambda conn: orders.place_order(conn, reader, customer, "fibre", CPE, actor="sue", account=name),
        ]
    )

    def act() -> None:
        turn = next(turns)
        with suppress(AccountTermsFixed, PriceMissing), database.write() as conn:
            turn(conn)

    together(2, act)
    with database.read() as conn:
        count = len(orders.of_customer(conn, customer))
        assert (accounts.get(conn, name).currency, count) in {("AUD", 1), ("EUR", 0)}


def test_adoption_bills_to_the_account_that_was_opened_before_it(database: Database, reader: MemoryReader):
    """The first one in a currency of the plan's prices; without any such the service is named and left out."""
    there = town(FILES)
    with database.write() as conn:
        customers.add(conn, KEY, "Ada", id="C-1")
    opened(database, there, "C-1", currency="EUR")
    taken = adoption.adopt_services(database, there, since=date(2026, 3, 1), actor="sue")
    assert taken.services == ()
    assert "no price on 2026-03-01 in EUR; add a price with `currency: EUR`" in taken.refused["S-1"]
    name = opened(database, there, "C-1", anchor=9)
    taken = adoption.adopt_services(database, there, since=date(2026, 3, 1), actor="sue")
    assert taken.services == ("S-1",)
    with database.read() as conn:
        assert subscriptions.item(conn, "S-1").account == name


def test_an_account_in_euros_orders_and_is_adopted_at_the_price_in_euros(
    database: Database, reader: MemoryReader
):
    """The same plan, each in its own price; an account in euros comes first, so the service in Git is billed to it."""
    there, customer = town(FILES | both("EUR", "45.50")), ready(database)
    euro = opened(database, there, customer, currency="EUR")
    assert str(placed(database, there, customer, euro).terms.price) == "EUR 45.50"
    assert (
        str(placed(database, there, customer, opened(database, there, customer)).terms.price) == "AUD 79.00"
    )
    with database.write() as conn:
        customers.add(conn, KEY, "Bob", id="C-1")
    name = opened(database, there, "C-1", currency="EUR")
    assert adoption.adopt_services(database, there, since=date(2026, 3, 1), actor="sue").refused == {}
    with database.read() as conn:
        item = subscriptions.item(conn, "S-1")
    assert item.account == name
    assert [str(event.terms.price) for event in item.events if event.terms] == ["EUR 45.50"]
