"""The front desk: customers, orders, invoices, payments, and "free" only when the network proved it."""

from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from aaa.radius.client import NasStandIn
from aaa.radius.exchange import RadiusClient
from billing import subscriptions, taxes
from billing.billrun import run_billing
from billing.dunning import run_dunning
from billing.timeline import Contract
from core import clock
from core.money import Money
from crm.adoption import adopt_services
from tests.api.parking import park
from tests.support import eventually
from tests.world import NAS_SECRET, PASSWORD, World


@pytest.fixture
def nas(world: World) -> Iterator[NasStandIn]:
    """RADIUS in this process, and a NAS stand-in in front of it."""
    with world.one.radius_in_process() as radius:
        client = RadiusClient("127.0.0.1", radius.auth_port, radius.acct_port, NAS_SECRET.encode())
        made = NasStandIn(client, NAS_SECRET.encode(), coa_port=world.coa_port).start()
        yield made
        made.stop()


def test_an_order_becomes_a_service_that_the_network_has(world: World, caller) -> None:
    """Customer, order, activation: active once the OLT confirmed, every step in the token's name."""
    support = caller("support")
    customer = support.post("/customers", {"name": "Ada Lovelace", "address": "1 Hay Street"}).json()[
        "customer"
    ]
    access = {"type": "gpon", "olt": "olt1", "pon": "0/1/0", "serial": "HWTC1A2B3C4D"}
    placed = support.post("/orders", {"customer": customer, "plan": "fibre-500", "access": access})
    order = placed.json()["order"]["id"]
    assert (placed.status_code, placed.json()["order"]["terms"]["price"]["text"]) == (201, "AUD 79.00")
    assert support.post(f"/orders/{order}/activate").status_code == 202
    world.one.settle()
    done = support.get(f"/orders/{order}").json()["order"]
    assert done["state"] == "active"
    assert support.get(f"/services/{done['service']}").json()["service"]["free"] is True
    assert support.post(f"/orders/{order}/activate").status_code == 409
    told = support.get("/events", subject=order, type="order.provisioning").json()["events"]
    assert [one["actor"] for one in told] == ["support-1"]


def test_an_end_says_what_leaving_costs(world: World, caller) -> None:
    """A service within its term: the fee and how it comes about, beside the change set; support may ask for it."""
    with world.one.context.reader() as reader:
        adopt_services(world.one.db, reader, since=clock.today("UTC") - timedelta(days=30), actor="t")
    with world.one.db.write() as conn:
        (begun,) = subscriptions.item(conn, "S-1").events
        assert begun.terms is not None
        bound = replace(begun.terms, contract=Contract(months=12, fee=Money(5000, "AUD")))
        subscriptions.change_terms(conn, "S-1", bound, begun.effective, "t")
    ended = caller("support").post("/services/S-1/cease")
    assert ended.status_code == 202
    assert ended.json()["costs"].startswith(
        "AUD 50.00, early-termination fee of AUD 50.00 within the term of "
    )
    assert ended.json()["set_id"].startswith("set_")


def test_an_order_that_makes_no_sense_is_told_where(caller) -> None:
    """422 with the field, 404 for an unknown customer; nothing is stored."""
    support = caller("support")
    customer = support.post("/customers", {"name": "Ada"}).json()["customer"]
    odd = support.post("/orders", {"customer": customer, "plan": "fibre-500", "access": {"type": "pigeon"}})
    assert odd.status_code == 422
    access = {"type": "existing", "line": "L-1"}
    assert (
        support.post("/orders", {"customer": "C-0", "plan": "fibre-500", "access": access}).status_code == 404
    )
    assert support.post("/orders", {"customer": customer, "plan": "x", "access": access}).status_code == 422
    assert support.get("/orders", customer=customer).json()["orders"] == []


