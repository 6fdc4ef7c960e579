"""Which legs a refund, a chargeback, a move and a void have in the books."""

from datetime import date

from sqlalchemy.engine import Connection

from billing.accounts import Account
from billing.ledger import CREDIT, Books, Entry, book
from core.money import Money

PENDING = "refunds-pending"
"""Refunds that were asked for and have not left the bank yet: still owed to the customer, no longer as credit."""
TRANSFERS = "transfers"
"""Between accounts of one legal entity; always nothing when both halves are booked."""
COSTS = "fees:chargebacks"
"""What the bank takes for a chargeback."""


def _book(
    conn: Connection, owner: Account, kind: str, cause: str, on: date, debit: str, credit: str, amount: Money
) -> None:
    entries = [Entry(debit, amount), Entry(credit, -amount)]
    book(conn, Books(owner.legal_entity, owner.id), kind, cause, on, entries)


def requested(conn: Connection, owner: Account, refund: str, amount: Money, on: date) -> None:
    """The customer's credit becomes a refund on its way."""
    _book(conn, owner, "refund", refund, on, CREDIT, PENDING, amount)


def settled(conn: Connection, owner: Account, refund: str, amount: Money, method: str, on: date) -> None:
    """It left."""
    _book(conn, owner, "refund-settled", refund, on, PENDING, f"cash:{method}", amount)


def failed(conn: Connection, owner: Account, refund: str, amount: Money, came_from: str, on: date) -> None:
    """It did not arrive: credit again. `came_from`: PENDING, or the cash that the bank gave back."""
    _book(conn, owner, "refund-failed", refund, on, came_from, CREDIT, amount)


def charged_back(
    conn: Connection, owner: Account, chargeback: str, amount: Money, method: str, on: date
) -> None:
    """The bank took the money again."""
    _book(conn, owner, "chargeback", chargeback, on, CREDIT, f"cash:{method}", amount)


def cost(conn: Connection, owner: Account, chargeback: str, amount: Money, method: str, on: date) -> None:
    """And its fee."""
    _book(conn, owner, "chargeback-cost", chargeback, on, COSTS, f"cash:{method}", amount)


def won(conn: Connection, owner: Account, chargeback: str, amount: Money, method: str, on: date) -> None:
    """The bank gave the money back."""
    _book(conn, owner, "chargeback-won", chargeback, on, f"cash:{method}", CREDIT, amount)


def moved(conn: Connection, owner: Account, to: Account, payment: str, amount: Money, on: date) -> None:
    """Credit of one account becomes another's: `payment` is the one that is made there."""
    _book(conn, owner, "moved-out", payment, on, CREDIT, TRANSFERS, amount)
    _book(conn, to, "moved-in", payment, on, TRANSFERS, CREDIT, amount)


def voided(conn: Connection, owner: Account, payment: str, amount: Money, method: str, on: date) -> None:
    """The receipt never was."""
    _book(conn, owner, "receipt-voided", payment, on, CREDIT, f"cash:{method}", amount)
