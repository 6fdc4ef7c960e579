"""Which invoice a payment pays: the oldest due first. Pure; the caller holds the account's lock."""

from collections.abc import Iterable
from datetime import date

import msgspec


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
