"""One plan at prices in several currencies: each account is sold, billed, moved and refused in its own alone."""

from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from aaa.models import usage_day
from billing import catalog
from billing import preview as revenue
from billing.billrun import run_billing
from billing.calls import decks
from billing.errors import ContractCurrencyOther, PriceCurrencyOther, PriceMissing, PriceVersionUnknown
from billing.offers import addons
from billing.offers.errors import PromotionRefused
from billing.prices import moving
from billing.prices.errors import VersionUnsaid
from billing.prices.previewing import preview
from billing.prices.section import sections
from billing.rating.running import rate
from core.db import Database
from core.preview import Comparison
from crm.changes import plans
from intents.plan.schema import Calls, Contract, Plan, Usage
from tests.billing.selling import FEB, MAR, START, Shop
from tests.billing.stage import price

GB = 10**9


def euros(version: str, amount: str, since: date = date(2025, 1, 1), **given: Any):
    """A price version in euros."""
    return price(version, amount, since, currency="EUR", **given)


SOLD = {
    "fibre": Plan(
        type="internet", name="Fibre 500",
        prices=(
            price("2025a", "79.00"), euros("eu-1", "45.50", setup="20.00"), price("kw", "19.125", currency="KWD"),
            euros("eu-2", "47.50", FEB), price("2026b", "85.00", FEB),
        ),
    ),
    "gold": Plan(type="internet", prices=(price("a", "120.00"), euros("eu", "70.00"))),
    "slow": Plan(type="internet", prices=(price("a", "49.00"),)),
    "static": Plan(type="addon", name="Static address", prices=(price("a", "5.00"), euros("eu", "3.10"))),
    "visit": Plan(type="fee", prices=(price("a", "90.00", every="once"), euros("eu", "50.00", every="once"))),
    "bound": Plan(
        type="internet", contract=Contract(months=12, fee="200.00"),  # type: ignore[arg-type]
        prices=(price("a", "60.00"), euros("eu", "35.00", contract=Contract(months=6, each_month="9.00"))),  # type: ignore[arg-type]
    ),
    "loose": Plan(
        type="internet", contract=Contract(months=12, fee="200.00"), prices=(euros("eu", "35.00"),),  # type: ignore[arg-type]
    ),
    "share": Plan(type="internet", contract=Contract(months=12, share=50), prices=(euros("eu", "35.00"),)),
    "metered": Plan(
        type="internet",
        prices=(
            price("a", "30.00", usage=(Usage(meter="bytes", price="1.00"),)),  # type: ignore[arg-type]
            euros("eu", "20.00", usage=(Usage(meter="bytes", price="0.50", cap="3.00"),)),  # type: ignore[arg-type]
        ),
    ),
}  # fmt: skip


def a_shop(database: Database, currency: str = "AUD") -> Shop:
    """A shop of an operator in AUD, with an account in a currency."""
    shop = Shop(database, currency=currency)
    shop.more.update(SOLD)
    return shop


def test_the_price_in_force_is_the_latest_of_the_currency(database: Database):
    """One that says none is in the operator's; what another currency has begun since counts for nothing."""
    reader = a_shop(database).reader
    found = [
        (str(one.terms.price), one.version)
        for currency in ("AUD", "EUR", "KWD") for day in (START, MAR)
        for one in [catalog.price_on(reader, "fibre", day, currency)]
    ]  # fmt: skip
    assert found == [
        ("AUD 79.00", "2025a"), ("AUD 85.00", "2026b"), ("EUR 45.50", "eu-1"), ("EUR 47.50", "eu-2"),
        ("KWD 19.125", "kw"), ("KWD 19.125", "kw"),
    ]  # fmt: skip
    assert str(catalog.fee_on(reader, "visit", START, "EUR").terms.price) == "EUR 50.00"
    assert [one.version for one in catalog.every_version(reader, "fibre")][-2:] == ["eu-2", "2026b"]


def test_what_a_currency_has_no_price_for_is_one_sentence(database: Database):
    """Plan, day and currency, and what to do; also a version of another currency, and a contract of another."""
    reader = a_shop(database).reader
    with pytest.raises(
        PriceMissing,
        match=r"^plan slow has no price on 2026-01-01 in EUR; add a price with `currency: EUR` that starts by then "
        r"to catalog/plans/slow.yaml$",
    ):
        catalog.price_on(reader, "slow", START, "EUR")
    with pytest.raises(PriceMissing, match="plan visit has no price on 2026-01-01 in KWD"):
        catalog.fee_on(reader, "visit", START, "KWD")
    with pytest.raises(
        PriceCurrencyOther, match="'eu-1' of plan fibre is in EUR, not in AUD; name one in AUD"
    ):
        catalog.price_version(reader, "fibre", "eu-1", "AUD")
    with pytest.raises(PriceVersionUnknown):
        catalog.price_version(reader, "fibre", "us-1", "AUD")
    with pytest.raises(
        ContractCurrencyOther,
        match="contract of plan loose has its amount in AUD, and price version 'eu' is in EUR; say `contract` in",
    ):
        catalog.price_on(reader, "loose", START, "EUR")


