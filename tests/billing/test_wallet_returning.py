"""A top-up that is charged back, and money that nobody used in time: wallet, holds, books; killed and lived again."""

import os
import signal
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing import accounts
from billing.errors import PaymentKeyReused
from billing.models import ledger_entry, ledger_transaction
from billing.refunding import refunds
from billing.wallet import balance, batches, breakage, prepaid, returning, topping, vouchers
from billing.wallet.errors import BreakageNotUsable, TopUpNotReturned, TopUpUnknown, VoucherNotUsable
from billing.wallet.models import breakage_rule
from core.db import Database
from core.money import Money
from tests.billing.stage import changes_of
from tests.billing.test_vouchers import HASHER, batch
from tests.billing.test_wallet import DAY, Shop

POINTS = ["billing.before_returned_commit", "billing.after_breakage"]
FEW = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[one for one in Phase if one not in (Phase.shrink, Phase.explain)],
)  # fmt: skip
LATER = DAY + timedelta(days=5)


def take(shop: Shop, amount: str | None = None, key: str = "c", on: date = LATER, top: str = "k", **given):
    """The bank takes a top-up back."""
    with shop.database.write() as conn:
        money = None if amount is None else Money.parse(amount, "AUD")
        return returning.charge_back(
            conn, shop.reader, f"{shop.entity}:{top}", money, "card", key, actor="test", on=on, **given
        )


def win(shop: Shop, key: str = "c", on: date = LATER):
    """The bank gives it back."""
    with shop.database.write() as conn:
        return returning.won(conn, f"{shop.entity}:k", key, "card", actor="test", on=on)


def books(shop: Shop) -> dict[str, int]:
    """What stands on each account of the books of the shop's legal entity."""
    query = sa.select(ledger_entry.c.ledger, sa.func.sum(ledger_entry.c.amount)).join(ledger_transaction)
    query = query.where(ledger_transaction.c.legal_entity == shop.entity).group_by(ledger_entry.c.ledger)
    with shop.database.read() as conn:
        return {row[0]: int(row[1]) for row in conn.execute(query)}


def left(shop: Shop) -> int:
    """What its wallet has."""
    with shop.database.read() as conn:
        return balance.balance(conn, accounts.get(conn, shop.account)).minor


def state(shop: Shop, service: str) -> str:
    """Of a prepaid service."""
    with shop.database.read() as conn:
        return str(prepaid.get(conn, service).state)


def test_in_the_red_what_is_bought_is_held_and_the_next_money_fills_it_first(database: Database):
    """40.00 in, 33.00 for the month, 40.00 back: 33.00 in the red, held; 33.00 in: free, nothing bought twice."""
    shop = Shop(database)
    service = shop.open()
    shop.top("40.00")
    done = take(shop, cost=Money(1500, "AUD"))
    assert (done.balance.minor, done.held) == (-3300, (service,))
    (change,) = changes_of(database, done.hold_set)
    assert (change.op, service in change.path, ".prepaid." in change.path) == ("put", True, True)
    assert (state(shop, service), left(shop)) == ("owed", -3300)
    assert take(shop).already
    assert shop.run(LATER).held == ()
    assert shop.top("32.99", LATER, "k2").renewed.set_ids == ()
    done = shop.top("0.01", LATER, "k3")
    assert (len(done.renewed.set_ids), done.renewed.bought) == (1, ())
    (change,) = changes_of(database, done.renewed.set_ids[0])
    assert (change.op, state(shop, service), left(shop)) == ("delete", "open", 0)
    found = books(shop)
    assert sum(found.values()) == 0
    assert (found["wallet"], found["cash:cash"], found["cash:card"]) == (0, 7300, -5500)
    assert found["fees:chargebacks"] == 1500


def test_a_chargeback_goes_out_by_the_way_in_which_the_top_up_came(database: Database):
    """Paid in cash and taken back: the till has less, not the card's account; won, it has it again."""
    shop = Shop(database)
    shop.top("20.00")
    came = {name: minor for name, minor in books(shop).items() if name.startswith("cash:")}
    with database.write() as conn:
        returning.charge_back(
            conn, shop.reader, f"{shop.entity}:k", Money(500, "AUD"), None, "c", actor="test", on=LATER,
            cost=Money(100, "AUD"),
        )  # fmt: skip
    gone = {name: minor for name, minor in books(shop).items() if name.startswith("cash:")}
    assert {name: came[name] - minor for name, minor in gone.items()} == dict.fromkeys(came, 600)
    with database.write() as conn:
        returning.won(conn, f"{shop.entity}:k", "c", None, actor="test", on=LATER)
    back = {name: minor for name, minor in books(shop).items() if name.startswith("cash:")}
    assert {name: came[name] - minor for name, minor in back.items()} == dict.fromkeys(
        came, 100
    )  # the bank's cost


