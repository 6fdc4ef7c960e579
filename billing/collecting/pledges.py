"""Promises as they were kept: in instalments, each looked at on its day.

A promise holds dunning up until the first instalment that is missed, at most until its last day. Whether it was kept is
derived from what is open of the invoices that it was for, never stored.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.collecting.models import instalment
from billing.models import account, allocation, invoice, promise
from billing.rounding import is_owed
from billing.writeoffs.models import write_off
from core.money import Money

KEPT, BROKEN, OPEN, ENDED = "kept", "broken", "open", "ended"


class Pledge(msgspec.Struct, frozen=True, kw_only=True):
    """A promise. `parts`: (day, minor units) in order; `paid`: (day, minor units) off what it was for, since then.

    `amount` None: of a time when it was not written down; such a promise has one part, everything.
    """

    id: str
    account: str
    currency: str
    made_on: date
    until: date
    actor: str
    amount: int | None
    parts: tuple[tuple[date, int], ...]
    paid: tuple[tuple[date, int], ...]

    def missing(self, day: date) -> Money:
        """What ought to have been paid by the end of a day and was not; never below nothing."""
        ought = sum(minor for on, minor in self.parts if on <= day)
        return Money(max(0, ought - self.paid_by(day)), self.currency)

    def paid_by(self, day: date) -> int:
        """What was paid by the end of a day."""
        return sum(minor for on, minor in self.paid if on <= day)

    @property
    def ends(self) -> date:
        """The last day on which it holds dunning up: that of the first part missed, or its own last day."""
        missed = [on for on, _ in self.parts if is_owed(self.missing(on))]
        return min([*missed, self.until])

    def state(self, today: date) -> str:
        """kept, broken or open as of the end of a day; ended where its amount is not known. Paid early is kept."""
        if self.amount is not None and not is_owed(Money(self.amount - self.paid_by(today), self.currency)):
            return KEPT
        if today <= self.ends:
            return OPEN
        return ENDED if self.amount is None else BROKEN


def of_accounts(
    conn: Connection, accounts: Sequence[str] | None = None, since: date | None = None
) -> list[Pledge]:
    """Promises of accounts, or of all, in the order in which they were made; `since`: those that end then or later."""
    query = sa.select(promise, account.c.currency).join(account, account.c.id == promise.c.account_id)
    if accounts is not None:
        query = query.where(promise.c.account_id.in_(accounts))
    if since is not None:
        query = query.where(promise.c.until >= since)
    rows = conn.execute(query.order_by(promise.c.made_on, promise.c.recorded_at, promise.c.id)).all()
    parts = _parts(conn, [row.id for row in rows])
    paid = _paid(conn, [row.id for row in rows if row.amount is not None])
    return [
        Pledge(
            id=row.id, account=row.account_id, currency=row.currency, made_on=row.made_on, until=row.until,
            actor=row.actor, amount=row.amount, paid=tuple(paid[row.id]),
            parts=tuple(parts[row.id]) or (((row.until, row.amount),) if row.amount is not None else ()),
        )
        for row in rows
    ]  # fmt: skip


def _parts(conn: Connection, ids: Sequence[str]) -> dict[str, list[tuple[date, int]]]:
    found: dict[str, list[tuple[date, int]]] = defaultdict(list)
    query = sa.select(instalment).where(instalment.c.promise_id.in_(ids)).order_by(instalment.c.due_on)
    for row in conn.execute(query) if ids else ():
        found[row.promise_id].append((row.due_on, row.amount))
    return found


def _paid(conn: Connection, ids: Sequence[str]) -> dict[str, list[tuple[date, int]]]:
    """What became of the invoices that were due when a promise was made: (day, minor units off), day by day.

    On the day itself only what came after the promise counts: what was open then is its amount.
    """
    found: dict[str, list[tuple[date, int]]] = defaultdict(list)
    if not ids:
        return found
    covered = sa.and_(
        invoice.c.account_id == promise.c.account_id, invoice.c.due_on <= promise.c.made_on,
        invoice.c.state == "final", invoice.c.kind == "invoice", promise.c.id.in_(ids),
    )  # fmt: skip
    for table, day in ((allocation, allocation.c.allocated_on), (write_off, write_off.c.written_on)):
        query = (
            sa.select(promise.c.id, day.label("day"), sa.func.sum(table.c.amount).label("minor"))
            .select_from(promise.join(invoice, covered).join(table, table.c.invoice_id == invoice.c.id))
            .where(day > promise.c.made_on)
            .group_by(promise.c.id, day)
        )
        for row in conn.execute(query):
            found[row.id].append((row.day, int(row.minor)))
    return _with_first_day(conn, ids, found)


def _with_first_day(
    conn: Connection, ids: Sequence[str], found: dict[str, list[tuple[date, int]]]
) -> dict[str, list[tuple[date, int]]]:
    """What was paid on the day of the promise after it: its amount less what was still open that evening."""
    paid = (
        sa.select(sa.func.coalesce(sa.func.sum(allocation.c.amount), 0))
        .where(allocation.c.invoice_id == invoice.c.id, allocation.c.allocated_on <= promise.c.made_on)
        .scalar_subquery()
    )
    written = (
        sa.select(sa.func.coalesce(sa.func.sum(write_off.c.amount), 0))
        .where(write_off.c.invoice_id == invoice.c.id, write_off.c.written_on <= promise.c.made_on)
        .scalar_subquery()
    )
    query: sa.Select[Any] = (
        sa.select(promise.c.id, promise.c.made_on, promise.c.amount, sa.func.sum(invoice.c.total - paid - written))
        .where(
            invoice.c.account_id == promise.c.account_id, invoice.c.due_on <= promise.c.made_on,
            invoice.c.state == "final", invoice.c.kind == "invoice", promise.c.id.in_(ids),
        )
        .group_by(promise.c.id, promise.c.made_on, promise.c.amount)
    )  # fmt: skip
    for row in conn.execute(query):
        if first := row[2] - int(row[3]):
            found[row[0]].append((row[1], first))
    return found
