"""What must hold before a period is closed: each check tells in a sentence what does not, and what to do."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import billrun
from billing.books import reports
from billing.closing import deferrals
from billing.closing.models import period_close
from billing.models import (
    account,
    bill_park,
    billable,
    invoice,
    ledger_entry,
    ledger_transaction,
    subscription,
    subscription_item,
)


def open_points(conn: Connection, entity: str, until: date) -> Iterator[str]:
    """Everything that keeps the books of an entity from being closed until a day."""
    yield from _drafts(conn, entity, until)
    yield from _unbilled(conn, entity, until)
    yield from _unrecognised(conn, entity, until)
    yield from unbalanced(conn, entity, until)
    yield from apart(conn, entity, until)


def parked(conn: Connection, entity: str) -> list[str]:
    """Accounts that the bill run left out: they do not keep a period open, and are named."""
    query = sa.select(bill_park.c.account_id).join(account, account.c.id == bill_park.c.account_id)
    query = query.where(account.c.legal_entity == entity, bill_park.c.accepted_by.is_(None))
    return list(conn.execute(query.order_by(bill_park.c.account_id)).scalars())


def changed(conn: Connection) -> Iterator[tuple[str, str]]:
    """Closed periods that are not what they were when they were closed: (legal entity, sentence)."""
    standing: dict[str, list[Any]] = {}
    for row in conn.execute(sa.select(period_close).order_by(period_close.c.seq)):
        closes = standing.setdefault(row.legal_entity, [])
        if row.what == "close":
            closes.append(row)
        else:
            through = row.closed_through or date.min
            closes[:] = [one for one in closes if one.closed_through <= through]
    for entity, closes in standing.items():
        for row in closes:
            if proof(conn, entity, row.closed_through) != row.proof:
                yield entity, f"what was closed until {row.closed_through} is not what it was then"


def proof(conn: Connection, entity: str, until: date) -> dict[str, int]:
    """The trial balance by then: what a close keeps, and what the books must say about that day for ever."""
    found = reports.trial_balance(conn, until, entity)
    return {f"{one.ledger} {one.amount.currency}": one.amount.minor for one in found if one.amount.minor}


def _drafts(conn: Connection, entity: str, until: date) -> Iterator[str]:
    query = sa.select(sa.func.count()).where(
        invoice.c.legal_entity == entity, invoice.c.state == "draft", invoice.c.billed_on <= until
    )
    if count := conn.execute(query).scalar_one():
        yield f"{count} drafts billed by then have no number; finalise them with 'trunkline billing run' or void them"


def _unbilled(conn: Connection, entity: str, until: date) -> Iterator[str]:
    """Accounts with something to bill by then; parked ones are a person's business already.

    What simply renews is due as soon as it is reached; of everything else the timeline knows.
    """
    item = subscription_item.c
    due = sa.or_(item.charged_through <= until, item.recalculate_from <= until)
    plain = sa.and_(item.renews.is_not(None), item.recalculate_from.is_(None))
    items = sa.select(subscription.c.account_id, plain.label("sure")).join(subscription_item).where(due)
    added = sa.select(billable.c.account_id, sa.true()).where(
        billable.c.invoice_id.is_(None), billable.c.billed_from <= until
    )
    left = sa.union(items, added).subquery()
    query = sa.select(left.c.account_id, left.c.sure).join(account, account.c.id == left.c.account_id)
    query = query.where(
        account.c.legal_entity == entity, account.c.id.not_in(sa.select(bill_park.c.account_id))
    )
    rows = conn.execute(query).all()
    sure = {row[0] for row in rows if row[1]}
    odd = sorted({row[0] for row in rows} - sure)
    if count := len(sure) + len(billrun.unbilled(conn, odd, until)):
        yield f"{count} accounts have something to bill by then; run 'trunkline billing run --on {until}' first"


def _unrecognised(conn: Connection, entity: str, until: date) -> Iterator[str]:
    count = deferrals.waiting(conn, entity, until + timedelta(days=1)) + deferrals.not_taken_in(
        conn, entity, until
    )
    if count:
        yield (
            f"revenue of {count} lines is not recognised until then; run 'trunkline billing recognise --until {until}'"
        )


def unbalanced(conn: Connection, entity: str, until: date) -> Iterator[str]:
    """The trial balance is zero in every currency (invariant 20)."""
    sums: dict[str, int] = {}
    for one in reports.trial_balance(conn, until, entity):
        sums[one.amount.currency] = sums.get(one.amount.currency, 0) + one.amount.minor
    for currency, rest in sorted(sums.items()):
        if rest:
            yield f"the trial balance is off by {rest} minor units of {currency}"


def apart(conn: Connection, entity: str, until: date) -> Iterator[str]:
    """What accounts owe by their documents is what the ledger has as receivable, account by account (invariant 21)."""
    owed = {
        (one.account, one.together.currency): one.together.minor
        for one in reports.aged_receivables(conn, until, entity)
    }
    entry, transaction = ledger_entry.c, ledger_transaction.c
    query: sa.Select[Any] = sa.select(transaction.account_id, entry.currency, sa.func.sum(entry.amount))
    query = query.join(ledger_transaction, transaction.id == entry.transaction_id).where(
        entry.ledger == "receivable", transaction.booked_on <= until, transaction.legal_entity == entity
    )
    rows = conn.execute(query.group_by(transaction.account_id, entry.currency))
    booked = {(row[0], row[1]): int(row[2]) for row in rows if row[2]}
    wrong = sorted(str(key[0]) for key in {*owed, *booked} if owed.get(key, 0) != booked.get(key, 0))
    if wrong:
        yield f"the receivables of {len(wrong)} accounts, such as {wrong[0]}, are not what the ledger has"
