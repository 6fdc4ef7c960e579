"""Vouchers on both databases: printed once, redeemed once under any concurrency, guesses refused."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger import trial_balance
from billing.wallet import batches, vouchers
from billing.wallet.codes import _ALPHABET, Hasher, check, new_code, normal
from billing.wallet.errors import BatchNotUsable, BatchUnknown, GuessesTooMany, VoucherNotUsable
from billing.wallet.models import wallet_movement, wallet_voucher
from core import clock
from core.db import Database
from core.money import Money
from tests.billing.stage import Stage
from tests.billing.test_wallet import Shop
from tests.billing.threads import together

HASHER = Hasher(b"k" * 32)
LAST = date(2099, 12, 31)


def batch(stage: Stage, count: int = 3, name: str = "b", amount: int = 3300, currency: str = "AUD", **given):
    """Make a batch of the stage's legal entity; returns its codes."""
    with stage.database.write() as conn:
        made = batches.make(
            conn, HASHER, f"{stage.entity}-{name}", count, Money(amount, currency), given.get("last", LAST),
            actor="test", legal_entity=given.get("entity", stage.entity),
        )  # fmt: skip
    return [code for _, code in made]


def redeem(stage: Stage, code: str, account: str = ""):
    """Redeem for the stage's account."""
    return vouchers.redeem(stage.database, HASHER, account or stage.account, code, actor="test")


@given(st.integers(0, 15), st.integers(1, 31))
def test_every_single_wrong_character_is_found(place: int, by: int):
    """The check character tells a slip from a guess, wherever it is."""
    letters = list(normal(new_code()))
    letters[place] = _ALPHABET[(_ALPHABET.index(letters[place]) + by) % 32]
    assert normal("".join(letters)) == ""


def test_swapped_neighbours_are_found_and_people_may_type_as_they_like():
    """All swaps of two different characters but one pair (as with Luhn's digits); small letters and blanks are fine."""
    missed = {
        frozenset(pair)
        for pair in ((a, b) for a in _ALPHABET for b in _ALPHABET if a != b)
        if check("".join(pair)) == check("".join(reversed(pair)))
    }
    assert len(missed) <= 1
    code = new_code()
    assert normal(code.lower().replace("-", " ")) == normal(code) != ""
    assert normal("K7QF-2MWX") == normal("0" * 16) == ""


def test_codes_are_not_kept_and_do_not_repeat(database: Database):
    """A thousand codes, all different; the table has a keyed hash that another key does not make."""
    stage = Stage(database)
    codes = batch(stage, 1000)
    with database.read() as conn:
        kept = set(conn.execute(sa.select(wallet_voucher.c.digest)).scalars())
    assert len(set(codes)) == 1000
    assert {HASHER.digest(normal(code)) for code in codes} == kept
    assert Hasher(b"x" * 32).digest(normal(codes[0])) not in kept


def test_a_voucher_tops_up_buys_and_releases(database: Database):
    """33.00 buys the lapsed service's month at once; the books say who owes it: the seller of vouchers."""
    shop = Shop(database)
    service = shop.open()
    shop.run(date(2026, 1, 31))
    (code,) = batch(shop, 1)
    done = redeem(shop, code)
    assert [one.service for one in done.renewed.bought] == [service]
    assert len(done.renewed.set_ids) == 1
    assert redeem(shop, code).already
    with database.read() as conn:
        stands = trial_balance(conn)
    assert (stands["vouchers", "AUD"], stands["wallet", "AUD"]) == (3300, 0)


def test_invariant_37_a_voucher_is_redeemed_once_whoever_tries_at_once(database: Database):
    """Eight accounts, one code, at the same moment: one wallet has it, the others are told."""
    stages = [Stage(database, legal_entity="shop") for _ in range(8)]
    (code,) = batch(stages[0], 1, entity="shop")
    waiting, told = [stage.account for stage in stages], []

    def try_it() -> None:
        account = waiting.pop()
        try:
            redeem(stages[0], code, account)
        except VoucherNotUsable as error:
            told.append(str(error))

    together(8, try_it)
    with database.read() as conn:
        rows = conn.execute(sa.select(wallet_movement)).all()
    assert [(row.kind, row.amount) for row in rows] == [("voucher", 3300)]
    assert len(told) == 7
    assert all("redeemed" in one for one in told)


def test_invariant_37_one_account_that_redeems_twice_at_once_has_it_once(database: Database):
    """Six threads of one account: one movement, and everybody hears that it is done."""
    stage = Stage(database)
    (code,) = batch(stage, 1)
    together(6, lambda: redeem(stage, code))
    with database.read() as conn:
        assert len(conn.execute(sa.select(wallet_movement)).all()) == 1


