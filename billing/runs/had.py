"""Rates that were charged before. What is billed anew of a day, taken off a charge, or corrects something has the rate
of that, and not today's: giving back at another rate would return a tax that nobody paid (pin 3).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import charges
from billing.billables import Billable
from billing.charges import Charge
from billing.models import billable, invoice_line
from billing.tax import Rate
from billing.taxing.surcharges import KIND
from billing.timeline import Slice


class Corrections(msgspec.Struct, frozen=True):
    """Of billables that correct: `rates`, what each source was billed at last; `before`: by billable, what its source
    came to so far, in minor units.
    """

    rates: Mapping[str, Rate]
    before: Mapping[str, int]

    def rate(self, one: Billable) -> Rate | None:
        """The rate of what a billable corrects, in the same category of tax; None: it corrects nothing, or nothing was
        left of that (it was taken back, to be billed anew).
        """
        found = self.rates.get(one.source) if one.revision and self.before[one.id] else None
        return found if found is not None and found.category == one.tax else None


def under(
    conn: Connection, off: Iterable[tuple[str, Sequence[tuple[Slice, int]]]]
) -> dict[str, list[Charge]]:
    """Charges by item, of items that discounts are taken off: (item, what is posted of the discount)."""
    since = {item: min(part.part.start for part, _ in post) for item, post in off if item and post}
    return charges.of_items(conn, dict(since)) if since else {}


def of_day(had: Iterable[Charge], part: Slice) -> Rate | None:
    """The rate that the day on which a slice begins was billed at, in the same category of tax. Pure."""
    for old in had:
        inside = old.slice.part.start <= part.part.start < old.slice.part.end
        if inside and old.rate.category == part.terms.tax:
            return old.rate
    return None


def corrections(conn: Connection, given: Sequence[Billable]) -> Corrections:
    """What billables that wait correct. `given`: the revisions of a source in their order."""
    sources = sorted({one.source for one in given if one.revision})
    if not sources:
        return Corrections({}, {})
    line = invoice_line.c
    mine = sa.and_(
        line.billable_id == billable.c.id, line.invoice_id == billable.c.invoice_id, line.kind != KIND
    )
    query = sa.select(
        billable.c.source, line.amount, line.tax_category, line.tax_millionths, line.tax_inclusive
    )
    query = query.join(invoice_line, mine).where(billable.c.source.in_(sources)).order_by(billable.c.revision)
    rates: dict[str, Rate] = {}
    sums: Counter[str] = Counter()
    for row in conn.execute(query):
        rates[row.source] = Rate(row.tax_category, row.tax_millionths, row.tax_inclusive)
        sums[row.source] += row.amount
    before: dict[str, int] = {}
    for one in given:
        before[one.id] = sums[one.source]
        sums[one.source] += one.amount.minor
    return Corrections(rates, before)
