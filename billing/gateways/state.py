"""What is true of an attempt, folded from facts that may come in any order and any number of times. Pure.

A state is the join of its facts (invariant 25): the best that was ever said of the charge, the furthest that each
refund came, the last word on each dispute. So an older event cannot un-pay (invariant 26).

A direct debit is another matter: its bank may send it back days after it was confirmed, and one that failed may be
presented again. There the last word counts, by the gateway's clock; what came in and went back is the dispute RETURN.
"""

from collections.abc import Iterable

import msgspec

UNKNOWN, PENDING, FAILED, SUCCEEDED = RANK = ("unknown", "pending", "failed", "succeeded")
OPEN, WON, LOST = VERDICTS = ("open", "won", "lost")
CHARGE, DEBIT, REFUND, DISPUTE = "charge", "debit", "refund", "dispute"
RETURN = "return"
"""The dispute that stands for a debit which the bank sent back after it had come in."""
RETURNED = "returned"
"""The code of one for which the bank named no cause."""
FURTHER = (PENDING, SUCCEEDED, FAILED)
"""How a refund goes on: a bank may send back one that had left."""


class Fact(msgspec.Struct, frozen=True, order=True):
    """One thing that a gateway said. `at`: its own clock, Unix seconds; `amount` in minor units.

    charge and debit: `what` of RANK, `code` why it failed. refund: `ref`, `amount`, `what` of FURTHER, `own` our id of
    it, where it was we who asked for it. dispute: `ref`, `what` of VERDICTS, `amount` (0: all of the charge).
    """

    kind: str
    what: str
    at: int = 0
    ref: str = ""
    amount: int = 0
    code: str = ""
    own: str = ""


class State(msgspec.Struct, frozen=True):
    """`charge` of RANK; `refunds`, one fact for each; `disputes`: (reference, verdict, amount), in order.

    `code`: why it failed, or why its bank sent it back; empty for one whose customer disputes it.
    """

    charge: str = UNKNOWN
    code: str = ""
    refunds: tuple[Fact, ...] = ()
    disputes: tuple[tuple[str, str, int], ...] = ()

    @property
    def refunded(self) -> int:
        """Minor units that went back, or are on their way."""
        return sum(one.amount for one in self.refunds if one.what != FAILED)


def fold(facts: Iterable[Fact]) -> State:
    """The state of an attempt."""
    found = set(facts)
    refunds = _refunds(found)
    disputes = [_last(found, ref) for ref in sorted({fact.ref for fact in found if fact.kind == DISPUTE})]
    told = [(fact.ref, fact.what, fact.amount) for fact in disputes]
    debits = [fact for fact in found if fact.kind == DEBIT]
    came_in = [fact.at for fact in debits if fact.what == SUCCEEDED]
    # What went back had come in.
    captured = bool(refunds or disputes or came_in)
    best = _best(found, debits)
    came_back = bool(came_in) and any(fact.what == FAILED and fact.at > min(came_in) for fact in debits)
    is_back = came_back and best is not None and best.what != SUCCEEDED
    charge = SUCCEEDED if captured else UNKNOWN if best is None else best.what
    disputed = any(verdict != WON for _ref, verdict, _amount in told)
    code = _cause(found) if charge == FAILED else ""
    if is_back and best is not None and best.what == FAILED and not disputed:
        code = _cause(found) or RETURNED
    if came_back:
        told.append((RETURN, LOST if is_back else WON, 0))
    return State(charge, code, refunds, tuple(told))


def _cause(facts: set[Fact]) -> str:
    """The last cause that was named: who asks for a charge is told that it failed, an event says why."""
    failed = [fact for fact in facts if fact.kind in (CHARGE, DEBIT) and fact.what == FAILED and fact.code]
    return max(failed, key=lambda fact: (fact.at, fact.code)).code if failed else ""


def _best(facts: set[Fact], debits: list[Fact]) -> Fact | None:
    """The best word on a charge, or the last on a debit."""
    if debits:
        return max(debits, key=lambda fact: (fact.at, RANK.index(fact.what), fact.code))
    charges = [fact for fact in facts if fact.kind == CHARGE]
    return max(charges, key=lambda fact: (RANK.index(fact.what), fact.at, fact.code), default=None)


def _refunds(facts: set[Fact]) -> tuple[Fact, ...]:
    """The furthest of each; whoever once named it as ours is believed."""
    found = [fact for fact in facts if fact.kind == REFUND and fact.ref]
    names = {fact.ref: fact.own for fact in sorted(found, key=lambda fact: fact.own)}
    furthest = [
        max((fact for fact in found if fact.ref == ref), key=lambda fact: (FURTHER.index(fact.what), fact))
        for ref in sorted(names)
    ]
    return tuple(msgspec.structs.replace(fact, own=names[fact.ref]) for fact in furthest)


def _last(facts: set[Fact], ref: str) -> Fact:
    mine = [fact for fact in facts if fact.kind == DISPUTE and fact.ref == ref]
    return max(mine, key=lambda fact: (fact.at, VERDICTS.index(fact.what), fact.amount))