def test_money_of_a_wallet_is_paid_out_as_a_refund(database: Database):
    """Of 20.00 in cash 5.00 become credit and go back by bank: 15.00 stay in the wallet, and no credit does."""
    shop = Shop(database)
    shop.top("20.00")
    with database.write() as conn:
        money, key = Money(500, "AUD"), f"{shop.entity}:out"
        credit = topping.pay_out(conn, shop.account, money, key, actor="test", on=LATER)
        made = refunds.refund(
            conn, credit, money, key=key, method="bank", actor="test", reason="left", on=LATER
        )
        refunds.settled(conn, made, actor="test", on=LATER)
    found = books(shop)
    assert (left(shop), found["customer-credit"], found["cash:bank"]) == (1_500, 0, -500)


def test_a_part_that_the_wallet_still_has_holds_nothing(database: Database):
    """7.00 are left of 40.00: they go, the month that is bought stays."""
    shop = Shop(database)
    service = shop.open()
    shop.top("40.00")
    done = take(shop, "7.00")
    assert (done.balance.minor, done.held, state(shop, service)) == (0, (), "open")
    assert take(shop, "10.00", "d").held == (service,)
    with pytest.raises(TopUpNotReturned, match=r"of AUD 40\.00 only AUD 23\.00 are left to take back"):
        take(shop, "23.01", "e")
    with pytest.raises(PaymentKeyReused):
        take(shop, "8.00")
    with pytest.raises(TopUpUnknown, match="no top-up with key"):
        take(shop, top="never")


def test_a_chargeback_that_is_won_frees_and_pays_again(database: Database):
    """As if it had not been; twice told is once done."""
    shop = Shop(database)
    service = shop.open()
    shop.top("40.00")
    take(shop)
    done = win(shop)
    assert (len(done.renewed.set_ids), state(shop, service), left(shop)) == (1, "open", 700)
    assert win(shop).already
    with pytest.raises(TopUpNotReturned, match="no chargeback 'x' of it is known"):
        win(shop, "x")
    assert take(shop, key="again").balance.minor == -3300


def test_a_period_that_ends_while_it_is_owed_lapses(database: Database):
    """The red is filled first, then the next month is bought, on the day that money comes."""
    shop = Shop(database)
    service = shop.open()
    shop.top("40.00")
    take(shop)
    long_after = DAY + timedelta(days=60)
    assert shop.run(long_after).bought == ()
    done = shop.top("40.00", long_after, "k2")
    assert (state(shop, service), left(shop), done.renewed.bought) == ("lapsed", 700, ())
    done = shop.top("30.00", long_after, "k3")
    assert [one.start for one in done.renewed.bought] == [long_after]
    assert (len(done.renewed.set_ids), state(shop, service), left(shop)) == (1, "open", 400)


@FEW
@given(st.lists(st.tuples(st.sampled_from(["top", "take", "win", "run"]), st.integers(1, 6_000)), max_size=8))
def test_invariant_37_with_chargebacks(database: Database, story: list[tuple[str, int]]):
    """The wallet is what came in less what went and was bought; in the red nothing is open."""
    shop = Shop(database)
    service = shop.open()
    shop.top("40.00")
    expected = 4000
    for keys, (what, minor) in enumerate(story, 1):
        day = DAY + timedelta(days=3 * keys)
        if what == "top":
            shop.top(f"{minor / 100:.2f}", day, f"t{keys}")
            expected += minor
        elif what == "run":
            shop.run(day)
        else:
            try:
                if what == "take":
                    expected -= take(shop, f"{minor / 100:.2f}", f"c{keys}", day).amount.minor
                else:
                    done = win(shop, f"c{keys - 1}", day)
                    expected += 0 if done.already else done.amount.minor
            except TopUpNotReturned:
                pass
        with database.read() as conn:
            rows = balance.movements(conn, accounts.get(conn, shop.account))
        fees = sum(int(str(row["amount"])) for row in rows if row["kind"] == "fee")
        assert left(shop) == expected + fees
        assert books(shop)["wallet"] == -left(shop)
        assert state(shop, service) in (("owed", "lapsed") if left(shop) < 0 else ("open", "grace", "lapsed"))


def rule(shop: Shop, what: str, days: int, ledger: str = "revenue:breakage") -> None:
    """The one rule there is."""
    with shop.database.write() as conn:
        conn.execute(sa.delete(breakage_rule))
        breakage.set_rule(
            conn, breakage.Rule(legal_entity=shop.entity, what=what, days=days, ledger=ledger), actor="anna"
        )


def broken(shop: Shop, on: date, dry: bool = False) -> list[tuple[str, int]]:
    """What expires on a day."""
    return [(one.of, one.amount.minor) for one in breakage.run(shop.database, on, actor="test", dry=dry)]


