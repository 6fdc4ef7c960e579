"""The pictures of the billing pages: numbers and dates in, places in a drawing out. Pure; the templates draw."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from billing.glance import Month
from billing.history import Story
from billing.periods import clamped, month_index
from core.money import Money

WIDTH = 720.0
_LEFT, _RIGHT = 96.0, 8.0
_TONES = ("age0", "age1", "age2", "age3", "age4")


class Part(NamedTuple):
    """A part of a bar."""

    x: float
    width: float
    tone: str
    label: str
    says: str


class AgeBar(NamedTuple):
    """Receivables of one currency as one bar."""

    currency: str
    total: str
    parts: list[Part]


class Column(NamedTuple):
    """A month: two columns side by side, from the base line up; `below`: more was credited than invoiced."""

    x: float
    width: float
    invoiced: tuple[float, float]
    received: tuple[float, float]
    label: str
    says: str


class Columns(NamedTuple):
    """Months in one currency; `lines` are (y, text) of the scale, `base` the y of zero."""

    currency: str
    height: float
    base: float
    columns: list[Column]
    lines: list[tuple[float, str]]


class Block(NamedTuple):
    """A stretch of an item's strip."""

    x: float
    width: float
    tone: str
    label: str
    says: str


class Strip(NamedTuple):
    """An item's strip at `y`; `billed` is the x up to which it is billed (None: nothing is)."""

    y: float
    label: str
    blocks: list[Block]
    billed: float | None


class Axis(NamedTuple):
    """From when to when, its month marks (x, text), and where today is."""

    since: date
    until: date
    marks: list[tuple[float, str]]
    today: float

    def x(self, day: date) -> float:
        """Where a day is; days outside are at the edge."""
        share = (day - self.since).days / (self.until - self.since).days
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * min(max(share, 0.0), 1.0), 1)


class Curve(NamedTuple):
    """What was owed over time: `path` of steps, `zero` the y of nothing owed, `lines` the scale."""

    height: float
    path: str
    zero: float
    lines: list[tuple[float, str]]


def age_bar(currency: str, ages: dict[str, int], together: Money) -> AgeBar:
    """As wide as the picture; what is nothing has no part."""
    whole = sum(max(minor, 0) for minor in ages.values())
    parts, x = [], 0.0
    for tone, (name, minor) in zip(_TONES, ages.items(), strict=True):
        width = WIDTH * max(minor, 0) / whole if whole else 0.0
        said = f"{name if name == 'current' else name + ' days late'}: {Money(minor, currency)}"
        if width:
            parts.append(Part(round(x, 1), round(width, 1), tone, name if width > 60 else "", said))
        x += width
    return AgeBar(currency, str(together), parts)


def columns(currency: str, months: Sequence[Month]) -> Columns:
    """Two columns a month, on one scale."""
    height, top, bottom = 220.0, 12.0, 26.0
    values = [value for one in months for value in (one.invoiced.minor, one.received.minor)]
    low, high = min(0, *values), max(1, *values)

    def y(value: float) -> float:
        return round(top + (height - top - bottom) * (high - value) / (high - low), 1)

    def bar(value: int) -> tuple[float, float]:
        return min(y(value), y(0)), round(abs(y(value) - y(0)), 1)

    step = (WIDTH - _LEFT - _RIGHT) / len(months)
    drawn = [
        Column(
            x=round(_LEFT + index * step + step * 0.12, 1), width=round(step * 0.36, 1),
            invoiced=bar(one.invoiced.minor), received=bar(one.received.minor),
            label=one.start.strftime("%b" if one.start.month > 1 else "%b %y"),
            says=f"{one.start:%B %Y}: invoiced {one.invoiced}, received {one.received}",
        )
        for index, one in enumerate(months)
    ]  # fmt: skip
    return Columns(
        currency, height, y(0), drawn, [(y(one), _short(one, currency)) for one in _scale(low, high)]
    )


def axis(today: date, since: date, until: date) -> Axis:
    """Of whole months from the one of `since` to the one of `until`."""
    first, last = clamped(1, month_index(since)), clamped(1, month_index(until) + 1)
    bare = Axis(first, last, [], 0.0)
    count = month_index(last) - month_index(first)
    months = range(month_index(first), month_index(last), max(1, -(-count // 14)))
    marks = [
        (bare.x(day), day.strftime("%b %y" if day.month == 1 or month == months[0] else "%b"))
        for month in months
        for day in [clamped(1, month)]
    ]
    return Axis(first, last, marks, bare.x(today))


def strips(stories: Sequence[Story], along: Axis) -> list[Strip]:
    """One strip an item, from the top down; neighbours at other prices differ in tone."""
    return [
        Strip(30.0 + 34.0 * row, f"{one.item.service}", _blocks(one, along), _billed(one, along))
        for row, one in enumerate(stories)
    ]


def curve(steps: Sequence[tuple[date, int]], currency: str, along: Axis) -> Curve:
    """A line that goes up where something was billed and down where it was paid; above zero is owed."""
    height, top, bottom = 150.0, 10.0, 10.0
    before = [value for day, value in steps if day < along.since]
    shown = [(day, value) for day, value in steps if along.since <= day < along.until]
    value = before[-1] if before else 0
    values = [value, *(one for _, one in shown)]
    low, high = min(0, *values), max(1, *values)

    def y(amount: float) -> float:
        return round(top + (height - top - bottom) * (high - amount) / (high - low), 1)

    path = [f"M{along.x(along.since)} {y(value)}"]
    path += [f"H{along.x(day)}V{y(amount)}" for day, amount in shown]
    path.append(f"H{along.today}")
    return Curve(height, "".join(path), y(0), [(y(one), _short(one, currency)) for one in _scale(low, high)])


def _blocks(story: Story, along: Axis) -> list[Block]:
    tones: dict[str, str] = {}
    found = []
    for one in story.stretches:
        if (one.end or along.until) <= along.since or one.start >= along.until:
            continue
        tone = tones.setdefault(f"{one.terms.plan} {one.terms.version}", f"plan{len(tones) % 4}")
        left, right = along.x(one.start), along.x(one.end or along.until)
        until = f"to {one.end} (exclusive)" if one.end else "on"
        said = f"{one.terms.plan} {one.terms.version}, {one.terms.price}, from {one.start} {until}"
        said += ", not billed" if one.blocked else ""
        label = one.terms.plan if right - left > 7.5 * len(one.terms.plan) else ""
        found.append(
            Block(left, round(max(right - left, 1.5), 1), "off" if one.blocked else tone, label, said)
        )
    return found


def _billed(story: Story, along: Axis) -> float | None:
    through = story.item.charged_through
    return None if through is None or through > along.until else along.x(through)


def _scale(low: int, high: int) -> list[int]:
    """Round values between the two, about four, zero among them."""
    size = 10 ** max(len(str(high - low)) - 1, 0)
    step = next(
        (part for part in (size // 4, size // 2, size, size * 2) if part and (high - low) / part <= 5), size
    )
    return list(range(-(-low // step) * step, high + 1, step))


def _short(minor: int, currency: str) -> str:
    """An amount of a scale: without decimals where they are nothing."""
    text = str(Money(minor, currency))
    head, dot, rest = text.partition(".")
    digits = "".join(char for char in rest if char.isdigit())
    return head + rest[len(digits) :] if dot and not digits.strip("0") else text