def test_guesses_are_counted_even_though_they_are_refused(database: Database):
    """Five codes that nobody has, then even a good one must wait an hour; another account need not."""
    stage, other = Stage(database, legal_entity="g"), Stage(database, legal_entity="g")
    (code,) = batch(stage, 1, entity="g")
    for _ in range(vouchers.GUESSES):
        with pytest.raises(VoucherNotUsable, match="letter by letter"):
            redeem(stage, new_code())
    with pytest.raises(GuessesTooMany, match="60 minutes"):
        redeem(stage, code)
    with clock.frozen(clock.now() + timedelta(hours=1, seconds=1)):
        assert redeem(stage, code).balance == Money(3300, "AUD")
    with pytest.raises(VoucherNotUsable, match="redeemed already"):
        redeem(other, code)


def test_a_slip_of_the_hand_is_no_guess(database: Database):
    """Mistyped codes are told so and never lock anybody out."""
    stage = Stage(database)
    (code,) = batch(stage, 1)
    wrong = code[:-1] + ("2" if code[-1] != "2" else "3")
    for _ in range(20):
        with pytest.raises(VoucherNotUsable, match="mistyped"):
            redeem(stage, wrong)
    assert redeem(stage, code).balance == Money(3300, "AUD")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"currency": "EUR"}, "in EUR"),
        ({"entity": "elsewhere"}, "issued by elsewhere"),
        ({"last": date(2026, 6, 30)}, "last day, 2026-06-30, has passed"),
    ],
)
def test_what_cannot_be_redeemed_says_why(database: Database, given, words: str):
    """Another currency, another issuer, too late: one sentence, and the voucher stays as it is."""
    with clock.frozen(datetime(2026, 6, 1, tzinfo=UTC)):
        stage = Stage(database)
        (code,) = batch(stage, 1, **given)
    with clock.frozen(datetime(2026, 7, 1, tzinfo=UTC)), pytest.raises(VoucherNotUsable, match=words):
        redeem(stage, code)
    with database.read() as conn:
        assert conn.execute(sa.select(wallet_voucher.c.redeemed_at)).scalars().all() == [None]


def test_a_void_batch_is_worth_nothing_and_what_was_used_stays_used(database: Database):
    """Two of three left; voiding again finds none; the listing says so."""
    stage = Stage(database)
    first, second, _ = batch(stage)
    redeem(stage, first)
    name = f"{stage.entity}-b"
    with database.write() as conn:
        assert batches.void(conn, name, actor="test") == 2
        assert batches.void(conn, name, actor="test") == 0
    with pytest.raises(VoucherNotUsable, match="batch is void"):
        redeem(stage, second)
    with database.read() as conn:
        (one,) = batches.batches(conn)
    assert (one.count, one.redeemed, one.is_void) == (3, 1, True)


def test_a_sold_batch_is_a_liability_that_redemption_moves_into_the_wallet(database: Database):
    """Worth 99, sold for 90: cash, commission, vouchers; one redeemed: 33 of it are a wallet."""
    stage = Stage(database)
    (code, *_) = batch(stage)
    name = f"{stage.entity}-b"
    with database.write() as conn:
        batches.sell(conn, name, Money(9000, "AUD"), "bank", actor="test", on=date(2026, 2, 1))
        for paid, words in ((Money(9000, "AUD"), "sold on 2026-02-01"),):
            with pytest.raises(BatchNotUsable, match=words):
                batches.sell(conn, name, paid, "bank", actor="test", on=date(2026, 2, 1))
    redeem(stage, code)
    with database.read() as conn:
        stands = trial_balance(conn)
    assert stands == {
        ("cash:bank", "AUD"): 9000, ("fees:voucher-commission", "AUD"): 900, ("vouchers", "AUD"): -6600,
        ("wallet", "AUD"): -3300,
    }  # fmt: skip


def test_a_batch_that_makes_no_sense_is_refused(database: Database):
    """Name, number, worth, last day, the same name again, no such batch, a price above its worth."""
    stage = Stage(database)
    batch(stage)
    counted: Counter[str] = Counter()
    asked: list[tuple[dict[str, Any], str]] = [
        ({"name": "x y"}, "up to 64"), ({"count": 0}, "0 vouchers"), ({"amount": 0}, "worth nothing"),
        ({"last": date(2020, 1, 1)}, "has passed"), ({}, "of this name already"),
    ]  # fmt: skip
    for wrong, words in asked:
        with pytest.raises(BatchNotUsable, match=words):
            batch(stage, **wrong)
        counted["refused"] += 1
    with database.write() as conn, pytest.raises(BatchUnknown, match="voucher list"):
        batches.void(conn, "none", actor="test")
    with database.write() as conn, pytest.raises(BatchNotUsable, match=r"worth AUD 99.00"):
        batches.sell(conn, f"{stage.entity}-b", Money(9901, "AUD"), "bank", actor="t", on=LAST)
    assert counted["refused"] == 5