def test_expired_vouchers_become_income_once_and_cannot_be_redeemed_any_more(database: Database):
    """Three sold, one redeemed: 66.00 leave the liability after the grace of 30 days; unsold ones were none."""
    shop = Shop(database)
    last = date(2099, 3, 31)
    codes = batch(shop, 3, last=last)
    batch(shop, 2, "unsold", last=last)
    rule(shop, "voucher", 30)
    name = f"{shop.entity}-b"
    with database.write() as conn:
        batches.sell(conn, name, Money(9000, "AUD"), "bank", actor="test", on=DAY)
    vouchers.redeem(database, HASHER, shop.account, codes[0], actor="test", on=DAY)
    assert broken(shop, last + timedelta(days=29)) == []
    day = last + timedelta(days=30)
    assert broken(shop, day, dry=True) == [(name, 6600)]
    assert broken(shop, day) == [(name, 6600)]
    assert broken(shop, day) == []
    found = books(shop)
    assert (found["vouchers"], found["revenue:breakage"], found["wallet"]) == (0, -6600, -3300)
    with pytest.raises(VoucherNotUsable, match="its last day, 2099-03-31, has passed"):
        vouchers.redeem(database, HASHER, shop.account, codes[1], actor="test", on=DAY)


def test_a_voucher_is_good_until_its_last_day_has_passed_in_the_west_too(database: Database):
    """A rule of one day waits for a second: at noon UTC of the day after, the last day still runs at UTC-12."""
    shop = Shop(database)
    last = date(2099, 3, 31)
    batch(shop, 1, last=last)
    rule(shop, "voucher", 1)
    with database.write() as conn:
        batches.sell(conn, f"{shop.entity}-b", Money(3000, "AUD"), "bank", actor="test", on=DAY)
    assert broken(shop, last + timedelta(days=1)) == []
    assert broken(shop, last + timedelta(days=2)) == [(f"{shop.entity}-b", 3300)]


def test_an_idle_wallet_expires_by_its_rule_and_is_given_back_when_somebody_comes(database: Database):
    """7.00 nobody touched for a year are unclaimed; not while a service may use them, nor a day too early."""
    shop = Shop(database)
    shop.top("7.00")
    rule(shop, "wallet", 365, "unclaimed:wallet")
    assert broken(shop, DAY + timedelta(days=364)) == []
    day = DAY + timedelta(days=365)
    assert broken(shop, day) == [(shop.account, 700)]
    assert broken(shop, day) == []
    assert (left(shop), books(shop)["unclaimed:wallet"]) == (0, -700)
    with database.write() as conn:
        done = breakage.restore(conn, shop.account, actor="anna", on=day)
    assert (done.balance.minor, books(shop)["unclaimed:wallet"], books(shop)["wallet"]) == (700, 0, -700)
    with database.write() as conn, pytest.raises(BreakageNotUsable, match="nothing expired of account"):
        breakage.restore(conn, shop.account, actor="anna", on=day)
    assert broken(shop, day + timedelta(days=364)) == []
    assert broken(shop, day + timedelta(days=365)) == [(shop.account, 700)]


def test_a_wallet_that_a_service_uses_does_not_expire(database: Database):
    """Its month is bought; what is left waits for the next."""
    shop = Shop(database)
    shop.open()
    shop.top("40.00")
    rule(shop, "wallet", 90)
    assert broken(shop, DAY + timedelta(days=400)) == []
    with database.write() as conn:
        assert breakage.drop_rule(conn, shop.entity, "wallet", actor="anna")
        assert not breakage.drop_rule(conn, shop.entity, "wallet", actor="anna")
        assert breakage.rules(conn) == []


@pytest.mark.parametrize(
    ("what", "days", "ledger", "words"),
    [
        ("gift", 30, "revenue:breakage", "there is none; choose voucher or wallet"),
        ("wallet", 89, "revenue:breakage", "89 days cannot be; choose 90 to"),
        ("voucher", 0, "revenue:breakage", "0 days cannot be; choose 1 to"),
        ("voucher", 1, "nowhere", "nowhere"),
        ("voucher", 1, "cash:bank", "is neither income nor another liability"),
        ("wallet", 90, "wallet", "is neither income nor another liability"),
    ],
)
def test_a_rule_that_makes_no_sense_is_one_sentence(database: Database, what, days, ledger, words):
    """And is not stored."""
    shop = Shop(database)
    with pytest.raises(BreakageNotUsable, match=words):
        rule(shop, what, days, ledger)


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_lived_again(database: Database, point: str):
    """A chargeback that was not written is written once; of two wallets the second one follows."""
    shop, other = Shop(database), None
    service = shop.open()
    shop.top("40.00")
    if point == "billing.after_breakage":
        shop = Shop(database)
        shop.top("7.00")
        other = Shop(database, legal_entity=shop.entity)
        other.entity = shop.entity
        other.top("9.00", key="other")
        rule(shop, "wallet", 90)

    def act() -> None:
        if other is None:
            take(shop)
        else:
            broken(shop, DAY + timedelta(days=100))

    child = os.fork()
    if not child:
        database.engine.dispose(close=False)
        os.environ |= {"TRUNKLINE_TEST_MODE": "1", "TRUNKLINE_FAULT": f"{point}:1:kill"}
        act()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    act()
    act()
    if other is None:
        assert (left(shop), state(shop, service)) == (-3300, "owed")
    else:
        assert (left(shop), left(other), books(shop)["revenue:breakage"]) == (0, 0, -1600)
