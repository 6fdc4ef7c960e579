"""The billing desk in the console and the API: drafts, runs, dunning, bank, gateways, prepaid, autopay and refunds."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from api.app import create_app
from api.bank.upload import parse
from api.login import link
from billing import accounts, crediting, holds, payments
from billing.bank import mandates
from billing.dunning import run_dunning
from billing.gateways import asking, autopay, recording
from billing.gateways.models import attempt
from billing.gateways.protocol import Answer
from billing.gateways.state import CHARGE, DEBIT, FAILED, PENDING, SUCCEEDED, Fact
from billing.models import dunning_run, invoice
from billing.refunding.models import refund as refund_table
from billing.wallet import batches, topping
from billing.wallet.codes import Hasher
from core.models import job
from core.money import Money
from tests.api.test_billing_pages import _secret, _today, _value, account  # noqa: F401 (the fixture)
from tests.billing.banking import entry, part, statement
from tests.world import World

OURS = "DE89370400440532013000"


def _other(world: World, role: str) -> TestClient:
    made = TestClient(create_app(world.one.context, world.one.repo), raise_server_exceptions=False)
    assert made.get(link(world.one.context, f"{role}-1", role)).status_code == 200
    return made


def test_a_draft_is_shown_voided_with_a_reason_and_made_final(
    world: World,
    browser: TestClient,
    caller: Any,
    account: str,  # noqa: F811
) -> None:
    """A credit note that somebody drafted; its run's and its account's list; numbers are given once."""
    with world.one.db.write() as conn:
        for key in ("one", "two"):
            given = {1: Money(1_000, "AUD")}
            crediting.credit(conn, "INV-000001", given, actor="sue", reason="outage", key=key)
        drafts = conn.execute(sa.select(invoice.c.id).where(invoice.c.state == "draft")).scalars().all()
    page = browser.get("/billing/drafts").text
    assert "<b>2</b> wait for a number, AUD -22.00 together" in page
    told = caller("support").get("/drafts", account=account).json()["drafts"]
    assert [one["total"]["text"] for one in told] == ["AUD -11.00", "AUD -11.00"]
    form = {"csrf": _secret(page), "account": account, "run": ""}
    assert browser.post(f"/billing/drafts/{drafts[0]}/void", data=form).status_code == 422
    page = browser.post(f"/billing/drafts/{drafts[0]}/void", data=form | {"reason": "typed twice"}).text
    assert "<b>1</b> wait for a number" in page
    assert browser.post("/billing/drafts/finalise", data={"csrf": form["csrf"]}).status_code == 422
    page = browser.post("/billing/drafts/finalise", data=form).text
    assert "None. The next run drafts what is due" in page
    assert _other(world, "support").post(f"/billing/drafts/{drafts[1]}/void", data=form).status_code == 403


def test_a_run_is_undone_after_a_look_and_by_its_count(
    world: World,
    browser: TestClient,
    caller: Any,
    account: str,  # noqa: F811
) -> None:
    """Three documents; a wrong count undoes nothing; then each has a credit note."""
    run = next(one for one in caller("billing").get("/runs").json()["runs"] if one["did"].get("bills"))["id"]
    page = browser.get(f"/billing/runs/{run}").text
    assert '<a href="/invoices/INV-000001">INV-000001</a>' in page
    assert "AUD 260.70" in page
    seen = browser.get(f"/billing/runs/{run}?undo=1").text
    assert "3 invoices would get credit notes, 0 drafts would be voided." in seen
    assert (
        browser.post(f"/billing/runs/{run}/undo", data={"csrf": _secret(seen), "expect": "2"}).status_code
        == 422
    )
    browser.post(f"/billing/runs/{run}/undo", data={"csrf": _secret(seen), "expect": "3"})
    with world.one.db.read() as conn:
        kinds = conn.execute(sa.select(invoice.c.kind, invoice.c.state).order_by(invoice.c.kind)).all()
    assert [tuple(one) for one in kinds] == [("credit-note", "final")] * 3 + [("invoice", "final")] * 3
    assert browser.get("/billing/runs/bill_nowhere").status_code == 404
    assert "undo" not in _other(world, "support").get(f"/billing/runs/{run}?undo=1").text


def test_dunning_shows_who_is_overdue_and_what_the_next_run_would_do(
    world: World,
    browser: TestClient,
    caller: Any,
    account: str,  # noqa: F811
) -> None:
    """A look changes nothing; after a run its page names its steps and holds, and undoing it frees them."""
    with world.one.db.write() as conn:
        conn.execute(sa.update(invoice).values(due_on=_today() - timedelta(days=20)))
    page = browser.get("/billing/dunning?next=1").text
    assert "Now it would hold <b>3</b> services and release <b>0</b>" in page
    with world.one.db.read() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(dunning_run)).scalar() == 0
        assert holds.held(conn, [account]) == {}
    (first, *_rest) = caller("support").get("/dunning/cases").json()["cases"]
    assert (first["overdue"]["text"], first["stage"], first["held"]) == ("AUD 86.90", 0, 0)
    with world.one.reader() as reader:
        run = run_dunning(world.one.db, reader, _today())
    page = browser.get("/billing/dunning").text
    assert re.search(
        r"<td>suspension <small>3</small></td><td class=\"number\" data-label=\"accounts\">3</td>", page
    )
    assert "1 held" in page
    page = browser.get(f"/billing/runs/{run.id}?undo=1").text
    assert "<b>3</b> warning" in page
    assert "3 services would be freed, and not held again for these debts." in page
    done = browser.post(f"/billing/runs/{run.id}/undo", data={"csrf": _secret(page), "expect": "3"})
    assert done.status_code == 200, done.text
    world.one.settle()
    assert "None: they were released" in browser.get(f"/billing/runs/{run.id}").text


def test_a_statement_is_uploaded_and_its_odd_lines_are_decided(
    world: World,
    browser: TestClient,
    caller: Any,
    account: str,  # noqa: F811
) -> None:
    """The same file again adds nothing; one line is an account's, one nobody's; another file is one sentence."""
    with world.one.db.write() as conn:
        mandates.set_creditor(
            conn, "main", name="Example ISP", creditor_id="DE98ZZZ09999999999", iban=OURS, bic="", lead_days=2
        )
    lines = [
        entry("50.00", part(amount="50.00", text=["no idea"], name="Ann", currency="AUD"), currency="AUD"),
        entry(
            "1.25",
            part(amount="1.25", text=["interest"], currency="AUD"),
            currency="AUD",
            on=date(2026, 1, 6),
        ),
        entry("86.90", part(amount="86.90", text=["INV-000001"], name="Bob", currency="AUD"), currency="AUD"),
    ]
    raw = statement(*lines, closing="138.15", currency="AUD", on=_today())
    page = browser.get("/billing/bank").text
    form = {"csrf": _secret(page)}
    for again in (False, True):
        page = browser.post("/billing/bank/statements", data=form, files={"file": ("s.xml", raw)}).text
        assert f"{0 if again else 1} new statements" in page
    assert "2 lines wait for a person" in page
    assert "1 matched" in page
    ids = re.findall(r"/billing/bank/lines/(\w+)/assign", page)
    assert [one["text"] for one in caller("billing").get("/bank/lines").json()["lines"]] == [
        "no idea",
        "interest",
    ]
    assert (
        browser.post(f"/billing/bank/lines/{ids[0]}/assign", data=form | {"to": "A-nobody"}).status_code
        == 404
    )
    browser.post(f"/billing/bank/lines/{ids[0]}/assign", data=form | {"to": account})
    assert browser.post(f"/billing/bank/lines/{ids[1]}/ignore", data=form).status_code == 422
    page = browser.post(f"/billing/bank/lines/{ids[1]}/ignore", data=form | {"why": "interest"}).text
    assert "None: every line is matched." in page
    with world.one.db.read() as conn:
        assert payments.credit(conn, accounts.get(conn, account)).minor == 5_000
    wrong = browser.post("/billing/bank/statements", data=form, files={"file": ("s.xml", b"<no/>")})
    assert wrong.status_code == 422
    assert "s.xml" in wrong.text
    forged = browser.post("/billing/bank/statements", data={"csrf": "x"}, files={"file": ("s.xml", raw)})
    assert forged.status_code == 403
    assert browser.post("/billing/bank/statements", data=form).status_code == 403
    assert (
        browser.post("/billing/bank/statements", data=form, files={"file": ("s.xml", b"")}).status_code == 422
    )
    assert _other(world, "support").get("/billing/bank").status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\nx\r\n--b--\r\n',
        b"\x00\xff",
    ],
)
def test_a_form_without_a_file_has_none(body: bytes) -> None:
    """Whatever is in it."""
    assert parse("multipart/form-data; boundary=b", body)[2] == b""
    assert parse("text/plain", body) == ({}, "", b"")


def test_gateways_show_what_is_undecided_failed_and_stuck(
    world: World,
    browser: TestClient,
    caller: Any,
    account: str,  # noqa: F811
) -> None:
    """A try that failed, one on its way, a refund that the gateway refused; asking again queues it."""
    with world.one.db.write() as conn:
        conn.execute(sa.update(invoice).values(due_on=_today()))
        terms = autopay.Method(gateway="stripe", customer="cus_1", method="pm_1", label="visa 4242")
        autopay.switch_on(conn, account, terms, actor="ada")
    autopay.plan(world.one.db, _today())
    with world.one.db.write() as conn:
        first = conn.execute(sa.select(attempt.c.id)).scalar_one()
        recording.answered(conn, first, Answer("pi_1", (Fact(CHARGE, FAILED, 1, code="insufficient_funds"),)))
    autopay.plan(world.one.db, _today() + timedelta(days=20))
    with world.one.db.write() as conn:
        second = conn.execute(sa.select(attempt.c.id).where(attempt.c.number == 2)).scalar_one()
        recording.answered(conn, second, Answer("pi_2", (Fact(DEBIT, PENDING, 1),)))
        conn.execute(sa.delete(job).where(job.c.kind == asking.CHARGE))
    page = browser.get("/billing/gateways").text
    assert "<b>1</b> charges undecided at stripe" in page
    assert "insufficient_funds" in page
    staff = caller("support")
    assert [one["id"] for one in staff.get("/gateways/attempts/undecided").json()["attempts"]] == [second]
    failed = staff.get("/gateways/attempts/failed", since=str(_today())).json()["attempts"]
    assert [(one["id"], one["code"]) for one in failed] == [(first, "insufficient_funds")]
    browser.post("/billing/gateways/ask", data={"csrf": _secret(page)})
    with world.one.db.read() as conn:
        assert len(conn.execute(sa.select(job).where(job.c.kind == asking.CHARGE)).all()) == 1
    shown = browser.get(f"/accounts/{account}").text
    assert "Pays by <b>visa 4242</b> through stripe, on the due date." in shown
    browser.post(f"/accounts/{account}/autopay/off", data={"csrf": _secret(shown)})
    assert "Pays by hand." in browser.get(f"/accounts/{account}").text


def test_a_payment_is_refunded_the_way_it_came(
    world: World,
    browser: TestClient,
    caller: Any,
    account: str,  # noqa: F811
) -> None:
    """What is free of it, once however often it is clicked; the list of gateways has it until it is settled."""
    with world.one.db.write() as conn:
        payments.pay(conn, account, Money(10_000, "AUD"), "bank", "k1")
    page = browser.get(f"/accounts/{account}").text
    payment = _value(page, "payment")
    keys = re.findall(r'name="key" value="([^"]+)"', page)
    form = {
        "csrf": _secret(page),
        "payment": payment,
        "amount": "13.10",
        "key": next(one for one in keys if payment in one),
    }
    assert 'name="amount" size="7" inputmode="decimal" value="13.10"' in page
    assert browser.post(f"/accounts/{account}/refund", data=form).status_code == 422
    for _ in range(2):
        page = browser.post(f"/accounts/{account}/refund", data=form | {"reason": "overpaid"}).text
    assert len(re.findall(r"refund rfd_\w+ of AUD 13.10 by bank: requested", page)) == 1
    (told,) = caller("support").get("/gateways/refunds", since=str(_today())).json()["refunds"]
    assert (told["amount"]["text"], told["state"], told["method"]) == ("AUD 13.10", "requested", "bank")
    assert "AUD 13.10" in browser.get("/billing/gateways").text
    with world.one.db.read() as conn:
        assert len(conn.execute(sa.select(refund_table)).all()) == 1


def test_prepaid_shows_wallets_and_batches(world: World, browser: TestClient, account: str) -> None:  # noqa: F811
    """Sums over all accounts, and on the account itself."""
    with world.one.db.write() as conn:
        topping.top_up(conn, account, Money(3_000, "AUD"), "cash", "r1", actor="sue")
        batches.make(
            conn, Hasher.of(world.settings.home), "summer", 10, Money(1_000, "AUD"), _today() + timedelta(90),
            actor="sue",
        )  # fmt: skip
    page = browser.get("/billing/prepaid").text
    assert "<b>AUD 30.00</b> paid ahead and not used" in page
    assert "0 of 10" in page
    assert "Wallet: AUD 30.00" in browser.get(f"/accounts/{account}").text


def test_succeeded_and_sent_back_are_told_apart(world: World, browser: TestClient, account: str) -> None:  # noqa: F811
    """A debit that came in and went back is no success to who looks."""
    with world.one.db.write() as conn:
        conn.execute(sa.update(invoice).values(due_on=_today()))
        terms = autopay.Method(gateway="gocardless", customer="CU1", method="MD1", label="x")
        autopay.switch_on(conn, account, terms, actor="ada")
    autopay.plan(world.one.db, _today())
    with world.one.db.write() as conn:
        first = conn.execute(sa.select(attempt.c.id)).scalar_one()
        facts = (Fact(DEBIT, SUCCEEDED, 1), Fact(DEBIT, FAILED, 2, code="refer_to_payer"))
        recording.answered(conn, first, Answer("PM1", facts))
    page = browser.get(f"/accounts/{account}").text
    assert '<span class="state bad">sent back</span> <small>refer_to_payer</small>' in page
