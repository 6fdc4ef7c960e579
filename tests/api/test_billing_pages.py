"""Billing in the console and in the API: what staff see of an account and an invoice, and what they decide there."""

import re
from datetime import date, timedelta

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.billing import pictures
from api.login import link
from billing import accounts, bill, explain, history, payments, subscriptions, taxes
from billing.billrun import run_billing
from billing.dunning import run_dunning
from billing.glance import Month
from billing.refunding import byhand, refunds
from core import clock
from core.money import Money
from crm.adoption import adopt_services
from tests.world import World


@pytest.fixture
def account(world: World) -> str:
    """S-1's account, billed from the first of last month on, with S-2 and S-3 on others; INV-000001 is its first."""
    since = (_today().replace(day=1) - timedelta(days=1)).replace(day=1)
    with world.one.db.write() as conn:
        taxes.set_rate(conn, "gst", "10%", valid_from=date(2025, 1, 1))
    with world.one.reader() as reader:
        adopt_services(world.one.db, reader, since=since, actor="engineer-1", key=world.key)
    world.one.settle()
    with world.one.reader() as reader:
        run_billing(world.one.db, reader, since)
    with world.one.db.read() as conn:
        return subscriptions.item(conn, "S-1").account


def test_the_overview_shows_what_is_owed_and_what_came_in(browser: TestClient, account: str) -> None:
    """As pictures with their figures; payments move them after a minute, the runs are listed."""
    page = browser.get("/billing").text
    assert "AUD 260.70</b> owed to us" in page  # three of 86.90
    assert re.search(r"<title>(current|[0-9-]+ days late): AUD 260.70<", page)
    assert "invoiced AUD 260.70, received AUD 0.00" in page
    assert "3 bills, 3 lines, 3 final" in page


def test_an_account_page_takes_a_payment_once_and_notes_a_promise(browser: TestClient, account: str) -> None:
    """The form's key makes a second click the same payment; a wrong date is one sentence."""
    page = browser.get(f"/accounts/{account}").text
    assert "fibre-500 2025a, AUD 79.00" in page
    assert "AUD 86.90" in page
    form = {"csrf": _secret(page), "key": _value(page, "key"), "amount": "50", "method": "bank"}
    for _ in range(2):
        page = browser.post(f"/accounts/{account}/pay", data=form).text
    assert page.count('<td class="number">AUD 50.00</td>') == 1
    assert "AUD 36.90</b> open" in page
    wrong = browser.post(f"/accounts/{account}/promise", data={"csrf": form["csrf"], "until": "soon"})
    assert (wrong.status_code, "until &#39;soon&#39;" in wrong.text) == (422, True)
    until = str(_today() + timedelta(days=9))
    page = browser.post(f"/accounts/{account}/promise", data={"csrf": form["csrf"], "until": until}).text
    assert f"promise to pay until {until} <small>by admin-1" in page


def test_what_was_taken_back_of_a_payment_is_not_shown_as_paid(
    world: World, browser: TestClient, account: str
) -> None:
    """On the account's page and in the invoice's explanation: the net, and what happened to the payment."""
    with world.one.db.write() as conn:
        paid = payments.pay(conn, account, Money(5_000, "AUD"), "bank", "k1").payment
        byhand.unallocate(conn, paid, "INV-000001", Money(2_000, "AUD"), actor="sue")
        refunds.refund(conn, paid, Money(500, "AUD"), key="r1", method="bank", actor="sue", reason="overpaid")
    page = browser.get(f"/accounts/{account}").text
    assert '<a href="/invoices/INV-000001">INV-000001</a> AUD 30.00' in page
    assert re.search(r"refund rfd_\w+ of AUD 5.00 by bank: requested", page)
    assert "AUD -" not in page
    with world.one.db.read() as conn:
        told = explain.explain(conn, "INV-000001")
    assert [(one["payment"], one["amount"]) for one in told["payments"]] == [(paid, "AUD 30.00")]
    with world.one.db.write() as conn:
        byhand.unallocate(conn, paid, "INV-000001", actor="sue")
    with world.one.db.read() as conn:
        assert explain.explain(conn, "INV-000001")["payments"] == []
    assert '<span class="none">unapplied (held)</span>' in browser.get(f"/accounts/{account}").text


def test_an_account_that_is_held_says_so_with_its_stages(
    world: World, browser: TestClient, account: str
) -> None:
    """The newest stage first."""
    with world.one.reader() as reader:
        run_dunning(world.one.db, reader, _today() + timedelta(days=60))
    page = browser.get(f"/accounts/{account}").text
    assert "holds S-1" in page
    told = re.findall(r"<li>\S+ (\w+) \(stage (\d)\)", page)
    assert told == [("suspension", "3"), ("warning", "2"), ("reminder", "1")]


