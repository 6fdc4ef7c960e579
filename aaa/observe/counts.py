"""What one worker counts: outcomes by NAS, drops by reason, latencies. Plain integers, raised by the answering threads.

Labels are bounded sets (NASes of the view, outcomes, reasons), never subscribers.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec

Kind = Literal["access", "accounting"]
KINDS: tuple[Kind, ...] = ("access", "accounting")
OTHER = "other"
"""Stands for every NAS beyond MOST_NASES: a network has hundreds; a mistake must not fill a monitoring system."""
MOST_NASES = 2000
_FIRST = 14
BUCKETS = tuple((1 << power) / 1e9 for power in range(_FIRST, _FIRST + 20))
"""Upper bounds in seconds: 16 microseconds doubling to 8.6 seconds. A power of two costs one instruction to find."""


class Latency(msgspec.Struct):
    """How long answers took: a count for each bucket (the last one holds what is above all), and the sum in seconds."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0

    def add(self, nanoseconds: int) -> None:
        """Count one answer."""
        self.counts[bucket_of(nanoseconds)] += 1
        self.seconds += nanoseconds / 1e9


def bucket_of(nanoseconds: int) -> int:
    """Index of the first bucket whose bound is not below; `len(BUCKETS)` above all."""
    power = (nanoseconds - 1).bit_length() if nanoseconds > 1 else 0
    return min(max(power - _FIRST, 0), len(BUCKETS))


class Counts:
    """The counters of one worker. Each answering thread writes its own kind; whoever reads may be one behind."""

    def __init__(self) -> None:
        self.outcomes: dict[Kind, Counter[tuple[str, str]]] = {kind: Counter() for kind in KINDS}
        self.dropped: dict[Kind, Mapping[str, int]] = {kind: Counter() for kind in KINDS}
        self.latency: dict[Kind, Latency] = {kind: Latency() for kind in KINDS}
        self.repeated: Counter[Kind] = Counter()
        """Retransmissions that got the remembered reply."""
        self._nases: set[str] = set()

    def answered(self, kind: Kind, nas: str, outcome: str, nanoseconds: int) -> None:
        """One answer: `outcome` is "accepted", a reason of refusal, or the kind of an accounting record."""
        self.outcomes[kind][self._label(nas), outcome] += 1
        self.latency[kind].add(nanoseconds)

    def _label(self, nas: str) -> str:
        if nas in self._nases:
            return nas
        if len(self._nases) >= MOST_NASES:
            return OTHER
        self._nases.add(nas)
        return nas
