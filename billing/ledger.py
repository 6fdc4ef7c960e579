"""Double entry: every transaction adds up to zero in every currency, and none is booked twice.

Debits are positive, credits negative. Accounts of the books: `receivable`, `cash:<method>`, `customer-credit`
(unapplied receipts and credit notes), `tax-payable:<category>`, `revenue:<what>` and `deferred:revenue:<what>`
(billed for days to come), and what `billing.kinds` names.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.closing import lock
from billing.closing.errors import PeriodClosed
from billing.errors import LedgerUnbalanced
from billing.models import ledger_entry, ledger_transaction
from core import clock, ids
from core.money import Money

RECEIVABLE = "receivable"
CREDIT = "customer-credit"


class Books(msgspec.Struct, frozen=True):
    """Whose books: a legal entity's, and the billing account that it is about (None: it is about many)."""

    entity: str
    account: str | None = None


class Entry(msgspec.Struct, frozen=True):
    """One leg: debit positive, credit negative."""

    ledger: str
    amount: Money


def book(
    conn: Connection,
    books: Books,
    kind: str,
    source: str,
    on: date,
    entries: Sequence[Entry],
    *,
    strict: bool = False,
) -> str:
    """Book one transaction for `source`; legs of nothing are left out. Raises LedgerUnbalanced.

    What is of a closed day is booked on the first open one, its own day kept beside it; `strict` raises PeriodClosed.
    """
    _require_balanced(source, entries)
    transaction = ids.new_id("ldg")
    day = lock.open_day(conn, books.entity, on)
    if day != on and strict:
        raise PeriodClosed(books.entity, date.fromordinal(day.toordinal() - 1), on)
    values = {
        "id": transaction, "account_id": books.account, "legal_entity": books.entity, "kind": kind,
        "source": source, "booked_on": day, "happened_on": on if day != on else None, "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(ledger_transaction).values(**values))
    legs = [entry for entry in entries if entry.amount.minor]
    rows = [_row(transaction, position, entry) for position, entry in enumerate(legs)]
    if rows:
        conn.execute(sa.insert(ledger_entry), rows)
    return transaction


def balance(conn: Connection, ledger: str, account: str, currency: str, as_of: date | None = None) -> Money:
    """What stands on an account of the books for a billing account, by the end of `as_of` (default: all)."""
    query = (
        sa.select(sa.func.coalesce(sa.func.sum(ledger_entry.c.amount), 0))
        .join(ledger_transaction, ledger_transaction.c.id == ledger_entry.c.transaction_id)
        .where(ledger_entry.c.ledger == ledger, ledger_entry.c.currency == currency)
        .where(ledger_transaction.c.account_id == account)
    )
    if as_of is not None:
        query = query.where(ledger_transaction.c.booked_on <= as_of)
    return Money(int(conn.execute(query).scalar_one()), currency)


def trial_balance(conn: Connection) -> dict[tuple[str, str], int]:
    """Every account of the books: (ledger, currency) -> minor units; the sum per currency is always zero."""
    query = sa.select(ledger_entry.c.ledger, ledger_entry.c.currency, sa.func.sum(ledger_entry.c.amount))
    query = query.group_by(ledger_entry.c.ledger, ledger_entry.c.currency).order_by(
        *query.selected_columns[:2]
    )
    return {(row[0], row[1]): int(row[2]) for row in conn.execute(query)}


def _row(transaction: str, position: int, entry: Entry) -> dict[str, object]:
    return {
        "transaction_id": transaction, "position": position, "ledger": entry.ledger,
        "currency": entry.amount.currency, "amount": entry.amount.minor,
    }  # fmt: skip


def _require_balanced(source: str, entries: Sequence[Entry]) -> None:
    sums: dict[str, int] = defaultdict(int)
    for entry in entries:
        sums[entry.amount.currency] += entry.amount.minor
    for currency, rest in sums.items():
        if rest:
            raise LedgerUnbalanced(source, currency, rest)
