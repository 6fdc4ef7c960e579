"""What a bill run asks about offers: discounts and minimums of its accounts; when a period in arrears is due."""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import charges, subscriptions
from billing.charges import Charge
from billing.models import subscription, subscription_item
from billing.offers import commitments
from billing.offers.whole import ALONG, by_account, discount_of, is_past, whole
from billing.periods import Cadence
from billing.subscriptions import DISCOUNT, Item
from billing.timeline import Event, Slice, segments

Found = tuple[Item, list[Slice], list[Charge], bool, str]
"""A discount item, what ought to be billed of it, what is posted, whether it is over, and the item that it is off."""


class Run(msgspec.Struct, frozen=True):
    """What the run knows: its date, accounts' anchors, items that are due, by which day they are billed, since when."""

    on: date
    anchors: Mapping[str, int]
    due: Sequence[Item]
    days: Mapping[str, date]
    since: Mapping[str, date | None]


def discounts(conn: Connection, run: Run) -> list[Found]:
    """All discounts of accounts that have one, as their items are billed by this run; adds what minimums miss."""
    mine = set(run.anchors)
    query = sa.select(subscription.c.account_id).join(subscription_item)
    query = query.where(subscription.c.account_id.in_(mine), subscription_item.c.role == DISCOUNT).distinct()
    minimums = [item for item in run.due if commitments.has_one(item)]
    asked = {*conn.execute(query).scalars(), *(item.account for item in minimums)}
    if not asked:
        return []
    items = by_account(subscriptions.items(conn, subscription.c.account_id.in_(asked)))
    given = [item for theirs in items.values() for item in theirs if item.role == DISCOUNT]
    posted = charges.of_items(conn, {item.id: None for item in given})
    days = dict(run.days)
    named = {(item.account, item.key): item.id for theirs in items.values() for item in theirs}
    off: dict[str, str] = {}
    for item in given:
        base = discount_of(item)
        if base is not None:
            starts = [reached(one) for one in charges.net(posted[item.id])]
            off[item.id] = known = named.get((item.account, base.of), "")
            days[known] = max([days.get(known, run.on), *starts])
    found: list[Found] = []
    for account, theirs in items.items():
        slices = whole(theirs, run.anchors[account], lambda item: days.get(item.id, run.on))
        found += [
            (
                item,
                slices[item.id],
                posted[item.id],
                is_past(item, theirs, slices, run.on),
                off.get(item.id, ""),
            )
            for item in theirs
            if item.role == DISCOUNT
        ]
        for item in minimums:
            if item.account == account:
                _settle(conn, run, item, theirs, slices)
    return found


def _settle(
    conn: Connection, run: Run, item: Item, theirs: Sequence[Item], slices: Mapping[str, list[Slice]]
) -> None:
    service = [one for other in theirs if other.service == item.service for one in slices[other.id]]
    since = run.since[item.id] or min(event.effective for event in item.events)
    commitments.settle(conn, item, run.anchors[item.account], service, min(since, run.on), run.on)


def reached(one: Charge) -> date:
    """The day on which a charge was due: a run for an earlier one takes nothing back."""
    return one.slice.part.end if one.slice.terms.arrears else one.slice.part.start


def through(is_over: bool) -> date:
    """How far a discount is billed: it goes along, until it is over."""
    return date.max if is_over else ALONG


def due_from(events: Sequence[Event], anchor: int, base: int, reached_: date | None) -> date | None:
    """Where the next part is in arrears, the day on which it is over; None: as soon as its first day has come."""
    for segment in segments(events):
        if reached_ is not None and (segment.end is None or segment.end > reached_):
            if not segment.terms.arrears:
                return None
            first = max(segment.start, reached_)
            period = Cadence(anchor, segment.terms.months, base).containing(first)
            return period.end if segment.end is None else min(period.end, segment.end)
    return None
