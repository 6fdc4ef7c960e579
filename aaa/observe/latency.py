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
    """How many answers took how long: `powers[n]` took at most 2**n nanoseconds and more than half of that.

    `nanoseconds` is the sum.
    """

    powers: list[int] = msgspec.field(default_factory=lambda: [0] * 64)
    nanoseconds: int = 0

    def add(self, nanoseconds: int, answers: int = 1) -> None:
        """Count an answer, or several that took equally long."""
        self.powers[(nanoseconds - 1).bit_length()] += answers
        self.nanoseconds += nanoseconds * answers

    @property
    def counts(self) -> list[int]:
        """A count for each bucket; the last one holds what is above all."""
        last = _FIRST + len(BUCKETS)
        return [sum(self.powers[: _FIRST + 1]), *self.powers[_FIRST + 1 : last], sum(self.powers[last:])]
