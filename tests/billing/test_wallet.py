"""Prepaid on both databases: top-ups, periods bought on their day, lapses held and released, books that agree."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aaa.limits import quota
from billing import accounts, hearing, ledger, payments
from billing.billables import Billable
from billing.billables import add as add_billable
from billing.billrun import run_billing
from billing.errors import AmountNotPayable, CurrencyWrong, PaymentKeyReused
from billing.explain import explain
from billing.ledger import trial_balance
from billing.models import allocation, payment
from billing.runs.verify import breaches
from billing.wallet import balance, holds, prepaid, topping
from billing.wallet.errors import NotPrepaid, PrepaidNotUsable, WalletTooSmall
from billing.wallet.models import wallet_movement
from billing.wallet.running import PrepaidRun, run_prepaid
from core import clock
from core.db import Database
from core.events import Event
from core.money import Money
from intents.plan.schema import Plan, Prepaid
from intents.reader import MemoryReader
from tests.billing.stage import Stage, a_service, all_sets, changes_of, price, reader_of
from tests.billing.threads import together

QUICK = [one for one in Phase if one not in (Phase.shrink, Phase.explain)]
FEW = settings(
    max_examples=10, deadline=None, phases=QUICK, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
DAY = date(2026, 1, 31)
PLANS = {
    "pre": Plan(type="internet", name="Prepaid 50", prices=(price("p1", "30.00"),), prepaid=Prepaid()),
    "big": Plan(type="internet", name="Prepaid 500", prices=(price("b1", "60.00"),), prepaid=Prepaid()),
}


class Shop(Stage):
    """An account with prepaid services: AUD 30.00 a month and 10% tax on top."""

    @property
    def reader(self) -> MemoryReader:
        """With the prepaid plans."""
        return reader_of(self.services, PLANS)

    def open(self, on: date = DAY, plan: str = "pre", grace: int = 0, **given: Any) -> str:
        """Order a prepaid service and confirm its activation on a day."""
        name = f"S-{self.number}-{len(self.services) + 1}"
        self.services[name] = a_service(plan=plan, **given)
        terms = self.terms(plan, on)
        with self.database.write() as conn:
            assert prepaid.order(conn, self.reader, name, self.account, terms, grace_days=grace)
        said = {"service": name, "account": self.account, "on": str(on), "terms": _plain(terms)}
        self.tell("service.activated", said, name)
        return name

    def tell(self, type_: str, said: dict[str, Any], service: str) -> None:
        """Billing hears of something, on the day that the frozen clock has."""
        event = Event("evt", type_, clock.now(), service, "test", said, seq=1)
        with self.database.write() as conn:
            hearing.service_activated(conn, event)

    def top(self, amount: str, on: date = DAY, key: str = "k") -> topping.TopUp:
        """Top up in cash."""
        with self.database.write() as conn:
            given = Money.parse(amount, accounts.get(conn, self.account).currency)
            return topping.top_up(
                conn, self.account, given, "cash", f"{self.entity}:{key}", actor="test", on=on
            )

    def run(self, on: date, **given: Any) -> PrepaidRun:
        """The prepaid run."""
        return run_prepaid(self.database, self.reader, on, **given)

    def left(self) -> str:
        """What is in the wallet."""
        with self.database.read() as conn:
            return str(balance.balance(conn, accounts.get(conn, self.account)))

    def row(self, service: str) -> Any:
        """The prepaid service."""
        with self.database.read() as conn:
            return prepaid.get(conn, service)


def _plain(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


@pytest.fixture(autouse=True)
def _that_day():
    """It is noon of the day in Perth."""
    with clock.frozen(datetime(2026, 1, 31, 4, tzinfo=UTC)):
        yield


def test_a_period_is_bought_on_its_day_with_a_final_invoice_that_the_wallet_pays(database: Database):
    """Top up 70, activate: 33 with tax are taken; the invoice is numbered, paid and explains itself; books agree."""
    shop = Shop(database)
    assert str(shop.top("70").balance) == "AUD 70.00"
    service = shop.open()
    assert shop.left() == "AUD 37.00"
    (one,) = shop.invoices()
    assert (one.state, one.net, one.tax, one.total) == ("final", 3000, 300, 3300)
    row = shop.row(service)
    assert (row.state, row.paid_until) == ("open", date(2026, 2, 28))
    with database.read() as conn:
        told = explain(conn, one.number)
        assert (told["open"], told["payments"][0]["method"]) == ("AUD 0.00", "wallet")
        assert "price version p1 of plan pre" in told["lines"][0]["why"]
        stands = trial_balance(conn)
    mine = {row.ledger: 0 for row in shop.ledger()}
    for entry in shop.ledger():
        mine[entry.ledger] += entry.amount
    assert mine == {
        "cash:cash": 7000, "wallet": -3700, "customer-credit": 0, "receivable": 0,
        "deferred:revenue:recurring": -3000, "tax-payable:gst": -300,
    }  # fmt: skip
    assert sum(stands.values()) == 0
    assert list(breaches(database)) == []


def test_months_follow_the_first_day_and_a_run_does_nothing_twice(database: Database):
    """From 31 January: to 28 February, to 31 March, to 30 April; the bill run has nothing to bill."""
    shop = Shop(database)
    shop.top("99")
    service = shop.open()
    ends = [shop.row(service).paid_until]
    for day in (date(2026, 2, 27), date(2026, 2, 28), date(2026, 2, 28), date(2026, 3, 31)):
        shop.run(day)
        ends.append(shop.row(service).paid_until)
    assert [str(end) for end in ends] == [
        "2026-02-28",
        "2026-02-28",
        "2026-03-31",
        "2026-03-31",
        "2026-04-30",
    ]
    assert (shop.left(), len(shop.invoices())) == ("AUD 0.00", 3)
    assert run_billing(database, shop.reader, date(2026, 5, 1)).drafts == 0


def test_a_lapse_is_one_change_set_of_holds_and_a_top_up_releases_in_its_transaction(database: Database):
    """Two services lapse: one set, reason prepaid, effect of the plan; money for one frees one, with a higher fence."""
    shop = Shop(database)
    shop.top("66")
    first, second = shop.open(), shop.open()
    lapsed = date(2026, 2, 28)
    run = shop.run(lapsed)
    assert run.held == (first, second)
    written = changes_of(database, run.hold_set)
    assert [(one.op, one.fence_version) for one in written] == [("put", 1), ("put", 1)]
    assert all(b"walled-garden" in one.content and ".prepaid.yaml" in one.path for one in written)
    assert shop.run(lapsed).hold_set is None
    topped = shop.top("40", date(2026, 3, 5), "k2")
    assert [(one.service, str(one.start), str(one.until)) for one in topped.renewed.bought] == [
        (first, "2026-03-05", "2026-04-05")
    ]
    (freed,) = topped.renewed.set_ids
    assert [(one.op, one.fence_version) for one in changes_of(database, freed)] == [("delete", 2)]
    assert (shop.row(first).held, shop.row(second).held) == (False, True)
    assert shop.top("40", date(2026, 3, 5), "k2").already
    assert len(all_sets(database)) == 2


def test_grace_goes_on_unpaid_and_the_period_then_follows_without_a_gap(database: Database):
    """Three days of grace: not held within, the top-up continues at the old end; after them it begins on its day."""
    shop = Shop(database)
    shop.top("33")
    service = shop.open(grace=3)
    assert shop.run(date(2026, 3, 2)).held == ()
    assert shop.row(service).state == "grace"
    (bought,) = shop.top("33", date(2026, 3, 2), "k2").renewed.bought
    assert (bought.start, bought.until) == (date(2026, 2, 28), date(2026, 3, 31))
    assert shop.run(date(2026, 4, 3)).held == (service,)
    (bought,) = shop.top("33", date(2026, 4, 10), "k3").renewed.bought
    assert (bought.start, bought.until) == (date(2026, 4, 10), date(2026, 5, 10))


def test_radius_is_open_until_the_day_after_the_last_with_room_for_the_run(database: Database):
    """The grant ends at midnight in Perth after the last day, and six hours."""
    shop = Shop(database)
    shop.top("33")
    service = shop.open()
    with database.read() as conn:
        (grant,) = quota.grants(conn, [service], "prepaid", clock.now())[service]
    assert str(grant.end) == "2026-02-27 22:00:00+00:00"


def test_a_low_wallet_is_told_once_a_period(database: Database):
    """Three days ahead, with what is missing; a wallet that suffices is not told."""
    shop = Shop(database)
    shop.top("43")
    service = shop.open()
    assert shop.run(date(2026, 2, 20)).warned == ()
    assert shop.run(date(2026, 2, 25)).warned == (service,)
    assert shop.run(date(2026, 2, 26)).warned == ()
    shop.top("90", date(2026, 2, 26), "k2")
    assert shop.run(date(2026, 3, 1)).warned == ()
    assert shop.run(date(2026, 3, 29)).warned == ()


def test_what_somebody_else_lifted_is_not_held_again_for_this_lapse(database: Database):
    """A revert frees the service; a purchase and the next lapse begin anew; a refused set asks again."""
    shop = Shop(database)
    shop.top("33")
    service = shop.open()
    run = shop.run(date(2026, 2, 28))
    with database.write() as conn:
        holds.heard(conn, service, held=True, set_id=run.hold_set)
        assert prepaid.get(conn, service).held
        holds.heard(conn, service, held=False, set_id=None)
    assert shop.run(date(2026, 3, 1)).held == ()
    shop.top("33", date(2026, 3, 2), "k2")
    again = shop.run(date(2026, 4, 2))
    assert again.held == (service,)
    with database.write() as conn:
        holds.refused(conn, str(again.hold_set))
    assert shop.run(date(2026, 4, 2)).held == (service,)


def test_a_service_that_a_person_protects_is_left_to_him(database: Database):
    """`on-hold: manual` is named, not held; a ceased service buys nothing more."""
    shop = Shop(database)
    service = shop.open(on_hold="manual")
    run = shop.run(DAY)
    assert (run.held, run.manual) == ((), (service,))
    with database.write() as conn:
        prepaid.cease(conn, service)
    assert shop.top("99").renewed.bought == ()


def test_without_leave_to_hold_the_run_says_so(database: Database):
    """An older trunkline.yaml lists only nonpayment: one sentence, nothing queued."""
    from tests.crm.town import TOWN, read

    shop = Shop(database)
    service = shop.open()
    import yaml

    config = read("config", "trunkline", yaml.safe_dump(TOWN["config", "trunkline"]).encode())
    named = [("service", name, value) for name, value in shop.services.items()]
    bound = MemoryReader.of([*named, ("config", "trunkline", config.value)])
    run = run_prepaid(database, bound, DAY)
    assert "identities/billing" in run.problem
    assert (run.held, all_sets(database)) == ((), [])
    assert shop.row(service).held is False


def test_other_drafts_of_the_account_wait_for_their_own_day(database: Database):
    """A postpaid draft that a person looks at is not numbered by a purchase beside it."""
    shop = Shop(database)
    shop.add(DAY)
    run_billing(database, shop.reader, DAY, finalise=False)
    shop.top("33")
    shop.open()
    assert sorted(row.state for row in shop.invoices()) == ["draft", "final"]


def test_credit_that_the_customer_has_pays_first_and_the_wallet_the_rest(database: Database):
    """A credit note of 11.00 leaves 22.00 for the wallet to pay."""
    shop = Shop(database)
    with database.write() as conn:
        add_billable(
            conn,
            Billable(account=shop.account, kind="goodwill", source=f"{shop.entity}:g", description="Sorry",
                     amount=Money(-1000, "AUD"), billed_from=DAY, tax="gst"),
            actor="test",
        )  # fmt: skip
    run_billing(database, shop.reader, DAY)
    shop.top("40")
    shop.open()
    assert shop.left() == "AUD 18.00"
    assert list(breaches(database)) == []


def test_a_plan_change_is_for_the_next_period(database: Database):
    """What is bought stays; the next one costs the new plan's price; a postpaid plan is refused."""
    shop = Shop(database)
    shop.top("99")
    service = shop.open()
    with database.write() as conn:
        prepaid.change_plan(conn, shop.reader, service, shop.terms("big"))
        with pytest.raises(PrepaidNotUsable, match="cease the service"):
            prepaid.change_plan(conn, shop.reader, service, shop.terms("fibre"))
        with pytest.raises(NotPrepaid, match="prepaid list"):
            prepaid.get(conn, "S-none")
        with pytest.raises(PrepaidNotUsable, match="0 to 31"):
            prepaid.set_grace(conn, service, 90, actor="t")
    (bought,) = shop.run(date(2026, 2, 28)).bought
    assert str(bought.total) == "AUD 66.00"


