"""Money is an integer of minor units and a currency; there are no floats anywhere near it."""

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import msgspec

from core.errors import Terminal

# ISO 4217: minor-unit digits that differ from two.
_NONE = ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF", 0)
_THREE = ("BHD IQD JOD KWD LYD OMR TND", 3)
# Bounded, without exponents: what is written fits a 64-bit column, and no reading of it rounds or takes long.
_AMOUNT = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})")
_DIGITS = {code: places for codes, places in (_NONE, _THREE) for code in codes.split()}


class CurrencyMismatch(Terminal):
    """Two amounts of different currencies met in one sum."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other} cannot be added; convert one of them first")


class AmountNotReadable(Terminal):
    """A text is no amount of its currency."""

    def __init__(self, text: str, currency: str) -> None:
        super().__init__(
            f"'{text}' is no amount of {currency}; write up to 15 digits with at most {digits(currency)} decimals"
        )


def digits(currency: str) -> int:
    """How many decimals the currency has (ISO 4217): AUD 2, KWD 3, JPY 0."""
    return _DIGITS.get(currency, 2)


def half_up(value: Fraction) -> int:
    """Round to the nearest integer, halves away from zero: symmetric for credits."""
    sign = -1 if value < 0 else 1
    return sign * int((abs(value) * 2 + 1) // 2)


class Money(msgspec.Struct, frozen=True, order=True):
    """An amount. `minor` is in minor units (cents, fils), `currency` an ISO 4217 code."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str, currency: str) -> "Money":
        """Read "79.00"; more decimals than the currency has is an error, never a rounding."""
        if not _AMOUNT.fullmatch(text):
            raise AmountNotReadable(text, currency)
        scaled = Decimal(text).scaleb(digits(currency))
        if scaled != scaled.to_integral_value():
            raise AmountNotReadable(text, currency)
        return cls(int(scaled), currency)

    @classmethod
    def zero(cls, currency: str) -> "Money":
        """No money, in a currency."""
        return cls(0, currency)

    def __str__(self) -> str:
        places = digits(self.currency)
        amount = Decimal(self.minor).scaleb(-places)
        return f"{self.currency} {amount:.{places}f}"

    def __add__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __neg__(self) -> "Money":
        return Money(-self.minor, self.currency)

    def times(self, factor: Fraction | int) -> "Money":
        """The amount times an exact factor, rounded half-up to the minor unit."""
        return Money(half_up(Fraction(self.minor) * factor), self.currency)

    def split(self, weights: Sequence[int]) -> list["Money"]:
        """Parts in proportion to `weights` (at least one positive) that add up exactly to the whole."""
        total = sum(weights)
        bounds = [half_up(Fraction(self.minor) * sum(weights[:n]) / total) for n in range(len(weights) + 1)]
        return [Money(high - low, self.currency) for low, high in pairwise(bounds)]

    def _same(self, other: "Money") -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(self.currency, other.currency)
