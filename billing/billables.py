"""Billables: what no timeline says. Fees, usage, deposits, credits are added here, and the next run bills them.

A billable says for itself how its amount came about (`why`), so that the invoice can explain it. `source` names the
thing that is billed; adding the same thing again adds nothing (invariant 36). A correction is a further revision that
carries only the difference.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.bill import Line
from billing.errors import BillableUnlike, KindUnknown
from billing.kinds import KINDS
from billing.models import billable
from billing.periods import Period
from billing.tax import Rate
from core import clock, ids
from core.money import Money


class Billable(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to bill. `amount` as listed, negative for a credit; `billed_from`: local date of the first run.

    `why` is read by people: text by label, such as `{"how": "12 GB over 200 GB x AUD 0.50"}`.
    """

    account: str
    kind: str
    source: str
    description: str
    amount: Money
    billed_from: date
    revision: int = 0
    service: str | None = None
    tax: str = ""
    period: Period | None = None
    why: dict[str, Any] = {}
    id: str = ""


def add(conn: Connection, given: Billable, *, actor: str) -> str:
    """Add a billable and return its id; the same source and revision again adds nothing.

    Raises KindUnknown, and BillableUnlike where the same source was added for another account or amount.
    """
    if given.kind not in KINDS:
        raise KindUnknown(given.kind)
    chosen = sa.and_(billable.c.source == given.source, billable.c.revision == given.revision)
    row = conn.execute(sa.select(billable).where(chosen)).first()
    if row is not None:
        if (row.account_id, row.amount) != (given.account, given.amount.minor):
            raise BillableUnlike(given.source)
        return str(row.id)
    billable_id = given.id or ids.new_id("bbl")
    period = given.period
    values = {
        "id": billable_id, "account_id": given.account, "kind": given.kind, "source": given.source,
        "revision": given.revision, "service": given.service, "description": given.description,
        "amount": given.amount.minor, "tax_category": given.tax, "billed_from": given.billed_from,
        "period_start": period.start if period else None, "period_end": period.end if period else None,
        "why": given.why, "actor": actor, "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(billable).values(**values))
    return billable_id


def of_source(conn: Connection, source: str, currency: str) -> list[Billable]:
    """Every revision of a source, oldest first."""
    query = sa.select(billable).where(billable.c.source == source).order_by(billable.c.revision)
    return [_from(row, currency) for row in conn.execute(query)]


def waiting(conn: Connection, currencies: dict[str, str], on: date) -> dict[str, list[Billable]]:
    """What waits to be billed on `on`, by account, in a fixed order. `currencies`: account -> its currency."""
    query = sa.select(billable).where(
        billable.c.account_id.in_(list(currencies)),
        billable.c.invoice_id.is_(None),
        billable.c.billed_from <= on,
    )
    found: dict[str, list[Billable]] = defaultdict(list)
    for row in conn.execute(query.order_by(billable.c.billed_from, billable.c.source, billable.c.revision)):
        found[row.account_id].append(_from(row, currencies[row.account_id]))
    return found


def billed(conn: Connection, given: Sequence[Billable], invoice: str) -> None:
    """Note which draft bills them."""
    chosen = billable.c.id.in_([one.id for one in given])
    conn.execute(sa.update(billable).where(chosen).values(invoice_id=invoice))


def unbill(conn: Connection, invoice: str) -> None:
    """A draft was voided: what it billed waits again."""
    conn.execute(sa.update(billable).where(billable.c.invoice_id == invoice).values(invoice_id=None))


def line_of(one: Billable, rate: Rate) -> Line:
    """Its line on a bill."""
    return Line(
        description=one.description, amount=one.amount, rate=rate, kind=one.kind, service=one.service,
        period=one.period, billable=one.id,
    )  # fmt: skip


def get(conn: Connection, billable_id: str, currency: str) -> Billable:
    """A billable by its id, which must exist."""
    row = conn.execute(sa.select(billable).where(billable.c.id == billable_id)).one()
    return _from(row, currency)


def _from(row: Any, currency: str) -> Billable:
    period = Period(row.period_start, row.period_end) if row.period_start and row.period_end else None
    return Billable(
        id=row.id, account=row.account_id, kind=row.kind, source=row.source, revision=row.revision,
        service=row.service, description=row.description, amount=Money(row.amount, currency),
        billed_from=row.billed_from, tax=row.tax_category, period=period, why=row.why,
    )  # fmt: skip
