"""What a request gives that nobody could count with or keep: one sentence and 422, the same on both databases."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.world import World

FAR = ("0001-01-01", "9999-12-31")
NUL = "a\u0000b"


@pytest.fixture
def account(caller) -> str:
    """Somebody's account."""
    made = caller("support").post("/customers", {"name": "Ada"})
    return str(
        caller("billing").post("/accounts", {"customer": made.json()["customer"]}).json()["account"]["id"]
    )


def refused(answer: Any, says: str) -> None:
    """One problem, which says so."""
    assert answer.status_code == 422, answer.text
    (problem,) = answer.json()["problems"]
    assert says in problem["message"]


def dated(client: TestClient, headers: dict[str, str]) -> Iterator[tuple[str, list[str], str]]:
    """Every address that takes days: its path, its days, and one of them at a time."""
    for path, methods in client.get("/api/openapi.json", headers=headers).json()["paths"].items():
        parameters = methods.get("get", {}).get("parameters", [])
        names = [one["name"] for one in parameters if "'format': 'date'" in str(one["schema"])]
        yield from ((path, names, name) for name in names)


def test_a_day_in_an_address_is_one_that_can_be_counted_with(caller, client: TestClient):
    """Each of the days of every address; the last of all is a day like others."""
    headers = caller("admin").headers
    found = list(dated(client, headers))
    assert len({path for path, _, _ in found}) == 5
    for path, names, name in found:
        given = {one: f"2026-01-0{n}" for n, one in enumerate(sorted(names), 1)}
        for day in FAR:
            answer = client.get(path, params={**given, name: day}, headers=headers)
            refused(answer, "is too far off; name a day from 1900-01-01 to 2999-12-31")
        if name != "since":
            assert client.get(path, params={**given, name: "2999-12-31"}, headers=headers).status_code == 200


@pytest.mark.parametrize("day", FAR)
def test_a_promise_is_for_a_day_that_can_be_counted_with(caller, browser: TestClient, account: str, day: str):
    """Over the API and in the console."""
    refused(caller("support").post(f"/accounts/{account}/promises", {"until": day}), "is too far off")
    page = browser.get(f"/accounts/{account}").text
    secret = page.split('name="csrf" value="')[1].split('"')[0]
    sent = browser.post(f"/accounts/{account}/promise", data={"csrf": secret, "until": day})
    assert (sent.status_code, "is too far off" in sent.text) == (422, True)


def bodies(account: str) -> list[tuple[str, dict[str, Any]]]:
    """Addresses, and bodies with a NUL in one text."""
    order = {"customer": "C-1", "plan": "fibre", "access": {"line": "L-1"}}
    return [
        ("/payments", {"account": account, "amount": "1.00", "method": NUL}),
        ("/payments", {"account": NUL, "amount": "1.00"}),
        ("/customers", {"name": NUL}), ("/customers", {"name": "Ada", "address": NUL}),
        ("/accounts", {"customer": NUL}), ("/accounts", {"customer": "C-1", "tax_profile": NUL}),
        ("/orders", {**order, "access": {"line": NUL}}), ("/orders", {**order, "options": {NUL: "x"}}),
        ("/orders", {**order, "promotions": [NUL]}), ("/orders/ord_1/cancel", {"reason": NUL}),
        ("/invoices/INV-1/credits", {"reason": NUL}),
        ("/vouchers/redemptions", {"account": account, "code": NUL}),
        ("/devices/bng1/pause", {"seconds": 5, "why": NUL}),
    ]  # fmt: skip


def test_no_text_of_a_request_has_a_nul(world: World, caller, client: TestClient, account: str):
    """In a body at any depth, in an address, its parameters and its key: nothing is kept, nothing is a fault."""
    for path, body in bodies(account):
        headers = {**caller("admin").headers, "Idempotency-Key": "k"}
        refused(
            client.post(f"/api/v1{path}", json=body, headers=headers), "has a NUL character; leave it out"
        )
    headers = {**caller("admin").headers, "Idempotency-Key": NUL}
    paid = {"account": account, "amount": "1.00"}
    refused(client.post("/api/v1/payments", json=paid, headers=headers), "has a NUL character")
    refused(client.get("/api/v1/accounts/A%00", headers=caller("billing").headers), "has a NUL character")
    refused(caller("billing").get("/invoices", account=NUL), "has a NUL character")
    assert caller("billing").get("/payments", account=account).json()["payments"] == []


def test_no_form_has_a_nul(browser: TestClient, account: str):
    """A page says so, and no payment is there."""
    page = browser.get(f"/accounts/{account}").text
    secret = page.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": secret, "amount": "1.00", "method": NUL, "key": "k"}
    sent = browser.post(f"/accounts/{account}/pay", data=form)
    assert (sent.status_code, "has a NUL character" in sent.text) == (422, True)


def test_a_number_beyond_64_bits_is_told(caller):
    """What no column has room for."""
    for expect in (2**63, 10**40):
        answer = caller("billing").post("/sets/set_1/release", {"expect": expect})
        refused(answer, "the number is too large")
