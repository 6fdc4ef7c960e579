"""GoCardless's plugin over HTTP: debits that take days, many events in one webhook, mandates that end."""

import hashlib
import hmac
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from billing import debts
from billing.billrun import run_billing
from billing.gateways import autopay, recording
from billing.gateways.errors import EventRefused, GatewayRefused, GatewaySilent, MethodEnded, MethodNotUsable
from billing.gateways.gocardless_gateway import GoCardless
from billing.gateways.models import attempt
from billing.gateways.models import autopay as autopay_table
from billing.gateways.protocol import Giveback, Order
from billing.gateways.state import DEBIT, DISPUTE, FAILED, LOST, PENDING, REFUND, SUCCEEDED, Fact, fold
from core import clock
from core.db import Database
from tests.billing.fake_gateway import Books
from tests.billing.stage import START, Stage
from tests.support import eventually, kept_port

SECRET = "webhook secret"
DUE = date(2026, 1, 15)


class Fake:
    """The gateway's address, and its books."""

    def __init__(self, address: str, books: Books) -> None:
        self.address, self.books = address, books
        self.plugin = GoCardless("gocardless", "sandbox_1", SECRET, address)

    def order(self, key: str) -> Order:
        """AUD 86.90 by mandate MD1."""
        return Order(
            key=key, customer="CU1", method="MD1", amount=8690, currency="AUD", description="A-1 INV-1"
        )


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    """One that answers everything."""
    port, path = kept_port(), tmp_path / "gateway.sqlite"
    program = [sys.executable, "-m", "tests.billing.fake_gateway", str(path), str(port), "1", "0"]
    server = subprocess.Popen(program)
    made = Fake(f"http://127.0.0.1:{port}", Books(path))

    def answers() -> bool:
        try:
            return made.plugin.find(made.order("none")) is None
        except GatewaySilent:
            return False

    try:
        eventually(answers, cap=20, every=0.2)
        yield made
    finally:
        server.kill()
        server.wait()


def test_a_debit_is_ordered_once_and_is_on_its_way(fake: Fake) -> None:
    """The same key again is the payment of before; it carries our attempt and is found by it."""
    said = fake.plugin.charge(fake.order("gat_1"))
    assert fake.plugin.charge(fake.order("gat_1")).reference == said.reference
    (payment,) = fake.books.all("PM")
    assert (payment["amount"], payment["currency"], payment["links"]) == (8690, "AUD", {"mandate": "MD1"})
    assert (said.facts[0].kind, said.facts[0].what) == (DEBIT, PENDING)
    found = fake.plugin.find(fake.order("gat_1"))
    assert found is not None
    assert found.reference == payment["id"]
    assert fake.plugin.find(fake.order("gat_2")) is None


@pytest.mark.parametrize(
    ("status", "state"),
    [("submitted", PENDING), ("confirmed", SUCCEEDED), ("paid_out", SUCCEEDED), ("failed", FAILED),
     ("cancelled", FAILED), ("customer_approval_denied", FAILED)],
)  # fmt: skip
def test_what_a_status_means(fake: Fake, status: str, state: str) -> None:
    """As GoCardless's reference names them."""
    reference = fake.plugin.charge(fake.order("gat_1")).reference
    fake.books.change(reference, status=status)
    assert fold(fake.plugin.fetch(reference).facts).charge == state


def test_a_charge_back_is_a_dispute_that_was_lost(fake: Fake) -> None:
    """The money had come in."""
    reference = fake.plugin.charge(fake.order("gat_1")).reference
    fake.books.change(reference, status="charged_back")
    state = fold(fake.plugin.fetch(reference).facts)
    assert (state.charge, state.disputes) == (SUCCEEDED, ((reference, LOST, 0),))


def test_a_part_is_given_back_and_found(fake: Fake) -> None:
    """GoCardless wants to know what goes back in all; a wrong sum is asked for again, too much is refused."""
    reference = fake.plugin.charge(fake.order("gat_1")).reference
    wanted = Giveback(key="rfd_1", reference=reference, amount=1_000, total=1_000)
    with pytest.raises(GatewayRefused, match="refund_payment_invalid_state"):
        fake.plugin.refund(wanted)
    fake.books.change(reference, status="paid_out")
    done = fake.plugin.refund(wanted)
    assert (done.kind, done.what, done.amount, done.own) == (REFUND, PENDING, 1_000, "rfd_1")
    assert fake.plugin.find_refund(wanted) == done
    fake.books.change(done.ref, status="bounced")
    looked = fake.plugin.fetch_refund(done.ref)
    assert (looked.reference, looked.facts[0].what, looked.facts[0].code) == (reference, FAILED, "bounced")
    with pytest.raises(GatewaySilent, match="total_amount_confirmation_invalid"):
        fake.plugin.refund(Giveback(key="rfd_2", reference=reference, amount=500, total=500))
    with pytest.raises(GatewayRefused, match="refund_amount_exceeds_payment"):
        fake.plugin.refund(Giveback(key="rfd_3", reference=reference, amount=9_000, total=10_000))