def test_money_in_a_wallet_can_become_credit_and_no_more_than_there_is(database: Database):
    """Paid out once a key; the wallet never goes below nothing; the same key for another amount is refused."""
    shop = Shop(database)
    shop.top("50")
    with database.write() as conn:
        made = topping.pay_out(conn, shop.account, Money(2000, "AUD"), f"{shop.entity}:o", actor="test")
        assert (
            topping.pay_out(conn, shop.account, Money(2000, "AUD"), f"{shop.entity}:o", actor="test") == made
        )
        with pytest.raises(WalletTooSmall, match=r"has AUD 30.00, less than AUD 30.01"):
            topping.pay_out(conn, shop.account, Money(3001, "AUD"), f"{shop.entity}:p", actor="test")
        with pytest.raises(PaymentKeyReused):
            topping.pay_out(conn, shop.account, Money(1, "AUD"), f"{shop.entity}:o", actor="test")
        with pytest.raises(CurrencyWrong):
            topping.top_up(conn, shop.account, Money(1, "EUR"), "cash", "x", actor="test")
        with pytest.raises(AmountNotPayable):
            topping.top_up(conn, shop.account, Money(0, "AUD"), "cash", "x", actor="test")
    assert shop.left() == "AUD 30.00"


@pytest.mark.parametrize(
    ("currency", "listed", "paid", "left"),
    [("JPY", "3000", "5000", "JPY 1700"), ("KWD", "3.125", "5.000", "KWD 1.562")],
)
def test_a_wallet_in_yen_and_in_dinar(database: Database, currency: str, listed: str, paid: str, left: str):
    """No minor digits, three minor digits: fee and tax (10%, half-up) to the minor unit, held, released."""
    plan = Plan(type="internet", name="Pre", prices=(price("a", listed),), prepaid=Prepaid())
    shop = Shop(database, currency=currency)
    reader = reader_of({}, {"pre": plan})
    from billing import catalog

    terms = catalog.price_on(reader, "pre", DAY, currency).terms
    shop.services["S-money"] = a_service(plan="pre")
    with database.write() as conn:
        prepaid.order(conn, reader, "S-money", shop.account, terms)
        prepaid.start(conn, "S-money", DAY, "test")
    assert run_prepaid(database, reader_of(shop.services, {"pre": plan}), DAY).held == ("S-money",)
    assert len(shop.top(paid).renewed.set_ids) == 1
    assert shop.left() == left


