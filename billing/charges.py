"""Charges: billed intervals. What ought to be billed minus what is posted, as postings and reversals.

`difference` is pure. A posted charge is never changed; a late event reverses it and posts the right one, so that an
event recorded late and a rerun end where one recorded in time does (invariant 13).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.models import charge
from billing.periods import Period
from billing.tax import Rate
from billing.timeline import Slice, Terms
from core.money import Money

REVERSAL = "-reversal"


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A posted interval of an item."""

    id: str
    item: str
    slice: Slice
    revision: int
    rate: Rate
    reverses: str | None = None

    @property
    def is_reversal(self) -> bool:
        """Whether it takes back another one."""
        return self.reverses is not None


class Difference(msgspec.Struct, frozen=True):
    """What to take back, and what to post with the revision it gets."""

    reverse: tuple[Charge, ...]
    post: tuple[tuple[Slice, int], ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to bill."""
        return not self.reverse and not self.post


def difference(wanted: Iterable[Slice], posted: Sequence[Charge]) -> Difference:
    """How to get from what is posted to what is wanted, touching nothing that is right already."""
    wanted = list(wanted)
    standing = net(posted)
    right = {item.slice for item in standing} & set(wanted)
    revisions = Counter(_place(item.slice) for item in posted if not item.is_reversal)
    return Difference(
        tuple(item for item in standing if item.slice not in right),
        tuple((part, revisions[_place(part)]) for part in wanted if part not in right),
    )


def net(posted: Iterable[Charge]) -> list[Charge]:
    """What stands: charges that no other takes back."""
    posted = list(posted)
    taken_back = {item.reverses for item in posted}
    return [item for item in posted if not item.is_reversal and item.id not in taken_back]


def of_items(conn: Connection, since: dict[str, date | None]) -> dict[str, list[Charge]]:
    """Posted charges by item, of periods that end after the item's day in `since` (None: all)."""
    found: dict[str, list[Charge]] = {item: [] for item in since}
    query = (
        sa.select(charge).where(charge.c.item_id.in_(list(since))).order_by(charge.c.part_start, charge.c.id)
    )
    if since and None not in since.values():
        query = query.where(charge.c.period_end > min(day for day in since.values() if day))
    for row in conn.execute(query):
        limit = since[row.item_id]
        if limit is None or row.period_end > limit:
            found[row.item_id].append(from_row(row))
    return found


def row_of(account: str, posted: Charge) -> dict[str, Any]:
    """The table row of a charge."""
    part = posted.slice
    return {
        "id": posted.id, "account_id": account, "item_id": posted.item,
        "kind": part.kind + (REVERSAL if posted.is_reversal else ""),
        "period_start": part.period.start, "period_end": part.period.end,
        "part_start": part.part.start, "part_end": part.part.end, "revision": posted.revision,
        "amount": -part.amount.minor if posted.is_reversal else part.amount.minor,
        "terms": msgspec.to_builtins(part.terms), "tax_category": posted.rate.category,
        "tax_millionths": posted.rate.millionths, "tax_inclusive": posted.rate.inclusive,
        "reverses": posted.reverses,
    }  # fmt: skip


def from_row(row: Any) -> Charge:
    """A Charge from a row of the table."""
    terms = msgspec.convert(row.terms, Terms)
    minor = row.amount if row.reverses is None else -row.amount
    return Charge(
        id=row.id,
        item=row.item_id,
        slice=Slice(
            Period(row.period_start, row.period_end),
            Period(row.part_start, row.part_end),
            terms,
            Money(minor, terms.price.currency),
            row.kind.removesuffix(REVERSAL),
        ),
        revision=row.revision,
        rate=Rate(row.tax_category, row.tax_millionths, row.tax_inclusive),
        reverses=row.reverses,
    )


def _place(part: Slice) -> tuple[Period, date, str]:
    """What revisions count within; periods of two rhythms may begin on one day and are apart."""
    return part.period, part.part.start, part.kind