def test_a_payment_sets_free_once_the_nas_acknowledged(world: World, nas: NasStandIn, caller) -> None:
    """Overdue -> held -> paid by the API: `free` stays false until the session left the old policy."""
    account, service = _held(world, nas)
    billing = caller("billing")
    (owed,) = billing.get("/invoices", account=account).json()["invoices"]
    assert owed["state"] == "overdue"
    body = {"account": account, "amount": owed["open"]["text"].split()[1], "method": "cash"}
    assert billing.post("/payments", body).status_code == 422  # without a key it could be taken twice
    first, again = (_pay(billing, body, "R-1") for _ in range(2))
    assert first == again
    assert len(first["set_ids"]) == 1
    before = billing.get(f"/services/{service}").json()["service"]
    assert (before["restriction"], before["free"]) == ("walled-garden", False)
    world.one.committer.run_once()
    world.one.indexer.run_once()
    landed = billing.get(f"/services/{service}").json()["service"]
    assert (landed["restriction"], landed["proven"], landed["free"]) == ("", False, False)
    _settle_until(world, lambda: billing.get(f"/services/{service}").json()["service"]["free"])
    told = billing.get(f"/services/{service}").json()["receipts"]
    assert next(one["outcome"] for one in told if one["step"] == "policy") == "acked"
    assert len(billing.get("/payments", account=account).json()["payments"]) == 1
    assert billing.get(f"/services/{service}/sessions").json()["sessions"][0]["state"] == "open"
    assert _pay(billing, body | {"amount": "1.00"}, "R-1")["problems"][0]["code"] == "payment-key-reused"


def test_invoices_are_read_page_by_page_and_line_by_line(world: World, caller) -> None:
    """Every invoice once; lines add up to the net."""
    _bill(world)
    billing = caller("billing")
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        found = billing.get("/invoices", limit=2, after=after).json()
        seen += [one["number"] for one in found["invoices"]]
        after = found["next"]
    assert sorted(seen) == ["INV-000001", "INV-000002", "INV-000003"]
    whole = billing.get("/invoices/INV-000001").json()["invoice"]
    assert whole["lines"][0]["amount"]["currency"] == "AUD"
    assert billing.get("/invoices/INV-9").status_code == 404


def test_a_parked_set_is_released_by_repeating_its_count(world: World, caller) -> None:
    """A wrong count is refused, the right one lets it land; who did it is on the set."""
    set_id = park(world)
    billing = caller("billing")
    (held,) = billing.get("/sets/held").json()["held"]
    assert (held["id"], held["count"], held["limit"]) == (set_id, 2, 1)
    wrong = billing.post(f"/sets/{set_id}/release", {"expect": 3})
    assert (wrong.status_code, wrong.json()["problems"][0]["code"]) == (409, "count-mismatch")
    assert billing.post(f"/sets/{set_id}/release", {"expect": 2}).json()["decided"] == "released"
    world.one.settle()
    shown = billing.get(f"/sets/{set_id}").json()
    assert (shown["set"]["state"], shown["set"]["released_by"], shown["count"]) == ("landed", "billing-1", 2)


def test_a_dropped_set_never_lands(world: World, caller) -> None:
    """And cannot be released any more."""
    set_id = park(world)
    engineer = caller("engineer")
    assert engineer.post(f"/sets/{set_id}/drop").json()["decided"] == "dropped"
    world.one.settle()
    assert engineer.get(f"/sets/{set_id}").json()["set"]["state"] == "rejected"
    assert engineer.post(f"/sets/{set_id}/release", {"expect": 2}).status_code == 409
    assert engineer.post("/sets/set_0/drop").status_code == 404


def _bill(world: World) -> None:
    """Three customers, billed from the first of last month."""
    since = (clock.today("Australia/Perth").replace(day=1) - timedelta(days=1)).replace(day=1)
    with world.one.db.write() as conn:
        taxes.set_rate(conn, "gst", "10%", valid_from=date(2025, 1, 1))
    with world.one.reader() as reader:
        adopt_services(world.one.db, reader, since=since, actor="engineer-1", key=world.key)
    world.one.settle()
    with world.one.reader() as reader:
        run_billing(world.one.db, reader, since)


def _held(world: World, nas: NasStandIn) -> tuple[str, str]:
    """An account that is held for an old debt, with its session in the garden."""
    nas.login("s1@example.net", PASSWORD)
    _bill(world)
    with world.one.reader() as reader:
        run = run_dunning(world.one.db, reader, _today() + timedelta(days=60))
    assert "S-1" in run.held
    _settle_until(world, lambda: "garden" in str([one.policy for one in nas.of("s1@example.net")]))
    with world.one.db.read() as conn:
        return subscriptions.item(conn, "S-1").account, "S-1"


def _today() -> date:
    return clock.today("Australia/Perth")


def _pay(billing, body: dict, key: str) -> dict:
    headers = billing.headers | {"Idempotency-Key": key}
    answer: dict = billing.client.post("/api/v1/payments", json=body, headers=headers).json()
    return answer


def _settle_until(world: World, predicate) -> None:
    eventually(lambda: (world.one.settle(), predicate())[1], cap=15)