moves = st.lists(
    st.tuples(st.sampled_from(["top", "same", "run", "out"]), st.integers(1, 9000), st.integers(0, 40)),
    max_size=14,
)


@FEW
@given(moves)
def test_invariant_37_a_wallet_is_its_top_ups_minus_what_it_paid(database: Database, told):
    """After anything: balance = top-ups - fees - payouts = the ledger's, never below nothing; all is paid."""
    shop, day, inn, out, n = Shop(database), DAY, 0, 0, 0
    service = shop.open()
    for what, minor, days in told:
        n += 1
        if what in ("top", "same"):
            n -= what == "same" and n > 1
            try:
                done = shop.top(f"{minor // 100}.{minor % 100:02d}", day, f"k{n}")
                inn += 0 if done.already else minor
            except PaymentKeyReused:
                assert what == "same"
        elif what == "run":
            day += timedelta(days=days)
            shop.run(day)
        else:
            with database.write() as conn:
                try:
                    topping.pay_out(
                        conn, shop.account, Money(minor, "AUD"), f"{shop.entity}:o{n}", actor="t", on=day
                    )
                    out += minor
                except WalletTooSmall:
                    pass
    with database.read() as conn:  # what was paid out is credit, and credit pays before the wallet does
        used = sa.select(allocation.c.amount).join(payment)
        mine = payment.c.account_id == shop.account, payment.c.idempotency_key.like("wallet:payout:%")
        fees = sum(row.total for row in shop.invoices()) - sum(conn.execute(used.where(*mine)).scalars())
    with database.read() as conn:
        owner = accounts.get(conn, shop.account)
        left = balance.balance(conn, owner).minor
        assert left == inn - fees - out >= 0
        assert ledger.balance(conn, "wallet", shop.account, "AUD").minor == -left
        assert ledger.balance(conn, "receivable", shop.account, "AUD").minor == 0
        row = prepaid.get(conn, service)
    assert (row.state == "open") == (row.paid_until is not None and row.paid_until > day)


