"""Tax per (category, rate) = half-up(sum of the taxable base x rate); never per line and summed (pin 3). Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from billing.errors import TaxRateNotReadable
from core.money import Money, half_up

SCALE = 1_000_000
"""Rates are integers of millionths: 10% is 100,000."""


class Rate(msgspec.Struct, frozen=True, order=True):
    """A tax rate in force: millionths, and whether the prices already contain it."""

    category: str
    millionths: int
    inclusive: bool = False


class Taxable(msgspec.Struct, frozen=True):
    """One line as the tax sees it: its price as listed (with tax in it where the rate is inclusive)."""

    amount: Money
    rate: Rate


class TaxLine(msgspec.Struct, frozen=True):
    """One subtotal: `base` is net of tax."""

    rate: Rate
    base: Money
    tax: Money


def tax_lines(lines: Iterable[Taxable]) -> list[TaxLine]:
    """One subtotal for each rate, in a fixed order; all lines must be in one currency."""
    sums: dict[Rate, int] = defaultdict(int)
    currency = ""
    for line in lines:
        sums[line.rate] += line.amount.minor
        currency = line.amount.currency
    return [_subtotal(rate, Money(amount, currency)) for rate, amount in sorted(sums.items())]


def nets(lines: Sequence[Taxable]) -> list[Money]:
    """Each line without tax: per rate they add up exactly to its subtotal's base, the residue on later lines."""
    listed: dict[Rate, int] = defaultdict(int)
    taken: dict[Rate, int] = defaultdict(int)
    found: list[Money] = []
    for line in lines:
        listed[line.rate] += line.amount.minor
        running = _subtotal(line.rate, Money(listed[line.rate], line.amount.currency)).base.minor
        found.append(Money(running - taken[line.rate], line.amount.currency))
        taken[line.rate] = running
    return found


def _subtotal(rate: Rate, amount: Money) -> TaxLine:
    if not rate.inclusive:
        return TaxLine(
            rate, amount, Money(half_up(Fraction(amount.minor * rate.millionths, SCALE)), amount.currency)
        )
    tax = half_up(Fraction(amount.minor * rate.millionths, SCALE + rate.millionths))
    return TaxLine(rate, Money(amount.minor - tax, amount.currency), Money(tax, amount.currency))


def parse_rate(text: str) -> int:
    """Millionths from "10%", "8.875%" or "0", at most four decimals. Raises TaxRateNotReadable."""
    try:
        scaled = Fraction(text.strip().removesuffix("%")) * SCALE / 100
    except (ValueError, ZeroDivisionError) as error:
        raise TaxRateNotReadable(text) from error
    if scaled.denominator != 1 or not 0 <= scaled <= 10 * SCALE:
        raise TaxRateNotReadable(text)
    return int(scaled)


def rate_text(millionths: int) -> str:
    """A percentage to read: "10%", "8.875%"."""
    return f"{millionths / (SCALE // 100):.4f}".rstrip("0").rstrip(".") + "%"
