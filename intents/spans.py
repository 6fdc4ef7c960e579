"""Overlapping spans of text found without looking at all of them.

Two spans of one width overlap when one begins inside the other, or when one's stem (what its ends have in common)
begins the other's low end; so an exact lookup of a few stems and one range of low ends find every overlap.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

Field = tuple[str | int, ...]


class Span(NamedTuple):
    """A claim and who makes it."""

    low: str
    high: str
    kind: str
    id: str
    field: Field


def stem(low: str, high: str) -> str:
    """What both ends begin with."""
    if low == high:
        return low
    for place, (one, other) in enumerate(zip(low, high, strict=False)):
        if one != other:
            return low[:place]
    return min(low, high, key=len)


def stems_of(low: str) -> list[str]:
    """Every stem that a span around `low` can have."""
    return [low[:length] for length in range(len(low) + 1)]


class Spans:
    """The spans of one scope, in memory."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._sorted = sorted(spans, key=lambda span: span[:4])
        self._lows = [span.low for span in self._sorted]
        self._stems: dict[str, list[Span]] = {}
        for span in self._sorted:
            if span.low != span.high:  # a single value is around nothing
                self._stems.setdefault(stem(span.low, span.high), []).append(span)

    def overlapping(self, low: str, high: str) -> Iterator[Span]:
        """Every span that has a value in common with `low`..`high`."""
        yield from self._sorted[bisect_left(self._lows, low) : bisect_right(self._lows, high)]
        for one in stems_of(low) if self._stems else ():
            yield from (span for span in self._stems.get(one, ()) if span.low < low <= span.high)
