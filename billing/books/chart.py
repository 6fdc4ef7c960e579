"""The chart of accounts: the type of every account of the books, and its name in beancount. Pure."""

import re

from billing.errors import LedgerAccountUnknown
from billing.kinds import DEFERRED

TYPES = {
    "receivable": "Assets",
    "cash": "Assets",
    "customer-credit": "Liabilities",
    "tax-payable": "Liabilities",
    "deposits": "Liabilities",
    "wallet": "Liabilities",
    "vouchers": "Liabilities",
    "unclaimed": "Liabilities",
    "revenue": "Income",
    "refunds-pending": "Liabilities",
    "transfers": "Assets",
    "fees": "Expenses",
    "bad-debt": "Expenses",
    "rounding": "Expenses",
}
"""By the first word of an account's name; what is deferred is owed to customers."""
_PART = re.compile(r"[^A-Za-z0-9-]+")


def type_of(ledger: str) -> str:
    """Assets, Liabilities, Income or Expenses. Raises LedgerAccountUnknown."""
    if ledger.startswith(DEFERRED):
        return "Liabilities"
    found = TYPES.get(ledger.partition(":")[0])
    if found is None:
        raise LedgerAccountUnknown(ledger)
    return found


def beancount_name(ledger: str) -> str:
    """`revenue:late-fees` is `Income:Revenue:Late-fees`: each part begins with a capital or a digit."""
    return ":".join([type_of(ledger), *(_part(part) for part in ledger.split(":"))])


def _part(text: str) -> str:
    clean = _PART.sub("-", text).strip("-") or "None"
    return clean[0].upper() + clean[1:]