def test_a_contract_is_the_price_versions_own_or_the_plans(database: Database):
    """Amounts of the plan's are the operator's; a share is of any price."""
    reader = a_shop(database).reader
    ours, theirs, share = (
        catalog.price_on(reader, plan, START, currency).terms.contract
        for plan, currency in (("bound", "AUD"), ("bound", "EUR"), ("share", "EUR"))
    )
    assert ours is not None
    assert theirs is not None
    assert share is not None
    assert (ours.months, str(ours.fee), ours.each) == (12, "AUD 200.00", None)
    assert (theirs.months, theirs.fee, str(theirs.each)) == (6, None, "EUR 9.00")
    assert share.share == 500_000


def test_one_plan_is_billed_to_each_account_at_its_own_price(database: Database):
    """In one run: AUD 79.00, EUR 45.50 and the set-up fee, KWD 19.125, and 10% of each; add-ons and fees too."""
    shops = [a_shop(database, currency) for currency in ("AUD", "EUR", "KWD")]
    for shop in shops:
        shop.add()
    euro = shops[1]
    (service,) = euro.services
    euro.sell(service, "static")
    with database.write() as conn:
        addons.charge_fee(conn, euro.reader, service, "visit", actor="anna", on=START)
    run = run_billing(database, shops[0].reader, START)
    assert run.parked == {}
    found = [[(one.currency, one.net, one.tax) for one in shop.invoices()] for shop in shops]
    assert found == [
        [("AUD", 7_900, 790)], [("EUR", 4_550 + 2_000 + 310 + 5_000, 1_186)], [("KWD", 19_125, 1_913)],
    ]  # fmt: skip


def test_a_service_leaves_and_changes_its_plan_in_its_currency(database: Database):
    """Half of January at EUR 45.50, half at EUR 70.00; a plan without a price in euros is refused."""
    shop = a_shop(database, "EUR")
    service = shop.add()
    shop.bill(START)
    with database.write() as conn:
        with pytest.raises(PriceMissing, match="plan slow has no price on 2026-01-16 in EUR"):
            plans.ask(conn, shop.reader, service, "slow", "2026-01-16", actor="anna")
        entry = plans.ask(conn, shop.reader, service, "gold", "2026-01-16", actor="anna")
    assert entry.details["terms"]["price"] == {"minor": 7_000, "currency": "EUR"}
    shop.happen("change_terms", service, date(2026, 1, 16), "gold")
    assert shop.bill(date(2026, 1, 16)) == [
        ("01-01", "recurring", 2_202), ("01-01", "setup", 2_000), ("01-16", "recurring", 3_613),
    ]  # fmt: skip


def test_what_is_not_sold_in_a_currency_is_refused_beside_a_service(database: Database):
    """An add-on, a fee, and an offer of an amount; a percentage is of any price."""
    shop = a_shop(database, "EUR")
    service = shop.add()
    shop.bill(START)
    with pytest.raises(PriceMissing, match="plan router has no price on 2026-01-01 in EUR"):
        shop.sell(service, "router")
    with pytest.raises(PromotionRefused, match="its `amount` is in AUD, the operator's currency, not in EUR"):
        shop.promote(service, "tenner")
    shop.more["slow"] = SOLD["gold"]
    other = shop.add(plan="slow")
    with pytest.raises(PromotionRefused, match="its `amount` is in AUD"):
        shop.bundle("duo", service, other)
    shop.promote(service, "half")
    assert ("01-01", "discount", -2_275) in shop.bill(START)


def test_usage_is_billed_by_the_price_in_the_currency(database: Database):
    """8 GB: AUD 1.00 each, EUR 0.50 each and at most EUR 3.00."""
    shops = [a_shop(database, currency) for currency in ("AUD", "EUR")]
    for shop in shops:
        used = {"service": shop.add(plan="metered"), "day": date(2026, 1, 5), "up_octets": 0}
        with database.write() as conn:
            conn.execute(sa.insert(usage_day).values(**used, down_octets=8 * GB))
    reader = a_shop(database).reader
    found = {one.account: str(one.amount) for one in rate(database, reader, FEB).changes}
    assert found == {shops[0].account: "AUD 8.00", shops[1].account: "EUR 3.00"}


