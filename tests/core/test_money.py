"""Money: exact, in one currency, rounded half-up."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import AmountNotReadable, CurrencyMismatch, Money, half_up

_minor = st.integers(-(10**12), 10**12)


def test_amounts_are_read_with_the_digits_of_their_currency() -> None:
    """AUD has two decimals, KWD three, JPY none (ISO 4217)."""
    assert Money.parse("79.00", "AUD").minor == 7900
    assert Money.parse("1.234", "KWD").minor == 1234
    assert Money.parse("500", "JPY").minor == 500
    assert [str(Money(5, c)) for c in ("AUD", "KWD", "JPY")] == ["AUD 0.05", "KWD 0.005", "JPY 5"]


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("1.001", "AUD"), ("x", "AUD"), ("NaN", "AUD"), ("0.5", "JPY"), ("", "AUD"), ("1_0", "AUD"), ("\u0661", "AUD"),
        ("1e3", "AUD"), ("1e999999999", "AUD"), ("9" * 16, "AUD"), ("1." + "0" * 30 + "1", "AUD"),
    ],
)  # fmt: skip
def test_an_amount_that_its_currency_cannot_hold_is_refused(text: str, currency: str) -> None:
    """Reading never rounds."""
    with pytest.raises(AmountNotReadable, match=currency):
        Money.parse(text, currency)


def test_two_currencies_never_meet_in_a_sum() -> None:
    """A mismatch is an error, not a conversion."""
    with pytest.raises(CurrencyMismatch):
        Money(1, "AUD") + Money(1, "NZD")


@given(_minor)
def test_reading_what_was_written_gives_the_same_amount(minor: int) -> None:
    """`parse` is the inverse of `str`."""
    money = Money(minor, "AUD")
    assert Money.parse(str(money).removeprefix("AUD "), "AUD") == money


@given(_minor, st.lists(st.integers(1, 1000), min_size=1, max_size=20))
def test_parts_add_up_to_the_whole(minor: int, weights: list[int]) -> None:
    """No cent is lost or made, and no part is a unit away from its share."""
    parts = Money(minor, "AUD").split(weights)
    assert sum(part.minor for part in parts) == minor
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part.minor - Fraction(minor) * weight / sum(weights)) <= 1


@given(_minor)
def test_halves_round_away_from_zero(minor: int) -> None:
    """A credit rounds as its charge does."""
    assert half_up(Fraction(2 * minor + 1, 2)) == (minor + 1 if minor >= 0 else minor)
    assert half_up(-Fraction(minor, 3)) == -half_up(Fraction(minor, 3))
