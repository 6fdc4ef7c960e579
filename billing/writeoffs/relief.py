"""Which tax comes back with a debt that is written off. Pure.

Cumulative over all that is written off of an invoice with relief, half-up: written off in whatever parts, and
recovered in whatever parts, the tax of the parts adds up to the tax of the whole.
"""

from collections.abc import Mapping
from fractions import Fraction

from core.money import half_up


def tax_of(taxes: Mapping[str, int], total: int, before: int, after: int) -> dict[str, int]:
    """Tax by category when what is written off of an invoice of `total` goes from `before` to `after`; minor units."""
    if total <= 0:
        return {}
    moved = {
        name: _share(tax, total, after) - _share(tax, total, before) for name, tax in sorted(taxes.items())
    }
    return {name: minor for name, minor in moved.items() if minor}


def _share(tax: int, total: int, written: int) -> int:
    return half_up(Fraction(tax * written, total))