def test_a_price_change_is_for_those_of_its_currency(database: Database, today: date):
    """A preview and a move of eu-2 look at euros alone; without a version it is the operator's last."""
    ours, theirs = a_shop(database), a_shop(database, "EUR")
    for shop in (ours, theirs):
        shop.add()
        shop.bill(START)
    reader = ours.reader
    for version, shop, currency, more in (("eu-2", theirs, "EUR", 200), (None, ours, "AUD", 600)):
        found = preview(database, reader, "fibre", version, on=MAR)
        assert (found.currency, found.items, found.left) == (currency, 1, {})
        assert [one.account for one in found.accounts] == [shop.account]
        assert found.monthly == {currency: more}
        assert {name: found.after[name] - minor for name, minor in found.before.items()} == {
            currency: more * 11 // 10 - (2_200 if currency == "EUR" else 0)  # eu-2 has no set-up fee
        }
    done = moving.apply(database, reader, "fibre", "eu-2", MAR, actor="anna")
    assert (done.moved, done.monthly, done.left) == (1, {"EUR": 200}, {})
    assert ours.bill(FEB, MAR)[-1] == ("03-01", "recurring", 7_900)
    assert theirs.bill(FEB, MAR)[-1] == ("03-01", "recurring", 4_750)


def test_a_price_change_that_mixes_currencies_is_refused(database: Database, today: date):
    """From a version of another currency; without a version, where the operator's currency has none."""
    shop = a_shop(database)
    mixed = "'2025a' of plan fibre is in AUD, not in EUR"
    with pytest.raises(PriceCurrencyOther, match=mixed):
        preview(database, shop.reader, "fibre", "eu-2", old="2025a")
    with pytest.raises(PriceCurrencyOther, match=mixed):
        moving.apply(database, shop.reader, "fibre", "eu-2", MAR, actor="anna", old="2025a")
    shop.more["abroad"] = Plan(type="internet", prices=(euros("eu", "35.00"),))
    with pytest.raises(
        VersionUnsaid, match="abroad has no price in AUD, the operator's currency; name the version: eu"
    ):
        preview(database, shop.reader, "abroad")


def test_a_pull_request_says_each_new_price_in_its_currency(database: Database, today: date):
    """A new version in euros would move those in euros; revenue is told for each currency."""
    ours, theirs = a_shop(database), a_shop(database, "EUR")
    for shop in (ours, theirs):
        shop.add()
    both = ours.services | theirs.services
    ours.services.update(both)
    head = ours.reader
    ours.more["fibre"] = Plan(type="internet", name="Fibre 500", prices=SOLD["fibre"].prices[:3])
    for service in both:
        ours.services[service] = replace(both[service], plan="gold")
    changed = frozenset([("plan", "fibre"), *(("service", name) for name in both)])
    comparison = Comparison(base=ours.reader, head=head, changed=changed, db=database)
    (found,) = sections(comparison)
    told = {one["version"]: (one["currency"], one["monthly"]) for one in found.data["prices"]}
    assert told == {"eu-2": ("EUR", {"EUR": 200}), "2026b": ("AUD", {"AUD": 600})}
    (said,) = revenue.sections(comparison)
    assert set(said.data["monthly"]) == {"AUD", "EUR"}
    assert "new price version eu-2, EUR 47.50 every month from 2026-02-01" in said.markdown


def test_days_before_a_currencys_first_price_have_none(database: Database):
    """The first price of a currency begins for that currency alone."""
    shop = a_shop(database)
    shop.more["later"] = Plan(type="internet", prices=(price("a", "9.00"), euros("eu", "5.00", MAR)))
    assert catalog.price_on(shop.reader, "later", MAR, "EUR").version == "eu"
    with pytest.raises(PriceMissing, match="on 2026-02-28 in EUR"):
        catalog.price_on(shop.reader, "later", MAR - timedelta(days=1), "EUR")


def test_a_deck_is_in_the_currency_of_the_prices_that_name_it(database: Database):
    """Who loads it hears in which; none where no plan names it yet."""
    shop = a_shop(database)
    for name, currency in (("ours", None), ("theirs", "EUR")):
        given = price("a", "9.00", currency=currency, calls=Calls(deck=name))
        shop.more[name] = Plan(type="voice", prices=(given,))
    found = [decks.currency_of(shop.reader, name) for name in ("ours", "theirs", "nobodys")]
    assert found == ["AUD", "EUR", None]