def test_an_invoice_page_explains_each_line_and_credits_a_part(
    world: World, browser: TestClient, account: str
) -> None:
    """Only billing may; what is not there cannot be credited; the note is linked both ways."""
    page = browser.get("/invoices/INV-000001").text
    assert "price version 2025a of plan fibre-500" in page
    assert "as it was sealed" in page
    form = {
        "csrf": _secret(page),
        "key": _value(page, "key"),
        "line": "1",
        "amount": "10",
        "reason": "outage",
    }
    assert browser.post("/invoices/INV-000001/credit", data=form | {"reason": ""}).status_code == 422
    assert browser.post("/invoices/INV-000001/credit", data=form | {"line": "x"}).status_code == 422
    assert browser.post("/invoices/INV-000001/credit", data=form | {"line": ""}).status_code == 422
    over = browser.post("/invoices/INV-000001/credit", data=form | {"amount": "100", "key": "other"})
    assert over.status_code == 409
    for _ in range(2):
        page = browser.post("/invoices/INV-000001/credit", data=form).text
    assert re.findall(r'">a draft</a> (AUD -?[\d.]+)', page) == ["AUD -11.00"]
    with world.one.reader() as reader:
        run_billing(world.one.db, reader, _today())
    assert 'href="/invoices/INV-000001"' in browser.get("/invoices/CN-000001").text
    other = TestClient(create_app(world.one.context, world.one.repo))
    other.get(link(world.one.context, "sue", "support"))
    page = other.get("/invoices/INV-000001").text
    assert "Credit it" not in page
    sent = form | {"csrf": _secret(other.get(f"/accounts/{account}").text), "key": "third"}
    assert other.post("/invoices/INV-000001/credit", data=sent).status_code == 403


def test_a_content_that_was_tampered_with_shows(world: World, browser: TestClient, account: str) -> None:
    """The seal is compared each time somebody looks."""
    with world.one.db.write() as conn:
        conn.exec_driver_sql("UPDATE invoice_line SET amount = amount + 1 WHERE position = 1")
    assert "differs from its seal" in browser.get("/invoices/INV-000001").text


def test_a_parked_account_is_let_pass_by_its_form(world: World, browser: TestClient, account: str) -> None:
    """It is named with its reason; after the next run it is billed."""
    with world.one.reader() as reader:
        run = run_billing(world.one.db, reader, _today(), bounds=bill.Bounds(lines=0))
    assert account in run.parked
    page = browser.get("/billing").text
    assert "more than 0" in page
    assert f'action="/accounts/{account}/accept"' in page
    assert browser.post(f"/accounts/{account}/accept", data={"csrf": _secret(page)}).status_code == 200
    with world.one.reader() as reader:
        again = run_billing(world.one.db, reader, _today(), bounds=bill.Bounds(lines=0))
    assert account not in again.parked
    assert again.drafts == 1


def test_who_is_no_staff_sees_nothing_of_it(world: World, account: str) -> None:
    """A viewer is refused on every page, and the navigation does not offer it."""
    viewer = TestClient(create_app(world.one.context, world.one.repo))
    viewer.get(link(world.one.context, "vera", "viewer"))
    assert 'href="/billing"' not in viewer.get("/").text
    for place in ("/billing", f"/accounts/{account}", "/invoices/INV-000001"):
        assert viewer.get(place).status_code == 403


def test_the_search_leads_to_accounts_and_invoices(browser: TestClient, account: str) -> None:
    """By id and by number."""
    for text, place in ((account, f"/accounts/{account}"), ("INV-000001", "/invoices/INV-000001")):
        assert browser.get("/find", params={"q": text}).url.path == place


def test_programs_read_accounts_explanations_and_reports(caller, account: str) -> None:
    """The same figures; a support role reads accounts and no reports."""
    billing, support = caller("billing"), caller("support")
    shown = support.get(f"/accounts/{account}").json()
    assert shown["standing"]["open"]["text"] == "AUD 86.90"
    (item,) = shown["items"]
    assert (item["service"], item["stretches"][0]["price"]["minor"]) == ("S-1", 7900)
    assert len(support.get("/accounts", limit=2).json()["accounts"]) == 2
    told = support.get("/invoices/INV-000001/explanation").json()["invoice"]
    assert "price version 2025a" in told["lines"][0]["why"]
    assert support.get("/reports/trial-balance").status_code == 403
    balances = billing.get("/reports/trial-balance").json()["balances"]
    assert sum(one["amount"]["minor"] for one in balances) == 0
    assert {"receivable", "tax-payable:gst"} <= {one["ledger"] for one in balances}
    (owed,) = billing.get("/reports/receivables").json()["receivables"]
    assert owed["together"]["minor"] == 26070
    (tax,) = billing.get("/reports/tax", since="2020-01-01", until="2100-01-01").json()["taxes"]
    assert (tax["rate"], tax["tax"]["minor"], tax["documents"]) == ("10%", 2370, 3)
    assert billing.get("/reports/tax", since="2026-01-01", until="2026-01-01").status_code == 422
    until = str(_today() + timedelta(days=3))
    assert support.post(f"/accounts/{account}/promises", {"until": until}).status_code == 201
    assert support.get(f"/accounts/{account}").json()["dunning"][0]["by"] == "support-1"


