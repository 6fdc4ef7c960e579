"""Proration: what a part of a period costs. The denominator is the full period's own days (pin 1).

Slices of one price within a period are rounded cumulatively: each takes what the running total rounds to minus what
was taken before. So they add up to the unsplit amount, the last one carries the residue, none is negative or more
than the full price (invariants 6 and 7).
"""

from collections.abc import Sequence
from fractions import Fraction

from billing.periods import Period
from core.money import Money, half_up


def prorate(price: Money, part: Period, full: Period) -> Money:
    """The price of `part` of the period `full`, rounded half-up once."""
    return price.times(Fraction(part.days, full.days))


def prorate_slices(price: Money, parts: Sequence[Period], full: Period) -> list[Money]:
    """The prices of several parts, in order, that add up to the price of all their days together."""
    amounts: list[Money] = []
    days = taken = 0
    for part in parts:
        days += part.days
        running = half_up(Fraction(price.minor * days, full.days))
        amounts.append(Money(running - taken, price.currency))
        taken = running
    return amounts
