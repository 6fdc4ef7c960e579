"""Guards: how much one change set, or one person's commit, may do before somebody says yes.

A release (deleting a hold) is never counted, so it is never gated.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from intents.config.schema import Guards, Limit

Name = Literal["restrict", "deletes", "devices"]


class Weight(msgspec.Struct, frozen=True):
    """How much a change set does: new or changed holds, deletions (of no holds), devices touched."""

    restrict: int = 0
    deletes: int = 0
    devices: int = 0


class Tripped(msgspec.Struct, frozen=True):
    """A guard said no: `count` is what a person repeats to let it pass."""

    guard: Name
    count: int
    limit: int

    def __str__(self) -> str:
        return f"guard {self.guard}: {self.count} where {self.limit} may pass unasked"


class Totals(msgspec.Struct, frozen=True):
    """How many there are: what percentages refer to."""

    services: int = 0
    devices: int = 0


def weigh(changes: Iterable[tuple[str, bool]]) -> Weight:
    """Weight of (kind, whether it is deleted) pairs; changes that change nothing are left out by the caller."""
    restrict = deletes = devices = 0
    for kind, deleted in changes:
        restrict += kind == "hold" and not deleted
        deletes += deleted and kind != "hold"
        devices += kind == "device"
    return Weight(restrict, deletes, devices)


def judge(guards: Guards, weight: Weight, totals: Totals, expect: int | None = None) -> Tripped | None:
    """The first guard that the weight trips; `expect` lets exactly that count of restrictions pass."""
    asked = (
        ("restrict", weight.restrict, guards.restrict, totals.services),
        ("deletes", weight.deletes, guards.deletes, totals.services + totals.devices),
        ("devices", weight.devices, guards.devices, totals.devices),
    )
    for name, count, limit, total in asked:
        most = allowed(limit, total)
        foreseen = name == "restrict" and count == expect
        if most is not None and count > most and not foreseen:
            return Tripped(name, count, most)  # type: ignore[arg-type]
    return None


def allowed(limit: Limit | None, total: int) -> int | None:
    """How many may pass: the smaller of count and share, but always one; None without a limit."""
    if limit is None:
        return None
    shares = [] if limit.percent is None else [max(1, int(total * limit.percent / 100))]
    counts = [] if limit.count is None else [int(limit.count)]
    return min(shares + counts, default=None)