def test_papers_are_given_to_staff_and_programs(
    world: World, browser: TestClient, caller, account: str
) -> None:
    """The same PDF on both ways; what the e-invoice lacks is one sentence with the remedy."""
    assert 'href="/invoices/INV-000001/pdf"' in browser.get("/invoices/INV-000001").text
    shown = browser.get("/invoices/INV-000001/pdf")
    assert (shown.headers["content-type"], shown.content[:5]) == ("application/pdf", b"%PDF-")
    support = caller("support")
    assert support.get("/invoices/INV-000001/pdf").content == shown.content
    refused = support.get("/invoices/INV-000001/xml")
    assert (refused.status_code, "trunkline.yaml under entities" in refused.text) == (409, True)
    assert support.get("/invoices/INV-9/pdf").status_code == 404


def test_a_program_credits_once(caller, account: str) -> None:
    """By its key; too much is refused with the place."""
    billing = caller("billing")

    def credit(key: str, parts: dict[str, str | None] | None):
        return billing.client.post(
            "/api/v1/invoices/INV-000001/credits",
            json={"reason": "outage", "parts": parts},
            headers=billing.headers | {"Idempotency-Key": key},
        )

    first, again = credit("a", {"1": "10.00"}), credit("a", {"1": "10.00"})
    assert (first.status_code, first.json()["total"]["minor"]) == (201, -1100)
    assert first.json()["note"] == again.json()["note"]
    assert credit("b", {"1": "70.00"}).status_code == 409
    other = credit("a", {"1": "20.00"})
    assert (other.status_code, "already stands for another credit note" in other.text) == (409, True)
    nothing = credit("d", {})
    assert (nothing.status_code, "leave it out to credit all" in nothing.text) == (422, True)
    misspelt = billing.client.post(
        "/api/v1/invoices/INV-000001/credits",
        json={"reason": "outage", "part": {"1": "10.00"}},
        headers=billing.headers | {"Idempotency-Key": "e"},
    )
    assert (misspelt.status_code, "part" in misspelt.text) == (422, True)
    assert credit("c", None).json()["total"]["minor"] == -(8690 - 1100)


def test_the_pictures_have_every_figure_in_its_place() -> None:
    """Ages tile the bar, columns stand on the line of zero, a curve ends today, days outside are at the edge."""
    ages = {"current": 300, "1-30": 0, "31-60": 100, "61-90": 0, "over 90": 0}
    bar = pictures.age_bar("AUD", ages, Money(400, "AUD"))
    assert [(one.x, one.width) for one in bar.parts] == [(0, 540), (540, 180)]
    months = [
        Month(date(2026, month, 1), Money(value, "JPY"), Money(50, "JPY"))
        for month, value in ((1, 100), (2, -100))
    ]
    drawn = pictures.columns("JPY", months)
    up, down = (one.invoiced for one in drawn.columns)
    assert up[0] + up[1] == pytest.approx(drawn.base)
    assert down[0] == drawn.base
    assert up[1] == pytest.approx(down[1])
    along = pictures.axis(date(2026, 6, 20), date(2026, 1, 15), date(2026, 7, 1))
    assert (along.since, along.until) == (date(2026, 1, 1), date(2026, 8, 1))
    assert along.x(date(2020, 1, 1)) == along.x(along.since) < along.today < along.x(along.until)
    curve = pictures.curve([(date(2025, 5, 1), 500), (date(2026, 3, 1), 0)], "JPY", along)
    assert curve.path.endswith(f"V{curve.zero}H{along.today}")


def test_a_story_is_cut_where_something_took_effect(world: World, account: str) -> None:
    """A pause in the middle is a stretch of its own, and not billed."""
    today = _today()
    with world.one.db.write() as conn:
        accounts.lock(conn, account)
        subscriptions.block(conn, "S-1", today, "test")
        subscriptions.unblock(conn, "S-1", today + timedelta(days=5), "test")
    with world.one.db.read() as conn:
        (story,) = history.stories(conn, account)
    assert [(one.start, one.blocked) for one in story.stretches][1:] == [
        (today, True),
        (today + timedelta(days=5), False),
    ]
    assert story.stretches[-1].end is None


def _today() -> date:
    return clock.today("Australia/Perth")


def _secret(page: str) -> str:
    return _value(page, "csrf")


def _value(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found
    return found[1]
