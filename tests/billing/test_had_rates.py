"""What corrects, and what is taken off, has the rate of what it corrects or is off, however the rate moved since."""

from datetime import date

import pytest

from billing import billables, taxes
from billing.billables import Billable
from billing.billrun import run_billing
from billing.explain import explain
from billing.runs.verify import breaches
from core.db import Database
from core.money import Money
from tests.billing.selling import APR, MAR, Shop
from tests.billing.stage import START, Stage
from tests.billing.test_taxing import FEB, MARCH, exempt, surcharge, totals


def add(
    stage: Stage, minor: int, revision: int, on: date = START, tax: str = "gst", source: str = "use"
) -> None:
    """Usage, or a correction of it."""
    with stage.database.write() as conn:
        one = Billable(
            account=stage.account, kind="usage", source=f"{source}:{stage.account}", description="Usage", tax=tax,
            amount=Money(minor, "AUD"), billed_from=on, revision=revision,
        )  # fmt: skip
        billables.add(conn, one, actor="test")


def rate(stage: Stage, told: str, since: date) -> None:
    """Another rate from a day on."""
    with stage.database.write() as conn:
        taxes.set_rate(conn, "gst", told, profile=stage.entity, valid_from=since)


@pytest.mark.parametrize("moved", ["15%", "20%", "exempt"])
def test_a_correction_gives_back_the_tax_that_was_charged(database: Database, moved: str):
    """Down or up, in one run or in two, after another rate or an exemption; what begins then has the new rate."""
    stage = Stage(database)
    add(stage, 5000, 0)
    run_billing(database, stage.reader, START)
    if moved == "exempt":
        exempt(stage, FEB)
    else:
        rate(stage, moved, FEB)
    add(stage, -500, 1, FEB)
    add(stage, 200, 2, FEB)
    run_billing(database, stage.reader, FEB)
    add(stage, -4700, 3, MARCH)
    run_billing(database, stage.reader, MARCH)
    add(stage, 1000, 0, MARCH, source="other")
    run_billing(database, stage.reader, MARCH)
    today = {"15%": 150, "20%": 200, "exempt": 0}[moved]
    assert totals(stage) == [(5000, 500), (-300, -30), (-4700, -470), (1000, today)]
    assert not list(breaches(database))


def test_a_correction_in_another_category_has_todays_rate(database: Database):
    """It is something else that is taxed."""
    stage = Stage(database)
    add(stage, 5000, 0)
    run_billing(database, stage.reader, START)
    add(stage, -500, 1, FEB, tax="")
    run_billing(database, stage.reader, FEB)
    assert totals(stage) == [(5000, 500), (-500, 0)]


def test_what_is_corrected_before_it_was_billed_has_the_rate_of_the_day(database: Database):
    """Both stand on one bill."""
    stage = Stage(database)
    rate(stage, "20%", FEB)
    add(stage, 5000, 0)
    add(stage, -500, 1)
    run_billing(database, stage.reader, FEB)
    assert totals(stage) == [(4500, 900)]


def test_a_discount_is_taxed_as_what_it_is_off(database: Database):
    """Given late, off a period that was billed at the old rate; off the next one at the new."""
    shop = Shop(database)
    service = shop.add(on=MAR)
    run_billing(database, shop.reader, MAR)
    rate(shop, "20%", date(2026, 3, 15))
    shop.promote(service, "spring", on=MAR)
    run_billing(database, shop.reader, date(2026, 3, 20))
    assert totals(shop) == [(7900, 790), (-790, -79)]
    run_billing(database, shop.reader, APR)
    assert totals(shop)[-1] == (7110, 1422)
    assert not list(breaches(database))


def test_a_discount_off_what_is_billed_beside_it_has_the_same_rate(database: Database):
    """Both are new on one bill."""
    shop = Shop(database)
    service = shop.add(on=MAR)
    rate(shop, "20%", MAR)
    shop.promote(service, "spring", on=MAR)
    run_billing(database, shop.reader, MAR)
    assert totals(shop) == [(7110, 1422)]


def test_a_fixed_surcharge_is_borne_once_while_something_is_billed(database: Database):
    """A correction adds none and takes none back, before nothing is left; two corrections in one run are as two."""
    stage = Stage(database)
    surcharge(stage, kinds=("usage",), millionths=0, fixed=Money(50, "AUD"))
    add(stage, 1000, 0)
    run_billing(database, stage.reader, START)
    add(stage, -100, 1, FEB)
    add(stage, 300, 2, FEB)
    run_billing(database, stage.reader, FEB)
    add(stage, -1200, 3, MARCH)
    run_billing(database, stage.reader, MARCH)
    assert [net for net, _tax in totals(stage)] == [1050, 200, -1250]
    with database.read() as conn:
        (_usage, told) = explain(conn, stage.invoices()[0].id)["lines"]
    assert (
        told["why"]
        == "a surcharge of AUD 0.50 for line 1, AUD 10.00, once as long as something of it is billed"
    )