def test_the_same_top_up_by_eight_at_once_is_one(database: Database):
    """One movement, one period bought, one invoice."""
    shop = Shop(database)
    shop.open()
    together(8, lambda: shop.top("33"))
    assert (shop.left(), len(shop.invoices())) == ("AUD 0.00", 1)


def test_runs_at_once_buy_once(database: Database):
    """Four runners: every service one period further, the wallet pays once."""
    shop = Shop(database)
    shop.top("132")
    first, second = shop.open(), shop.open()
    together(4, lambda: shop.run(date(2026, 2, 28)))
    assert {str(shop.row(one).paid_until) for one in (first, second)} == {"2026-03-31"}
    assert shop.left() == "AUD 0.00"


def test_a_movement_of_nothing_cannot_be_written(database: Database):
    """The table itself refuses it, and a second one for the same thing."""
    shop = Shop(database)
    shop.top("5")
    with database.read() as conn:
        query = sa.select(wallet_movement).where(wallet_movement.c.account_id == shop.account)
        row = dict(conn.execute(query).mappings().one())
    for change in ({"id": "x", "amount": 0, "source": "z"}, {"id": "x"}):
        with pytest.raises(sa.exc.IntegrityError), database.write() as conn:
            conn.execute(sa.insert(wallet_movement).values(**{**row, **change}))


def test_an_invoice_that_is_issued_tomorrow_is_paid_tomorrow(database: Database):
    """A series of numbers never goes back, and it is tomorrow already where another customer lives."""
    shop = Shop(database)
    other = Stage(database, legal_entity=shop.entity, tax_profile=shop.entity)
    other.add(date(2026, 2, 1))
    run_billing(database, other.reader, date(2026, 2, 1))
    shop.top("70")
    shop.open()
    (document,) = shop.invoices()
    query = sa.select(allocation.c.allocated_on).where(allocation.c.invoice_id == document.id)
    assert (document.issued_on, [row[0] for row in shop._rows(query)]) == (
        date(2026, 2, 1),
        [date(2026, 2, 1)],
    )
    with database.write() as conn:
        day = date(2026, 1, 31)
        payments.pay(conn, other.account, Money(8_690, "AUD"), "cash", f"{shop.entity}:early", on=day)
    (paid,) = other.invoices()
    query = sa.select(allocation.c.allocated_on).where(allocation.c.invoice_id == paid.id)
    assert [row[0] for row in other._rows(query)] == [date(2026, 2, 1)]
    assert list(breaches(database)) == []
