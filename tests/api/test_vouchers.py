"""Redeeming over HTTP: once; one refusal for everything, in the same time; limits by address and account; the audit."""

import itertools
import time
from datetime import date

import pytest
import sqlalchemy as sa

from billing import accounts
from billing.wallet import batches, online
from billing.wallet.codes import Hasher, new_code
from billing.wallet.errors import RedemptionRefused, RedemptionsTooMany
from billing.wallet.models import redemption_try, wallet_voucher_guess
from core import clock
from core.models import event
from core.money import Money
from tests.billing.threads import together
from tests.world import World

PATH = "/vouchers/redemptions"


@pytest.fixture
def codes(world: World) -> list[str]:
    """Three vouchers of 30.00; and whom they may top up."""
    hasher = Hasher.of(world.settings.home)
    with world.one.db.write() as conn:
        made = batches.make(conn, hasher, "b", 3, Money(3000, "AUD"), date(2099, 12, 31), actor="test")
        gone = batches.make(conn, hasher, "void", 1, Money(3000, "AUD"), date(2099, 12, 31), actor="test")
        batches.void(conn, "void", actor="test")
    return [code for _, code in (*made, *gone)]


@pytest.fixture
def account(world: World) -> str:
    """An account in Australian dollars."""
    with world.one.db.write() as conn:
        return accounts.open_account(conn, "C-77", currency="AUD", timezone="Australia/Perth")


def tried(world: World) -> list[dict]:
    """The audit."""
    query = sa.select(event).where(event.c.type == "voucher.tried").order_by(event.c.seq)
    with world.one.db.read() as conn:
        return [{**row.data, "actor": row.actor, "subject": row.subject} for row in conn.execute(query)]


def test_a_portal_redeems_once_and_may_nothing_else(world: World, caller, codes, account):
    """The balance; again by the same account is no mistake; a portal's token reads nothing."""
    portal = caller("portal")
    for already in (False, True):
        given = portal.post(PATH, {"account": account, "code": codes[0].lower().replace("-", " ")})
        assert (given.status_code, given.json()["schema"]) == (200, "trunkline.voucher-redemption/1")
        said = given.json()
        assert (said["balance"]["minor"], said["already"]) == (3000, already)
    for path in ("/devices", "/customers", f"/accounts/{account}", "/payments?account=A-1", "/events"):
        assert portal.get(path).status_code == 403, path
    assert caller("viewer").post(PATH, {"account": account, "code": codes[1]}).status_code == 403
    assert caller("support").post(PATH, {"account": account, "code": codes[1]}).status_code == 200
    assert [(one["ok"], one["actor"], one["subject"]) for one in tried(world)] == [
        (True, "portal-1", account), (True, "portal-1", account), (True, "support-1", account),
    ]  # fmt: skip
    with world.one.db.read() as conn:
        assert conn.execute(sa.select(redemption_try)).first() is None


def test_whatever_is_wrong_is_one_refusal_in_the_same_time(world: World, caller, codes, account):
    """Unknown, mistyped, void, redeemed by another, an account that is not there: alike to the letter and the clock."""
    portal = caller("portal")
    with world.one.db.write() as conn:
        other = accounts.open_account(conn, "C-78", currency="AUD", timezone="Australia/Perth")
        third = accounts.open_account(conn, "C-79", currency="AUD", timezone="Australia/Perth")
    assert portal.post(PATH, {"account": other, "code": codes[0]}).status_code == 200
    wrong = [
        (account, new_code()), (account, "K7QF-2MWX"), (account, codes[3]), (third, codes[0]), ("A-999", codes[1]),
        ("A-998", new_code()),
    ]  # fmt: skip
    answers, times = set(), []
    for name, code in wrong:
        begun = time.monotonic()
        given = portal.post(PATH, {"account": name, "code": code})
        times.append(time.monotonic() - begun)
        answers.add((given.status_code, given.text))
    ((status, text),) = answers
    assert status == 422
    assert "this voucher cannot be redeemed for this account" in text
    assert min(times) >= online.FLOOR
    audit = tried(world)[1:]
    assert not any(one["ok"] for one in audit)
    assert len({one["why"] for one in audit}) >= 5
    assert not any(code in str(audit) or code.replace("-", "") in str(audit) for _, code in wrong)
    assert "testclient" not in str(audit)


def test_failures_are_limited_by_account_and_by_address(world: World, caller, codes, account):
    """Five for an account, wherever they come from; twenty for an address; an hour later again."""
    portal = caller("portal")

    def ask(name: str, code: str, address: str):
        return portal.post(PATH, {"account": name, "code": code, "address": address})

    seen = [ask("A-500", new_code(), f"192.0.2.{n}").status_code for n in range(7)]
    assert seen == [422] * 5 + [429] * 2
    for n in range(19):
        assert ask(f"A-{600 + n}", new_code(), "2001:db8::1").status_code == 422
    assert ask(account, codes[0], "2001:db8::ffff:2").status_code == 200
    assert ask("A-700", new_code(), "2001:db8::3").status_code == 422
    refused = ask(account, codes[1], "2001:db8::4")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3600")
    assert ask(account, codes[1], "2001:db8:1::4").status_code == 200
    with clock.frozen(clock.now() + online._HOUR * 2):
        assert ask("A-500", new_code(), "192.0.2.1").status_code == 422


def test_a_burst_gets_no_more_than_its_limit(world: World, caller):
    """Forty guesses at one moment from one address: twenty are looked at."""
    hasher, database = Hasher.of(world.settings.home), world.one.db
    numbers, found = itertools.count(), []

    def guess() -> None:
        try:
            online.redeem(database, hasher, f"A-{next(numbers)}", new_code(), "192.0.2.9", actor="portal")
        except (RedemptionRefused, RedemptionsTooMany) as error:
            found.append(type(error))

    together(40, guess)
    assert len(found) == 40
    assert found.count(RedemptionRefused) <= online.BY_ADDRESS
    with database.read() as conn:
        assert conn.execute(sa.select(wallet_voucher_guess)).first() is None


@pytest.mark.parametrize("body", [{}, {"account": "A-1"}, {"account": "A-1", "code": "x" * 65},
                                  {"account": "A-1", "code": "x", "address": "home"}])  # fmt: skip
def test_what_is_no_redemption_is_told(caller, body: dict):
    """Before anything is looked at, and what was typed is not repeated."""
    given = caller("portal").post(PATH, body)
    assert given.status_code in (409, 422)
    assert "xxx" not in given.text
