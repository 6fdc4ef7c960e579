"""How long answers take, as counts in buckets: raised by the answering threads, one bucket an answer."""

from typing import Literal

import msgspec

Kind = Literal["access", "deferred", "accounting"]
KINDS: tuple[Kind, ...] = ("access", "deferred", "accounting")
"""Answered from memory; by a handler (EAP, MS-CHAP, another server); accounting, durable."""
_FIRST = 14
BUCKETS = tuple((1 << power) / 1e9 for power in range(_FIRST, _FIRST + 20))
"""Upper bounds in seconds: 16 microseconds doubling to 8.6 seconds. A power of two costs one instruction to find."""


class Latency(msgspec.Struct):
    """A count for each bucket (the last one holds what is above all), and the sum in nanoseconds."""

    counts: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    nanoseconds: int = 0

    def add(self, nanoseconds: int) -> None:
        """Count one answer."""
        self.counts[bucket_of(nanoseconds)] += 1
        self.nanoseconds += nanoseconds


def bucket_of(nanoseconds: int) -> int:
    """Index of the first bucket whose bound is not below; `len(BUCKETS)` above all."""
    power = (nanoseconds - 1).bit_length() if nanoseconds > 1 else 0
    return min(max(power - _FIRST, 0), len(BUCKETS))
