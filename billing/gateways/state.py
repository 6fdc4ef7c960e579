"""What is true of an attempt, folded from facts that may come in any order and any number of times. Pure.

A state is the join of its facts (invariant 25): the best that was ever said of the charge, the most that was ever
refunded, the last word on each dispute. So an older event cannot un-pay (invariant 26).
"""

from collections.abc import Iterable

import msgspec

UNKNOWN, PENDING, FAILED, SUCCEEDED = RANK = ("unknown", "pending", "failed", "succeeded")
OPEN, WON, LOST = VERDICTS = ("open", "won", "lost")
CHARGE, REFUND, DISPUTE = "charge", "refund", "dispute"


class Fact(msgspec.Struct, frozen=True, order=True):
    """One thing that a gateway said. `at`: its own clock, Unix seconds; `amount` in minor units.

    charge: `what` of RANK, `code` why it failed. refund: `amount` refunded in all. dispute: `ref`, `what` of VERDICTS.
    """

    kind: str
    what: str
    at: int = 0
    ref: str = ""
    amount: int = 0
    code: str = ""


class State(msgspec.Struct, frozen=True):
    """`charge` of RANK; `refunded` in all; `disputes`: (reference, verdict, amount), in order."""

    charge: str = UNKNOWN
    code: str = ""
    refunded: int = 0
    disputes: tuple[tuple[str, str, int], ...] = ()


def fold(facts: Iterable[Fact]) -> State:
    """The state of an attempt."""
    found = set(facts)
    charges = [fact for fact in found if fact.kind == CHARGE]
    refunded = max((fact.amount for fact in found if fact.kind == REFUND), default=0)
    disputes = {fact.ref for fact in found if fact.kind == DISPUTE}
    last = [_last(found, ref) for ref in sorted(disputes)]
    best = max(charges, key=lambda fact: (RANK.index(fact.what), fact.at, fact.code), default=None)
    captured = bool(refunded or last)  # what went back had come in
    charge = SUCCEEDED if captured else UNKNOWN if best is None else best.what
    return State(
        charge, best.code if best is not None and charge == FAILED else "", refunded,
        tuple((fact.ref, fact.what, fact.amount) for fact in last),
    )  # fmt: skip


def _last(facts: set[Fact], ref: str) -> Fact:
    mine = [fact for fact in facts if fact.kind == DISPUTE and fact.ref == ref]
    return max(mine, key=lambda fact: (fact.at, VERDICTS.index(fact.what), fact.amount))
