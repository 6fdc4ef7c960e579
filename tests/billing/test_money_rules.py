"""Tax, residue, allocation order and dunning stages: pure rules."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.allocating import Open, oldest_due_first
from billing.errors import TaxRateNotReadable
from billing.rounding import is_owed
from billing.stages import DEFAULT, Debt, Policy, Promise, Step, effect, overdue, stage
from billing.tax import SCALE, Rate, Taxable, parse_rate, rate_text, tax_lines
from core.money import Money, half_up

rates = st.builds(Rate, st.sampled_from(["gst", "vat", ""]), st.integers(0, SCALE), st.booleans())
taxable = st.builds(Taxable, st.integers(-(10**7), 10**7).map(lambda minor: Money(minor, "AUD")), rates)
today = date(2026, 3, 1)
debts = st.lists(
    st.builds(
        Debt,
        st.dates(date(2025, 12, 1), date(2026, 4, 1)),
        st.text("0123456789", min_size=6, max_size=6),
        st.integers(1, 100_000).map(lambda minor: Money(minor, "AUD")),
    ),
    max_size=8,
)
promises = st.lists(
    st.builds(Promise, st.dates(date(2025, 12, 1), today), st.dates(date(2025, 12, 1), date(2026, 5, 1))),
    max_size=3,
)


@given(st.lists(taxable, max_size=30))
def test_invariant_16_tax_is_rounded_once_per_category_and_rate(lines):
    """Half-up of the summed base times the rate; never per line and summed (pin 3)."""
    for found in tax_lines(lines):
        listed = sum(line.amount.minor for line in lines if line.rate == found.rate)
        part = Fraction(found.rate.millionths, SCALE + (found.rate.millionths if found.rate.inclusive else 0))
        assert found.tax.minor == half_up(listed * part)


@given(st.lists(taxable, max_size=30))
def test_invariant_15_totals_are_lines_plus_exclusive_tax_in_integers(lines):
    """Bases and taxes add up to the listed lines plus the taxes that are not in them."""
    found = tax_lines(lines)
    total = sum(tax.base.minor + tax.tax.minor for tax in found)
    added = sum(tax.tax.minor for tax in found if not tax.rate.inclusive)
    assert total == sum(line.amount.minor for line in lines) + added


def test_three_lines_of_one_cent_and_a_half_tax():
    """3 x 0.15 at 10% is 0.05 (half-up of 4.5), not 3 x 0.02 (pin 3)."""
    line = Taxable(Money(15, "AUD"), Rate("gst", 100_000))
    assert [tax.tax.minor for tax in tax_lines([line] * 3)] == [5]


@pytest.mark.parametrize(
    ("text", "millionths"), [("10%", 100_000), ("8.875%", 88_750), ("0", 0), ("15", 150_000)]
)
def test_a_rate_is_read_and_written(text, millionths):
    """What is read from a percentage is printed as one."""
    assert parse_rate(text) == millionths
    assert parse_rate(rate_text(millionths)) == millionths


@pytest.mark.parametrize("text", ["ten", "", "%", "-1%", "1/0", "0.00001%", "1001%"])
def test_what_is_no_rate_is_refused(text):
    """The sentence repeats what was written."""
    with pytest.raises(TaxRateNotReadable, match="write a percentage"):
        parse_rate(text)


@pytest.mark.parametrize(("currency", "unit"), [("AUD", 100), ("KWD", 1000), ("JPY", 1)])
def test_less_than_one_unit_is_not_owed(currency, unit):
    """Pin 4: a residue below one unit never counts as unpaid; Kuwait has three decimals, Japan none."""
    assert not is_owed(Money(unit - 1, currency))
    assert is_owed(Money(unit, currency))


@given(
    st.integers(0, 10**6),
    st.lists(
        st.builds(Open, st.dates(), st.text(max_size=3), st.uuids().map(str), st.integers(1, 10**5)),
        max_size=10,
    ),
)
def test_invariant_22_allocations_never_exceed_the_payment_nor_a_balance(available, balances):
    """Everything that can be used is used, oldest due first."""
    shares = oldest_due_first(available, balances)
    assert sum(share.amount for share in shares) == min(available, sum(one.balance for one in balances))
    by_id = {one.invoice: one for one in balances}
    assert all(0 < share.amount <= by_id[share.invoice].balance for share in shares)
    paid = [by_id[share.invoice] for share in shares]
    assert paid == sorted(balances)[: len(paid)]
    assert all(share.amount == by_id[share.invoice].balance for share in shares[:-1])


@given(debts, promises, st.randoms())
def test_invariant_33_the_stage_is_a_function_of_debts_promises_and_today(owed, promised, shuffle):
    """The order in which they are told does not matter, and a day later it is never lower."""
    reached = stage(DEFAULT, owed, promised, today)
    shuffle.shuffle(owed)
    shuffle.shuffle(promised)
    assert stage(DEFAULT, owed, promised, today) == reached
    assert stage(DEFAULT, owed, promised, today + timedelta(days=1)) >= reached


@given(debts, promises)
def test_nothing_overdue_means_no_stage_and_no_effect(owed, promised):
    """Invariant 30 in its pure part."""
    if not overdue(owed, promised, today):
        assert effect(DEFAULT, stage(DEFAULT, owed, promised, today)) == ""


def test_a_promise_moves_the_clock_and_grace_is_given_to_everybody():
    """Earliest unpaid due date, plus grace, plus the promise."""
    policy = Policy((Step("suspension", 5, "walled-garden"),), grace=2)
    owed = [Debt(date(2026, 2, 22), "INV-1", Money(7900, "AUD"))]
    assert stage(policy, owed, [], date(2026, 2, 28)) == 0
    assert stage(policy, owed, [], today) == 1
    assert stage(policy, owed, [Promise(date(2026, 2, 27), date(2026, 3, 10))], today) == 0


def test_a_promise_does_not_cover_debts_that_fall_due_after_it():
    """A promise is for what was due when it was made."""
    late = [Debt(date(2026, 2, 20), "INV-2", Money(7900, "AUD"))]
    assert overdue(late, [Promise(date(2026, 2, 10), date(2026, 4, 1))], today) == late


def test_a_rounding_cent_never_suspends():
    """Classic bug: 0.01 left over from rounding puts a paying customer in the walled garden."""
    assert stage(DEFAULT, [Debt(date(2020, 1, 1), "INV-3", Money(1, "AUD"))], [], today) == 0
