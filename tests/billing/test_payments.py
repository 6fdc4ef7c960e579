"""Payments on both databases: once per key, allocated oldest first, credit used once."""

from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import accounts, ledger, payments
from billing.billrun import run_billing
from billing.errors import AccountUnknown, AmountNotPayable, CurrencyWrong, InvoiceOfAnother, PaymentKeyReused
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage
from tests.billing.threads import together

FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
amounts = st.lists(st.integers(1, 30_000), min_size=1, max_size=5)


def pay(stage: Stage, minor: int, key: str, on: date = START) -> payments.Paid:
    """Pay in the account's currency."""
    with stage.database.write() as conn:
        return payments.pay(conn, stage.account, Money(minor, "AUD"), "cash", f"{stage.entity}:{key}", on=on)


def credit(stage: Stage) -> int:
    """Unapplied minor units."""
    with stage.database.read() as conn:
        return payments.credit(conn, accounts.get(conn, stage.account)).minor


@FEW
@given(amounts, st.lists(st.booleans(), min_size=5, max_size=5))
def test_invariants_21_22_23_allocations_credit_and_receivable_agree(database: Database, paid, bill_between):
    """Allocations never exceed a payment or an invoice; credit is never negative; the books agree on every date."""
    stage = Stage(database)
    stage.add()
    for number, minor in enumerate(paid):
        pay(stage, minor, str(number))
        if bill_between[number]:
            run_billing(database, stage.reader, date(2026, number + 1, 1))
    shares = stage.allocations()
    for invoice in stage.invoices():
        assert sum(one.amount for one in shares if one.invoice_id == invoice.id) <= invoice.total
    assert sum(one.amount for one in shares) + credit(stage) == sum(paid)
    owed = sum(row.total for row in stage.invoices()) - sum(one.amount for one in shares)
    assert owed == 0 or credit(stage) == 0
    with database.read() as conn:
        assert ledger.balance(conn, ledger.CREDIT, stage.account, "AUD").minor == -credit(stage)
        assert ledger.balance(conn, ledger.RECEIVABLE, stage.account, "AUD").minor == owed
        for month in range(1, 7):
            day = date(2026, month, 1)
            issued = sum(row.total for row in stage.invoices() if row.issued_on <= day)
            used = sum(one.amount for one in shares if one.allocated_on <= day)
            assert ledger.balance(conn, ledger.RECEIVABLE, stage.account, "AUD", day).minor == issued - used
        assert all(rest == 0 for rest in _by_currency(ledger.trial_balance(conn)).values())


def test_the_same_key_again_answers_the_same_and_changes_nothing(database: Database):
    """A payment that is told twice is one payment."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    first = pay(stage, 8690, "k")
    assert pay(stage, 8690, "k") == first
    assert len(stage.allocations()) == 1


def test_one_key_for_two_payments_is_refused(database: Database):
    """The key belongs to the first amount."""
    stage = Stage(database)
    pay(stage, 100, "k")
    with pytest.raises(PaymentKeyReused, match="use a new key"):
        pay(stage, 200, "k")


def test_credit_is_not_used_twice_by_concurrent_runs(database: Database):
    """Classic bug: an unlocked read lets two transactions use the same credit."""
    stage = Stage(database)
    stage.add()
    pay(stage, 5000, "before")
    together(4, lambda: run_billing(database, stage.reader, START))
    assert [one.amount for one in stage.allocations()] == [5000]
    assert credit(stage) == 0


def test_concurrent_payments_of_one_key_are_one(database: Database):
    """Four tellers with the same receipt."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    together(4, lambda: pay(stage, 9000, "same"))
    assert sum(one.amount for one in stage.allocations()) == 8690
    assert credit(stage) == 310


def test_an_overpayment_is_credit_and_pays_the_next_invoice(database: Database):
    """100.00 on 86.90: 13.10 go to February's invoice when it gets its number."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    assert pay(stage, 10_000, "k").credit == Money(1310, "AUD")
    run_billing(database, stage.reader, date(2026, 2, 1))
    assert [one.amount for one in stage.allocations()] == [8690, 1310]


def test_a_payment_for_anothers_invoice_is_refused_and_pays_nothing(database: Database):
    """Whoever took it meant the other account, or another invoice: a person decides, not the oldest debt."""
    mine, other = Stage(database), Stage(database)
    for stage in (mine, other):
        stage.add()
        run_billing(database, stage.reader, START)
    named = [one.id for stage in (mine, other) for one in stage.invoices()]
    with pytest.raises(InvoiceOfAnother, match=f"{other.account}'s, the payment {mine.account}'s"):  # noqa: SIM117
        with database.write() as conn:
            payments.pay(conn, mine.account, Money(5_000, "AUD"), "cash", f"{mine.entity}:k", named=named)
    assert (mine.allocations(), credit(mine)) == ([], 0)


def test_a_payment_that_makes_no_sense_is_refused_in_one_sentence(database: Database):
    """Unknown account, wrong currency, nothing, less than nothing."""
    stage = Stage(database)
    with database.write() as conn:
        with pytest.raises(AccountUnknown, match="'A-1'"):
            payments.pay(conn, "A-1", Money(1, "AUD"), "cash", "x")
        with pytest.raises(CurrencyWrong, match="pay in AUD"):
            payments.pay(conn, stage.account, Money(1, "EUR"), "cash", "x")
        for minor in (0, -5):
            with pytest.raises(AmountNotPayable, match="more than nothing"):
                payments.pay(conn, stage.account, Money(minor, "AUD"), "cash", "x")


def _by_currency(balances):
    sums: dict[str, int] = {}
    for (_, currency), minor in balances.items():
        sums[currency] = sums.get(currency, 0) + minor
    return sums
