"""Add-ons, rentals and fees: on and off in the middle of a month, back-dated, paused and ended with their service."""

from datetime import date

import pytest

from billing.billrun import run_billing
from billing.errors import BillableUnlike, TimelineNotUsable
from billing.offers import addons, view
from billing.offers.errors import NotActive, NotForThis, NotHad
from billing.runs import plain
from core.db import Database
from tests.billing.selling import APR, FEB, MAR, START, Shop


def beside(found: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Without the plan's own 79.00."""
    return [one for one in found if one[2] != 7900]


def test_an_addon_from_the_middle_to_the_middle_of_a_month(database: Database):
    """From 17 January (15 of 31 days) to 15 February (14 of 28); its set-up fee once; what is beyond goes back."""
    shop = Shop(database)
    service = shop.add()
    shop.sell(service, "static", date(2026, 1, 17))
    shop.sell(service, "static", date(2026, 1, 17))
    assert beside(shop.bill(date(2026, 1, 17))) == [("01-17", "recurring", 242), ("01-17", "setup", 300)]
    assert beside(shop.bill(FEB))[-1] == ("02-01", "recurring", 500)
    for _ in range(2):
        shop.end(service, "static", date(2026, 2, 15))
    assert beside(shop.bill(date(2026, 2, 15), MAR))[-1] == ("02-01", "recurring", 250)


def test_invariant_13_a_back_dated_addon_is_billed_as_one_in_time(database: Database):
    """Added in March from 10 January: the same charges as when it was added then."""
    late, timely = Shop(database), Shop(database)
    services = late.add(), timely.add()
    timely.sell(services[1], "router", date(2026, 1, 10))
    for shop in (late, timely):
        shop.bill(START, FEB, MAR)
    late.sell(services[0], "router", date(2026, 1, 10))
    assert late.bill(MAR) == timely.bill(MAR)
    assert ("01-10", "rental", 440) in late.bill(MAR)


def test_rented_equipment_is_paid_in_a_pause_and_an_addon_is_not(database: Database):
    """A vacation from 10 to 20 February; an add-on that is added within it is billed from its end."""
    shop = Shop(database)
    service = shop.add()
    shop.sell(service, "router")
    shop.happen("block", service, date(2026, 2, 10))
    shop.sell(service, "static", date(2026, 2, 12))
    shop.happen("unblock", service, date(2026, 2, 20))
    found = [one for one in shop.bill(START, FEB, MAR) if one[0].startswith("02")]
    assert found == [
        ("02-01", "recurring", 2539), ("02-01", "rental", 620), ("02-12", "setup", 300),
        ("02-20", "recurring", 161), ("02-20", "recurring", 2540),
    ]  # fmt: skip


def test_what_goes_beside_a_service_ends_with_it_whenever_it_was_recorded(database: Database):
    """Ceased on 20 January, told in March, after an add-on was sold in February: nothing of it stays billed."""
    shop = Shop(database)
    service = shop.add()
    shop.sell(service, "router")
    shop.bill(START, FEB)
    shop.sell(service, "static", date(2026, 2, 10))
    shop.bill(date(2026, 2, 10), MAR)
    shop.happen("cease", service, date(2026, 1, 20))
    assert shop.bill(MAR, APR) == [("01-01", "recurring", 4842), ("01-01", "rental", 380)]
    with pytest.raises(NotActive, match="not active on 2026-02-01"):
        shop.sell(service, "mailbox", FEB)


def test_a_quarterly_addon_has_a_rhythm_of_its_own(database: Database):
    """In step with the month in which it began, whatever the plan's rhythm is."""
    shop = Shop(database)
    service = shop.add()
    shop.sell(service, "mailbox", FEB)
    found = beside(shop.bill(START, FEB, MAR, APR, date(2026, 5, 1)))
    assert found == [("02-01", "recurring", 3100), ("05-01", "recurring", 3100)]


def test_addons_that_simply_renew_go_the_short_way(database: Database, monkeypatch):
    """From the second month on, plan, add-on and rental are billed in SQL."""
    ways = []
    real = plain.bill_plain

    def spy(*args):
        done = real(*args)
        ways.append((done.bills, len(done.odd)))
        return done

    monkeypatch.setattr(plain, "bill_plain", spy)
    shop = Shop(database)
    service = shop.add()
    shop.sell(service, "static")
    shop.sell(service, "router")
    assert shop.bill(START, FEB) == shop.ought(FEB)
    assert ways == [(0, 1), (1, 0)]
    kinds = {line["kind"] for line in _lines(shop)}
    assert kinds == {"recurring", "rental", "setup"}


def test_a_fee_is_billed_once_and_another_by_its_key(database: Database):
    """The same fee of a day is one; `key` tells a second apart."""
    shop = Shop(database)
    service = shop.add()
    with database.write() as conn:
        for key in ("", "", "second"):
            addons.charge_fee(conn, shop.reader, service, "visit", actor="anna", on=START, key=key)
    run_billing(database, shop.reader, START)
    assert [line["amount"] for line in _lines(shop) if line["kind"] == "one-off"] == [9000, 9000]
    shop.more["visit"] = _dearer()
    with pytest.raises(BillableUnlike), database.write() as conn:
        addons.charge_fee(conn, shop.reader, service, "visit", actor="anna", on=START)


def test_mistakes_are_one_sentence(database: Database):
    """A plan that is no add-on, a name that is not had, an end before the beginning, a re-sale into the past."""
    shop = Shop(database)
    service = shop.add()
    with pytest.raises(
        NotForThis, match="plan fibre is of type internet; this takes one of type addon or rental"
    ):
        shop.sell(service, "fibre")
    with pytest.raises(NotForThis, match="plan nothing is not in the catalogue"):
        shop.sell(service, "nothing")
    shop.sell(service, "static", FEB)
    with pytest.raises(NotHad, match="has no 'router'; it has static"):
        shop.end(service, "router", FEB)
    with pytest.raises(TimelineNotUsable, match="cannot end on 2026-01-05"):
        shop.end(service, "static", date(2026, 1, 5))
    shop.end(service, "static", MAR)
    with pytest.raises(TimelineNotUsable, match="give it another name"):
        shop.sell(service, "static", date(2026, 2, 10))
    shop.sell(service, "static", APR)


def test_what_a_service_has_is_shown(database: Database):
    """Plan, add-on with its end, rental."""
    shop = Shop(database)
    service = shop.add()
    shop.sell(service, "static")
    shop.sell(service, "router")
    shop.end(service, "static", MAR)
    with database.read() as conn:
        found = view.of_service(conn, service, FEB)
        later = view.of_service(conn, service, APR)
    assert [(one.role, one.name, str(one.price), one.until) for one in found] == [
        ("addon", "static", "AUD 5.00", MAR), ("plan", "fibre", "AUD 79.00", None),
        ("rental", "router", "AUD 6.20", None),
    ]  # fmt: skip
    assert [one.role for one in later] == ["plan", "rental"]


def _lines(shop: Shop) -> list:
    from billing import invoices

    with shop.database.read() as conn:
        return [line for made in shop.invoices() for line in invoices.lines(conn, made.id)]


def _dearer():
    from intents.plan.schema import Plan
    from tests.billing.stage import price

    return Plan(type="fee", name="Visit", prices=(price("a", "95.00", every="once"),))