def test_one_that_is_away_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows what became of the debit."""
    monkeypatch.setattr("gocardless_pro.services.base_service.time.sleep", lambda _seconds: None)
    gone = GoCardless("gocardless", "sandbox_1", SECRET, "http://127.0.0.1:9")
    order = Order(key="k", customer="c", method="m", amount=1, currency="EUR", description="")
    with pytest.raises(GatewaySilent, match="gocardless: no answer"):
        gone.charge(order)


def _event(number: int, about: str, action: str, links: dict[str, str], **more: Any) -> dict[str, Any]:
    at = f"2026-01-20T10:00:{number:02d}.000Z"
    return {
        "id": f"EV{number}",
        "resource_type": about,
        "action": action,
        "links": links,
        "created_at": at,
        **more,
    }


def _webhook(*events: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"events": list(events), "meta": {"webhook_id": "WB1"}}).encode()
    return {"webhook-signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}, body


PLUGIN = GoCardless("gocardless", "sandbox_1", SECRET)


def test_every_event_of_a_webhook_is_read() -> None:
    """Payments, refunds, mandates, and what says nothing to us."""
    late = {"cause": "insufficient_funds", "reason_code": "AM04", "origin": "bank", "scheme": "sepa_core"}
    told = PLUGIN.read_events(*_webhook(
        _event(1, "payments", "confirmed", {"payment": "PM1"}, resource_metadata={"attempt": "gat_1"}),
        _event(2, "payments", "failed", {"payment": "PM1"}, details=late),
        _event(3, "payments", "charged_back", {"payment": "PM1"}),
        _event(4, "refunds", "created", {"refund": "RF1"}),
        _event(5, "mandates", "cancelled", {"mandate": "MD1"}),
        _event(6, "mandates", "replaced", {"mandate": "MD1", "new_mandate": "MD2"}),
        _event(7, "mandates", "active", {"mandate": "MD1"}),
        _event(8, "payouts", "paid", {"payout": "PO1"}),
    ))  # fmt: skip
    at = 1768903200
    assert [one.id for one in told] == [f"EV{number}" for number in range(1, 9)]
    assert (told[0].attempt, told[0].reference, told[0].fact) == (
        "gat_1",
        "PM1",
        Fact(DEBIT, SUCCEEDED, at + 1),
    )
    assert told[1].fact == Fact(DEBIT, FAILED, at + 2, code="insufficient_funds")
    assert told[2].fact == Fact(DISPUTE, LOST, at + 3, "PM1")
    assert told[3].refund == "RF1"
    assert [(one.mandate, one.instead) for one in told[4:]] == [
        ("MD1", ""),
        ("MD1", "MD2"),
        ("", ""),
        ("", ""),
    ]


@pytest.mark.parametrize("signature", ["", "0" * 64, "é"])
def test_what_is_not_gocardlesss_is_refused(signature: str) -> None:
    """No signature, another, none at all, another body; without a secret not even what is signed."""
    headers, body = _webhook(_event(1, "payments", "confirmed", {"payment": "PM1"}))
    assert PLUGIN.read_events(headers, body)
    for given, content in (({"webhook-signature": signature}, body), (headers, body.replace(b"PM1", b"PM2"))):
        with pytest.raises(EventRefused, match="its signature is wrong"):
            PLUGIN.read_events(given, content)
    with pytest.raises(EventRefused, match="no `webhook` secret"):
        GoCardless("gocardless", "sandbox_1", "").read_events(headers, body)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"\xff", b'{"events": [{}]}', b'{"events": 1}'])
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    """One sentence."""
    signed = {"webhook-signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
    with pytest.raises(EventRefused, match="it is no event"):
        PLUGIN.read_events(signed, body)


class _Paying(Stage):
    """An account with one open invoice of AUD 86.90, and autopay by a mandate of its own."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.add()
        run_billing(database, self.reader, START)
        self.gateway = f"gocardless{self.number}"  # for events are told apart by it
        terms = autopay.Method(gateway=self.gateway, customer="CU1", method=f"MD{self.number}", label="x")
        with database.write() as conn:
            autopay.switch_on(conn, self.account, terms, actor="ada")
        autopay.plan(database, DUE)
        with database.read() as conn:
            mine = attempt.c.account_id == self.account
            self.attempt = str(conn.execute(sa.select(attempt.c.id).where(mine)).scalar_one())

    def hear(self, *events: dict[str, Any]) -> None:
        """A webhook, as the HTTP route hears it."""
        for told in PLUGIN.read_events(*_webhook(*events)):
            with clock.frozen(datetime(2026, 1, 15, 4, tzinfo=UTC)), self.database.write() as conn:
                recording.hear(conn, self.gateway, told)

    def payment(self, number: int, action: str) -> dict[str, Any]:
        """An event about its debit."""
        links = {"payment": f"PM{self.number}"}
        return _event(number, "payments", action, links, resource_metadata={"attempt": self.attempt})

    def open(self) -> int:
        """What is open, in minor units."""
        with self.database.read() as conn:
            return sum(one.balance for one in debts.open_balances(conn, self.account))

    def method(self) -> str | None:
        """The mandate of its autopay."""
        with self.database.read() as conn:
            query = sa.select(autopay_table.c.method).where(autopay_table.c.account_id == self.account)
            return conn.execute(query).scalar()


