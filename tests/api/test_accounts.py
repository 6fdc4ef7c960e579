"""An account's terms over the API and in the console: opened and set by billing staff, shown with its children."""

import re
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from api.app import create_app
from api.login import link
from billing import accounts, payments, policies, taxes
from billing.stages import Step
from core.models import event
from core.money import Money
from tests.world import World


@pytest.fixture
def customer(world: World, caller) -> str:
    """Somebody new; a dunning policy `strict` and a tax profile `us` are there."""
    with world.one.db.write() as conn:
        policies.set_policy(conn, "strict", [Step("stop", 3, "block")])
        taxes.set_rate(conn, "gst", "8%", profile="us", valid_from=date(2000, 1, 1))
    return str(caller("support").post("/customers", {"name": "Ada"}).json()["customer"])


def change(caller, account: str, body: Any):
    """A PATCH by billing staff."""
    return caller.client.patch(f"/api/v1/accounts/{account}", json=body, headers=caller.headers)


def use(world: World, account: str) -> None:
    """Take a payment."""
    with world.one.db.write() as conn:
        payments.pay(conn, account, Money(100, "AUD"), "cash", f"{account}:1")


def test_a_program_opens_an_account_and_sets_its_terms(world: World, caller, customer: str) -> None:
    """What is left out is as the operator has it, or stays; both are told as events with who did it."""
    billing = caller("billing")
    asked = {"customer": customer, "timezone": "Asia/Kathmandu", "anchor": 31, "dunning_policy": "strict"}
    made = billing.post("/accounts", asked)
    assert made.status_code == 201
    terms = made.json()["account"]
    assert terms == {
        "id": terms["id"], "customer": customer, "currency": "AUD", "timezone": "Asia/Kathmandu", "anchor": 31,
        "legal_entity": "main", "tax_profile": "default", "dunning_policy": "strict", "payment_days": 14,
        "change_day": "new", "parent": None,
    }  # fmt: skip
    name = terms["id"]
    set_ = change(billing, name, {"tax_profile": "us", "change_day": "old", "payment_days": 0})
    assert set_.json()["account"] == terms | {"tax_profile": "us", "change_day": "old", "payment_days": 0}
    assert caller("support").get(f"/accounts/{name}").json()["account"] == set_.json()["account"]
    with world.one.db.read() as conn:
        query = sa.select(event.c.type, event.c.actor).where(event.c.subject == name).order_by(event.c.seq)
        assert [tuple(row) for row in conn.execute(query)] == [
            ("account.opened", "billing-1"),
            ("account.changed", "billing-1"),
        ]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"currency": "ABC"}, 422, "no currency of ISO 4217"),
        ({"timezone": "Mars"}, 422, "no IANA time zone"),
        ({"anchor": 32}, 422, "less than or equal to 31"),
        ({"anchor": None}, 422, "valid integer"),
        ({"currency": None}, 422, "valid string"),
        ({"payment_days": 400}, 422, "less than or equal to 365"),
        ({"tax_profile": "nowhere"}, 422, "has no rates"),
        ({"dunning_policy": "harsh"}, 422, "no dunning policy"),
        ({"change_day": "both"}, 422, "'new' or 'old'"),
        ({"legal_entity": "no rth"}, 422, "no legal entity"),
        ({"parent": "A-9"}, 422, "no account 'A-9'"),
        ({"ancor": 3}, 422, "Extra inputs"),
        ({"tax_profile": "us\u0000"}, 422, ""),
    ],
)
def test_a_term_that_makes_no_sense_is_one_problem(
    caller, customer: str, body: dict, status: int, says: str
) -> None:
    """422 for opening and for setting, with the sentence; nothing is kept."""
    billing = caller("billing")
    name = billing.post("/accounts", {"customer": customer}).json()["account"]["id"]
    for answer in (change(billing, name, body), billing.post("/accounts", {"customer": customer, **body})):
        assert (answer.status_code, len(answer.json()["problems"])) == (status, 1)
        assert says in answer.json()["problems"][0]["message"]
    (only,) = [one for one in billing.get("/accounts").json()["accounts"] if one["customer"] == customer]
    assert (only["id"], only["anchor"], only["tax_profile"]) == (name, 1, "default")


def test_what_is_not_there_and_what_is_fixed_are_told_apart(world: World, caller, customer: str) -> None:
    """404 for customer and account; 409 with what is in the way; what still changes does."""
    billing = caller("billing")
    assert billing.post("/accounts", {"customer": "C-X"}).status_code == 404
    assert change(billing, "A-1", {"anchor": 2}).status_code == 404
    name = billing.post("/accounts", {"customer": customer}).json()["account"]["id"]
    use(world, name)
    refused = change(billing, name, {"anchor": 2, "payment_days": 30})
    assert (refused.status_code, refused.json()["problems"][0]["code"]) == (409, "account-terms-fixed")
    assert "a payment was taken" in refused.json()["problems"][0]["message"]
    assert change(billing, name, {"payment_days": 30, "anchor": 1}).json()["account"]["payment_days"] == 30
    assert "a payment was taken" in billing.get(f"/accounts/{name}").json()["fixed"]


