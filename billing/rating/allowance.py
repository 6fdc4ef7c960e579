"""What is included, and what is left of it in the months after: lots, the oldest used first. Pure."""

from collections.abc import Sequence

import msgspec


class Lot(msgspec.Struct, frozen=True, order=True):
    """What is left of a month's allowance. `month` counts months (billing.periods.month_index)."""

    month: int
    left: int


class Used(msgspec.Struct, frozen=True):
    """`free` was included or rolled over, `over` was beyond; `lots` are left for later."""

    free: int
    over: int
    lots: tuple[Lot, ...]


def use(month: int, quantity: int, included: int, rolls: int, lots: Sequence[Lot] = ()) -> Used:
    """Use a quantity in a month: lots of at most `rolls` months ago first, the oldest first, then this month's.

    A lot of this month is left from days at another rule; it lasts like what is included now, and is one with it. What
    lasts until the end of this month is kept, for its days at yet another rule; the next month does not look at it.
    """
    there = {lot.month: lot.left for lot in sorted(lots) if rolls and month - rolls <= lot.month <= month}
    there[month] = there.get(month, 0) + included
    rest, left = quantity, []
    for lot in [Lot(*one) for one in there.items()]:
        taken = min(rest, lot.left)
        rest -= taken
        if lot.left > taken:
            left.append(Lot(lot.month, lot.left - taken))
    return Used(quantity - rest, rest, tuple(left) if rolls else ())


def share(included: int, days: int, of: int) -> int:
    """The allowance of a part of a month, rounded up: whoever is there for a day has a day's worth."""
    return -(-included * days // of)
