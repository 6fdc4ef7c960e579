"""A gateway's webhook: believed when it is signed, heard once, and the payment is there when it is answered."""

import hashlib
import hmac
import json
import time
from datetime import date, timedelta
from typing import Any

from fastapi.testclient import TestClient

from billing import subscriptions, taxes
from billing.billrun import run_billing
from billing.gateways import autopay
from billing.gateways.models import attempt
from core import clock, crypto
from crm.adoption import adopt_services
from tests.world import World

SECRET = "whsec_testing"


def test_an_event_pays_an_invoice_once(world: World, client: TestClient) -> None:
    """Signed: 200, new; again: 200, known; wrongly: 400; a gateway that is not there: 404."""
    account, attempt_id = _charged(world)
    body = json.dumps(
        {
            "id": "evt_1", "type": "payment_intent.succeeded", "created": 1767600000,
            "data": {"object": {"id": "pi_1", "metadata": {"attempt": attempt_id}}},
        }
    ).encode()  # fmt: skip
    assert client.post("/webhooks/gateways/stripe", content=body).status_code == 400
    assert client.post("/webhooks/gateways/other", content=body).status_code == 404
    assert _open(world, account) > 0
    for new in (True, False):
        told = client.post("/webhooks/gateways/stripe", content=body, headers=_signed(body))
        assert (told.status_code, told.json()["new"]) == (200, new)
    assert _open(world, account) == 0
    assert client.post("/webhooks/gateways/stripe", content=b"x" * ((1 << 20) + 1)).status_code in (413, 422)


def test_a_webhook_of_many_events_is_heard_whole(world: World, client: TestClient) -> None:
    """GoCardless tells several things at once; heard again, none is new; wrongly signed, none is heard."""
    account, attempt_id = _charged(world, "gocardless")
    body = json.dumps({"events": [
        {"id": f"EV{number}", "resource_type": "payments", "action": action, "links": {"payment": "PM1"},
         "created_at": f"2026-01-05T10:00:0{number}.000Z", "resource_metadata": {"attempt": attempt_id}}
        for number, action in enumerate(("submitted", "confirmed"))
    ]}).encode()  # fmt: skip
    mac = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert client.post("/webhooks/gateways/gocardless", content=body).status_code == 400
    assert _open(world, account) > 0
    for new in (True, False):
        told = client.post("/webhooks/gateways/gocardless", content=body, headers={"Webhook-Signature": mac})
        assert (told.status_code, told.json()["new"]) == (200, new)
    assert _open(world, account) == 0


def _charged(world: World, gateway: str = "stripe") -> tuple[str, str]:
    """S-1's account with an invoice that is due, and an attempt to charge it by a gateway."""
    since = clock.today("Australia/Perth").replace(day=1)
    with world.one.db.write() as conn:
        taxes.set_rate(conn, "gst", "10%", valid_from=date(2025, 1, 1))
    with world.one.reader() as reader:
        adopt_services(world.one.db, reader, since=since, actor="engineer-1", key=world.key)
    key, webhook = (
        crypto.seal(world.key, text, "trunkline.yaml", f"gateways.{gateway}.{name}")
        for name, text in (("key", "sk_test_1"), ("webhook", SECRET))
    )
    config = (
        world.files["trunkline.yaml"]
        + f"gateways: {{{gateway}: {{type: {gateway}, key: '{key}', webhook: '{webhook}'}}}}\n"
    )
    world.push({"trunkline.yaml": config})
    world.one.settle()
    with world.one.reader() as reader:
        run_billing(world.one.db, reader, since)
    with world.one.db.write() as conn:
        account = subscriptions.item(conn, "S-1").account
        terms = autopay.Method(gateway=gateway, customer="cus_1", method="pm_1", label="visa 4242")
        autopay.switch_on(conn, account, terms, actor="ada")
    assert autopay.plan(world.one.db, since + timedelta(days=40)) == 1
    with world.one.db.read() as conn:
        return account, str(conn.execute(attempt.select()).one().id)


def _open(world: World, account: str) -> int:
    from billing import debts

    with world.one.db.read() as conn:
        return sum(one.balance for one in debts.open_balances(conn, account))


def _signed(body: bytes) -> dict[str, Any]:
    at = int(time.time())
    mac = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={at},v1={mac}"}