@pytest.mark.parametrize("backwards", [False, True])
def test_a_debit_that_the_bank_sends_back_is_open_again(database: Database, backwards: bool) -> None:
    """A late failure, whichever event comes first; presented once more and paid, it is paid."""
    stage = _Paying(database)
    said = [stage.payment(1, "submitted"), stage.payment(2, "confirmed"), stage.payment(3, "failed")]
    stage.hear(*(reversed(said) if backwards else said))
    assert stage.open() == 8690
    stage.hear(stage.payment(4, "resubmission_requested"))
    assert stage.open() == 8690
    stage.hear(stage.payment(5, "confirmed"))
    assert stage.open() == 0
    stage.hear(stage.payment(6, "failed"))
    assert stage.open() == 8690


def test_a_debit_that_fails_is_tried_again_as_a_new_one(database: Database) -> None:
    """Without money on the account: on the next pay day; not while it is on its way, nor without a mandate."""
    stage = _Paying(database)
    stage.hear(stage.payment(1, "submitted"))
    assert autopay.plan(database, date(2026, 1, 30)) == 0
    failed = {**stage.payment(2, "failed"), "details": {"cause": "insufficient_funds"}}
    stage.hear(failed)
    assert autopay.plan(database, date(2026, 1, 16)) == 0
    assert autopay.plan(database, date(2026, 2, 1)) == 1
    hard = _Paying(database)
    hard.hear({**hard.payment(2, "failed"), "details": {"cause": "mandate_cancelled"}})
    assert autopay.plan(database, date(2026, 2, 2)) == 0


def test_a_mandate_that_is_replaced_or_ends_takes_autopay_with_it(database: Database) -> None:
    """Only the account's whose mandate it is; the event says why."""
    stage, other = _Paying(database), _Paying(database)
    mandate = {"mandate": f"MD{stage.number}"}
    with database.write() as conn:
        conn.execute(sa.update(autopay_table).values(gateway=f"gocardless{stage.number}"))
    stage.hear(_event(1, "mandates", "replaced", {**mandate, "new_mandate": "MD-new"}))
    assert (stage.method(), other.method()) == ("MD-new", f"MD{other.number}")
    stage.hear(_event(2, "mandates", "cancelled", mandate))
    assert stage.method() == "MD-new"
    stage.hear(_event(3, "mandates", "expired", {"mandate": "MD-new"}))
    assert (stage.method(), other.method()) == (None, f"MD{other.number}")


