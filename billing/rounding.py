"""What counts as a residue: less than one unit of the currency is never owed in earnest (pin 4).

"One unit" is one whole unit (one dollar, one dinar, one yen), not a minor one: amounts are integers of minor units,
so nothing smaller than a minor unit can remain; what is meant is the cent that must not suspend a paying customer.
"""

from core.money import Money, digits


def one_unit(currency: str) -> Money:
    """One whole unit of the currency: AUD 1.00, KWD 1.000, JPY 1."""
    return Money(10 ** digits(currency), currency)


def is_owed(balance: Money) -> bool:
    """Whether a balance is worth a reminder: one whole unit or more."""
    return balance.minor >= one_unit(balance.currency).minor
