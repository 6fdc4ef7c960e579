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
    """Use a quantity in a month: lots of at most `rolls` months ago first, the oldest first, then this month's."""
    there = [lot for lot in sorted(lots) if month - rolls <= lot.month < month]
    rest, left = quantity, []
    for lot in [*there, Lot(month, included)]:
        taken = min(rest, lot.left)
        rest -= taken
        if lot.left > taken:
            left.append(Lot(lot.month, lot.left - taken))
    kept = [lot for lot in left if lot.month > month - rolls] if rolls else []
    return Used(quantity - rest, rest, tuple(kept))


def share(included: int, days: int, of: int) -> int:
    """The allowance of a part of a month, rounded up: whoever is there for a day has a day's worth."""
    return -(-included * days // of)