def _mandate(number: int, action: str, name: str, at: int, instead: str = "") -> dict[str, Any]:
    links = {"mandate": name} | ({"new_mandate": instead} if instead else {})
    return _event(number, "mandates", action, links) | {"created_at": f"2026-01-15T10:00:{at:02d}Z"}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_last_word_on_a_mandate_counts_whichever_comes_first(
    database: Database, order: tuple[int, ...]
) -> None:
    """Cancelled, there again, cancelled: off. One word less: on."""
    stage, other = _Paying(database), _Paying(database)
    for one, words in ((stage, 3), (other, 2)):
        name = f"MD{one.number}"
        said = [
            _mandate(1, "cancelled", name, 1),
            _mandate(2, "reinstated", name, 2),
            _mandate(3, "cancelled", name, 3),
        ]
        one.hear(*(said[number] for number in order if number < words))
    assert (stage.method(), other.method()) == (None, f"MD{other.number}")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_replaced_mandate_is_paid_by_its_successor_whatever_is_told_first(
    database: Database, order: tuple[int, ...]
) -> None:
    """Cancelled because it was replaced, twice in a row."""
    stage = _Paying(database)
    name = f"MD{stage.number}"
    said = [
        _mandate(1, "cancelled", name, 2),
        _mandate(2, "replaced", name, 1, f"{name}b"),
        _mandate(3, "replaced", f"{name}b", 3, f"{name}c"),
    ]
    stage.hear(*(said[number] for number in order))
    assert stage.method() == f"{name}c"


def test_who_chose_another_way_to_pay_is_not_brought_back(database: Database) -> None:
    """Nor who wants none; and a mandate that has ended is taken by nobody."""
    stage, off = _Paying(database), _Paying(database)
    for one in (stage, off):
        one.hear(_mandate(1, "expired", f"MD{one.number}", 1))
    old, other = (
        autopay.Method(gateway=stage.gateway, customer="CU1", method=name, label="x")
        for name in (f"MD{stage.number}", "MD-other")
    )
    with database.write() as conn, pytest.raises(MethodEnded, match=r"has ended at .* \(mandates\.expired\)"):
        autopay.switch_on(conn, stage.account, old, actor="ada")
    with database.write() as conn:
        autopay.switch_on(conn, stage.account, other, actor="ada")
        autopay.switch_off(conn, off.account, actor="ada")
    for one in (stage, off):
        one.hear(_mandate(2, "reinstated", f"MD{one.number}", 2))
    assert (stage.method(), off.method()) == ("MD-other", None)


def test_a_debit_that_came_back_for_lack_of_funds_is_tried_again(database: Database) -> None:
    """Days after it had come in; one that its customer disputes is not."""
    stage, disputed, resubmitted = (_Paying(database) for _ in range(3))
    back = {"details": {"cause": "insufficient_funds"}}
    for one in (stage, disputed, resubmitted):
        one.hear(one.payment(1, "confirmed"), one.payment(2, "failed") | back)
        assert one.open() == 8690
    disputed.hear(disputed.payment(3, "charged_back"))
    resubmitted.hear(resubmitted.payment(3, "resubmission_requested"))
    assert autopay.plan(database, date(2026, 1, 16)) == 0
    assert autopay.plan(database, date(2026, 1, 17)) == 1
    with database.read() as conn:
        query = sa.select(attempt.c.number).where(attempt.c.account_id == stage.account)
        assert list(conn.execute(query.order_by(attempt.c.number)).scalars()) == [1, 2]


def test_what_was_asked_for_does_not_hide_the_cause_that_an_event_named() -> None:
    """A payment that failed says no more than that, and later."""
    told = Fact(DEBIT, FAILED, 5, code="account_closed")
    assert fold([told, Fact(DEBIT, FAILED, 9)]).code == "account_closed"
    assert fold([Fact(DEBIT, FAILED, 9)]).code == ""


def test_a_mandate_says_what_it_pays_in_and_whether_it_can(fake: Fake) -> None:
    """Before anybody relies on it: another currency, one that was cancelled, one that is nobody's."""
    terms = autopay.Method(gateway="gocardless", customer="", method="MD-becs-active", label="")
    assert autopay.checked(fake.plugin, terms, "AUD").label == "becs TRUNK-1"
    with pytest.raises(MethodNotUsable, match=r"MD-becs-active .*: it pays in AUD, the account is in EUR"):
        autopay.checked(fake.plugin, terms, "EUR")
    ended = msgspec.structs.replace(terms, method="MD-becs-cancelled")
    with pytest.raises(MethodNotUsable, match="the mandate is cancelled"):
        autopay.checked(fake.plugin, ended, "AUD")
    with pytest.raises(GatewayRefused, match="Resource not found"):
        autopay.checked(fake.plugin, msgspec.structs.replace(terms, method="MD1"), "AUD")
