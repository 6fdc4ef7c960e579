"""Which invoice a payment pays: the ones that the payer named, then the oldest due. Pure; the caller holds the lock.

An account may have another rule: `oldest` does not look at what is named, `named-only` leaves the rest as credit,
`by-hand` leaves everything to a person.
"""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

NAMED_FIRST = "named-first"
BY_A_PERSON = ("named-only", "by-hand")
RULES = (NAMED_FIRST, "oldest", *BY_A_PERSON)
"""How payments of an account are allocated; the first is the default."""


class Open(msgspec.Struct, frozen=True, order=True):
    """An open balance, in order of age: by due date, then by number. `balance` in minor units."""

    due: date
    number: str
    invoice: str
    balance: int


class Share(msgspec.Struct, frozen=True):
    """What goes to one invoice, in minor units, always more than nothing."""

    invoice: str
    amount: int


def oldest_due_first(available: int, balances: Iterable[Open]) -> list[Share]:
    """Spread `available` minor units; never more than a balance, never more than there is (invariant 22)."""
    shares: list[Share] = []
    for item in sorted(balances):
        amount = min(available, item.balance)
        if amount > 0:
            shares.append(Share(item.invoice, amount))
            available -= amount
    return shares


def spread(rule: str, available: int, balances: Sequence[Open], named: Sequence[str] = ()) -> list[Share]:
    """Spread by a rule of RULES; `named` are ids of invoices in the payer's order. At most one share an invoice."""
    if rule == "by-hand":
        return []
    if rule == "oldest" or not named:
        return [] if rule == "named-only" else oldest_due_first(available, balances)
    by_id = {item.invoice: item for item in balances}
    shares: list[Share] = []
    for item in [by_id.pop(one) for one in dict.fromkeys(named) if one in by_id]:
        amount = min(available, item.balance)
        if amount > 0:
            shares.append(Share(item.invoice, amount))
            available -= amount
    return shares if rule == "named-only" else shares + oldest_due_first(available, by_id.values())
