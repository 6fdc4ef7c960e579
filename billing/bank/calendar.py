"""Days on which euro payments move (TARGET): no weekends, New Year, Good Friday, Easter Monday, 1 May, Christmas."""

from datetime import date, timedelta

_CLOSED = ((1, 1), (5, 1), (12, 25), (12, 26))


def easter(year: int) -> date:
    """Easter Sunday (the Gregorian computus of Meeus, Jones and Butcher)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    moon = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * moon) // 451
    month, day = divmod(h + moon - 7 * m + 114, 31)
    return date(year, month, day + 1)


def is_open(day: date) -> bool:
    """Whether TARGET is open."""
    sunday = easter(day.year)
    if day.weekday() > 4 or (day.month, day.day) in _CLOSED:
        return False
    return day not in (sunday - timedelta(days=2), sunday + timedelta(days=1))


def open_from(day: date) -> date:
    """The day itself, or the next on which TARGET is open."""
    while not is_open(day):
        day += timedelta(days=1)
    return day


def after(day: date, count: int) -> date:
    """The `count`-th open day after a day."""
    for _ in range(count):
        day = open_from(day + timedelta(days=1))
    return day