@pytest.mark.parametrize("role", ["viewer", "support", "engineer"])
def test_only_billing_decides_on_terms(caller, customer: str, role: str) -> None:
    """Others get 403 for both."""
    name = caller("billing").post("/accounts", {"customer": customer}).json()["account"]["id"]
    other = caller(role)
    assert other.post("/accounts", {"customer": customer}).status_code == 403
    assert change(other, name, {"payment_days": 3}).status_code == 403


def test_an_order_of_a_program_names_its_account(caller, customer: str) -> None:
    """It goes there; an account in another currency than the plan's price is refused and says which is wanted."""
    billing, support = caller("billing"), caller("support")
    first, second = (
        billing.post("/accounts", {"customer": customer}).json()["account"]["id"] for _ in range(2)
    )
    euro = billing.post("/accounts", {"customer": customer, "currency": "EUR"}).json()["account"]["id"]
    order = {
        "customer": customer,
        "plan": "fibre-500",
        "access": {"type": "existing", "line": "L-1"},
        "draft": True,
    }
    assert support.post("/orders", order).json()["order"]["account_id"] == first
    assert support.post("/orders", order | {"account": second}).json()["order"]["account_id"] == second
    refused = support.post("/orders", order | {"account": euro})
    assert (refused.status_code, "add a price with `currency: EUR`" in refused.text) == (422, True)
    assert change(billing, second, {"currency": "EUR"}).status_code == 409


def test_a_parent_is_shown_with_its_children_and_the_sum(
    world: World, browser: TestClient, caller, customer: str
) -> None:
    """On the page and over the API: each account, its own credit, and all together."""
    billing = caller("billing")
    parent = billing.post("/accounts", {"customer": customer}).json()["account"]["id"]
    children = [
        billing.post("/accounts", {"customer": customer, "parent": parent}).json()["account"]["id"]
        for _ in range(2)
    ]
    for name in (parent, *children):
        use(world, name)
    shown = billing.get(f"/accounts/{parent}").json()
    assert [one["id"] for one in shown["children"]] == children
    assert (shown["together"]["credit"]["text"], shown["standing"]["credit"]["text"]) == (
        "AUD 3.00",
        "AUD 1.00",
    )
    page = browser.get(f"/accounts/{parent}").text
    assert "<b>AUD 3.00</b>" in page
    assert all(f'href="/accounts/{name}"' in page for name in children)
    page = browser.get(f"/accounts/{children[0]}").text
    assert f'Its parent is <a href="/accounts/{parent}">' in page


def test_the_page_sets_what_can_still_change(
    world: World, browser: TestClient, caller, customer: str
) -> None:
    """All terms before the first payment, three after it; a mistake is one sentence; support sees no form."""
    name = caller("billing").post("/accounts", {"customer": customer}).json()["account"]["id"]
    page = browser.get(f"/accounts/{name}").text
    form = _fields(page)
    assert set(form) == {"csrf", *accounts.FIXED, *accounts.FREE}
    done = browser.post(f"/accounts/{name}/terms", data=form | {"anchor": "15", "dunning_policy": "strict"})
    assert "15 of the month" in done.text
    assert "policy strict" in done.text
    wrong = browser.post(f"/accounts/{name}/terms", data=form | {"anchor": "x"})
    assert (wrong.status_code, "it is a number such as 14" in wrong.text) == (422, True)
    assert browser.post(f"/accounts/{name}/terms", data=form | {"timezone": "Mars"}).status_code == 422
    use(world, name)
    page = browser.get(f"/accounts/{name}").text
    assert set(_fields(page)) == {"csrf", *accounts.FREE}
    assert "The others are fixed: a payment was taken" in page
    late = browser.post(f"/accounts/{name}/terms", data=form | {"anchor": "3"})
    assert (late.status_code, "keeps its anchor" in late.text) == (409, True)
    assert (
        browser.post(f"/accounts/{name}/terms", data=_fields(page) | {"payment_days": "7"}).status_code == 200
    )
    with world.one.db.read() as conn:
        now = accounts.get(conn, name)
    assert (now.anchor, now.payment_days, now.dunning_policy) == (15, 7, "strict")
    other = TestClient(create_app(world.one.context, world.one.repo))
    other.get(link(world.one.context, "sue", "support"))
    page = other.get(f"/accounts/{name}").text
    assert "Set terms" not in page
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf
    sent = other.post(f"/accounts/{name}/terms", data={"csrf": csrf[1], "payment_days": "1"})
    assert sent.status_code == 403


def _fields(page: str) -> dict[str, str]:
    """The form of terms as a browser sends it."""
    found = re.search(r'action="/accounts/[^"]+/terms">(.*?)</form>', page, re.DOTALL)
    assert found
    fields = dict(re.findall(r'<input[^>]*name="(\w+)" value="([^"]*)"', found[1]))
    if "change_day" in found[1]:
        chosen = re.search(r"<option selected>(\w+)<", found[1])
        assert chosen
        fields["change_day"] = chosen[1]
    return fields
