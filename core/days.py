"""Which days people may name: one far off is a slip of the hand, and where calendars end nothing can be counted."""

from datetime import date

from core.errors import Terminal

FIRST, LAST = date(1900, 1, 1), date(2999, 12, 31)


class DayNotUsable(Terminal):
    """A day that lies too far off."""

    def __init__(self, day: date) -> None:
        super().__init__(why_not(day))


def why_not(day: date) -> str:
    """Why a day cannot be meant; empty when it can."""
    return "" if FIRST <= day <= LAST else f"{day} is too far off; name a day from {FIRST} to {LAST}"


def require(day: date) -> date:
    """The day itself. Raises DayNotUsable."""
    if why_not(day):
        raise DayNotUsable(day)
    return day
