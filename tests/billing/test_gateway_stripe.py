"""Stripe's plugin against localstripe, a server that speaks Stripe's API; events as Stripe signs them."""

import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import stripe

from billing.gateways import autopay
from billing.gateways.errors import EventRefused, GatewayRefused, GatewaySilent, MethodNotUsable
from billing.gateways.protocol import Giveback, Order
from billing.gateways.state import CHARGE, DISPUTE, FAILED, OPEN, PENDING, REFUND, SUCCEEDED, Fact
from billing.gateways.stripe_gateway import Stripe
from tests.support import eventually, kept_port

SECRET = "whsec_testing"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """localstripe, empty."""
    port = kept_port()
    program = Path(sys.executable).with_name("localstripe")
    server = subprocess.Popen(
        [str(program), "--port", str(port), "--from-scratch"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found = f"http://localhost:{port}"
    api = stripe.StripeClient("sk_test_1", base_addresses={"api": found}).v1

    def answers() -> bool:
        try:
            api.customers.list()
        except stripe.APIConnectionError:
            return False
        return True

    try:
        eventually(answers, cap=30)
        yield found
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def api(address: str) -> Any:
    """Stripe's own client of it."""
    return stripe.StripeClient("sk_test_1", base_addresses={"api": address}).v1


def _stored(api: Any, number: str) -> tuple[str, str]:
    """A customer with a card."""
    customer = api.customers.create({"email": "ada@example.net"})
    card = {"number": number, "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    method = api.payment_methods.create({"type": "card", "card": card})
    api.payment_methods.attach(method.id, {"customer": customer.id})
    return customer.id, method.id


def _order(api: Any, number: str, key: str) -> Order:
    customer, method = _stored(api, number)
    return Order(
        key=key, customer=customer, method=method, amount=8690, currency="AUD", description="A-1 INV-1"
    )


def test_a_charge_of_a_stored_card_is_one_and_names_our_key(address: str, api: Any) -> None:
    """It succeeds; what it is now is fetched by its reference; the charge carries our attempt."""
    gateway = Stripe("stripe", "sk_test_1", SECRET, address)
    said = gateway.charge(_order(api, "4242424242424242", "gat_1"))
    assert said.facts == (Fact(CHARGE, SUCCEEDED),)
    assert gateway.fetch(said.reference) == said
    intent = api.payment_intents.retrieve(said.reference)
    assert (intent.amount, intent.currency, intent.metadata["attempt"]) == (8690, "aud", "gat_1")


class _Listing(BaseHTTPRequestHandler):
    """Answers a list of a customer's charges as Stripe documents it: localstripe cannot filter by customer."""

    def do_GET(self) -> None:
        """Two of them, one with our key."""
        assert self.path.startswith("/v1/payment_intents?")
        assert "customer=cus_1" in self.path
        found = [
            {
                "id": f"pi_{key}",
                "object": "payment_intent",
                "status": "succeeded",
                "metadata": {"attempt": key},
            }
            for key in ("gat_8", "gat_9")
        ]
        body = json.dumps(
            {"object": "list", "url": "/v1/payment_intents", "has_more": False, "data": found}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        """Quietly."""


def test_a_charge_is_found_by_our_key() -> None:
    """Where its answer was lost and Stripe forgot the key of the request; another key is nobody's."""
    server = HTTPServer(("127.0.0.1", 0), _Listing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway = Stripe("stripe", "sk_test_1", SECRET, f"http://127.0.0.1:{server.server_address[1]}")
    order = Order(key="gat_9", customer="cus_1", method="pm_1", amount=1, currency="AUD", description="")
    said = gateway.find(order)
    assert said is not None
    assert (said.reference, said.facts) == ("pi_gat_9", (Fact(CHARGE, SUCCEEDED),))
    assert gateway.find(msgspec.structs.replace(order, key="gat_10")) is None
    server.shutdown()


def test_a_declined_card_is_a_fact_and_no_error(address: str, api: Any) -> None:
    """With the bank's code."""
    said = Stripe("stripe", "sk_test_1", SECRET, address).charge(_order(api, "4000000000000341", "gat_2"))
    (fact,) = said.facts
    assert (fact.kind, fact.what, fact.code) == (CHARGE, FAILED, "card_declined")


def test_a_card_that_wants_its_owner_is_a_hard_decline(address: str, api: Any) -> None:
    """Strong authentication while nobody is there."""
    said = Stripe("stripe", "sk_test_1", SECRET, address).charge(_order(api, "4000002500003155", "gat_3"))
    assert said.facts[0].what == FAILED


def test_a_part_is_given_back(address: str, api: Any) -> None:
    """And Stripe's charge says so."""
    gateway = Stripe("stripe", "sk_test_1", SECRET, address)
    said = gateway.charge(_order(api, "4242424242424242", "gat_4"))
    wanted = Giveback(key="rfd_1", reference=said.reference, amount=1000, total=1000)
    done = gateway.refund(wanted)
    assert (done.kind, done.what, done.amount, done.own) == (REFUND, SUCCEEDED, 1000, "rfd_1")
    assert gateway.fetch_refund(done.ref).facts[0].what == SUCCEEDED


def test_a_gateway_that_is_away_is_silent(address: str) -> None:
    """Nobody knows what became of the charge: it is asked again."""
    gone = Stripe("stripe", "sk_test_1", SECRET, "http://localhost:9")
    order = Order(key="k", customer="c", method="m", amount=1, currency="AUD", description="")
    with pytest.raises(GatewaySilent, match="stripe: no answer"):
        gone.charge(order)


def _signed(body: bytes, at: int, secret: str = SECRET) -> dict[str, str]:
    """As Stripe's documentation says: HMAC-SHA256 over `timestamp.body`."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={at},v1={mac}"}


def _event(kind: str, thing: dict[str, Any]) -> bytes:
    event = {"id": "evt_1", "object": "event", "type": kind, "created": 1767600000, "data": {"object": thing}}
    return json.dumps(event).encode()


def test_events_are_read_once_their_signature_is_right() -> None:
    """Charge, failure, refund and dispute; what we do not need has no fact."""
    gateway = Stripe("stripe", "sk", SECRET)
    now = int(time.time())

    def read(kind: str, thing: dict[str, Any]) -> Any:
        body = _event(kind, thing)
        (told,) = gateway.read_events(_signed(body, now), body)
        return told

    paid = read(
        "payment_intent.succeeded",
        {"id": "pi_1", "object": "payment_intent", "metadata": {"attempt": "gat_1"}},
    )
    assert (paid.id, paid.attempt, paid.reference) == ("evt_1", "gat_1", "pi_1")
    assert paid.fact == Fact(CHARGE, SUCCEEDED, 1767600000)
    failed = read(
        "payment_intent.payment_failed", {"id": "pi_1", "last_payment_error": {"decline_code": "lost_card"}}
    )
    assert (failed.fact.what, failed.fact.code) == (FAILED, "lost_card")
    refund = {
        "id": "re_1",
        "payment_intent": "pi_1",
        "amount": 500,
        "status": "pending",
        "metadata": {"refund": "r"},
    }
    back = read("refund.created", refund)
    assert (back.reference, back.attempt, back.fact) == (
        "pi_1",
        "",
        Fact(REFUND, PENDING, 0, "re_1", 500, "", "r"),
    )
    gone = read("refund.failed", {**refund, "status": "failed", "failure_reason": "expired_or_canceled_card"})
    assert (gone.fact.what, gone.fact.code) == (FAILED, "expired_or_canceled_card")
    dispute = {"id": "dp_1", "payment_intent": "pi_1", "amount": 8690, "status": "needs_response"}
    lost = read("charge.dispute.created", dispute)
    assert (lost.fact.kind, lost.fact.what, lost.fact.ref) == (DISPUTE, OPEN, "dp_1")
    assert read("customer.created", {"id": "cus_1"}).fact is None


_PAID = _event("payment_intent.succeeded", {"id": "pi_1", "object": "payment_intent"})


@pytest.mark.parametrize(
    ("age", "secret", "sent"),
    [
        (0, "another", _PAID),
        (0, SECRET, _PAID.replace(b"pi_1", b"pi_2")),
        (400, SECRET, _PAID),
        (0, SECRET, b""),
    ],
)
def test_what_is_not_stripes_is_refused(age: int, secret: str, sent: bytes) -> None:
    """Another secret, another body, too old, empty: one sentence, nothing kept. Signed rightly, it is an event."""
    gateway, now = Stripe("stripe", "sk", SECRET), int(time.time())
    assert gateway.read_events(_signed(_PAID, now), _PAID)[0].reference == "pi_1"
    with pytest.raises(EventRefused, match="its signature is wrong or too old"):
        gateway.read_events(_signed(_PAID, now - age, secret), sent)
    with pytest.raises(EventRefused, match="its signature is wrong or too old"):
        gateway.read_events({}, _PAID)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"\xff", b"{"])
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    """Neither text nor an event."""
    with pytest.raises(EventRefused, match="it is no event"):
        Stripe("stripe", "sk", SECRET).read_events(_signed(body, int(time.time())), body)


def test_without_a_secret_nothing_is_believed() -> None:
    """Not even what is signed with nothing."""
    with pytest.raises(EventRefused, match="no `webhook` secret"):
        Stripe("stripe", "sk", "").read_events(_signed(b"{}", int(time.time()), ""), b"{}")


def test_a_stored_card_says_what_it_is_and_whose(address: str, api: Any) -> None:
    """Another customer's card is not taken; nor one that is not there."""
    gateway = Stripe("stripe", "sk_test_1", SECRET, address)
    customer, method = _stored(api, "4242424242424242")
    other, _ = _stored(api, "4242424242424242")
    terms = autopay.Method(gateway="stripe", customer=customer, method=method, label="")
    assert autopay.checked(gateway, terms, "AUD").label == "visa 4242"
    with pytest.raises(MethodNotUsable, match=f"it belongs to {customer}, not to {other}"):
        autopay.checked(gateway, msgspec.structs.replace(terms, customer=other), "AUD")
    with pytest.raises(GatewayRefused):
        autopay.checked(gateway, msgspec.structs.replace(terms, method="pm_none"), "AUD")
