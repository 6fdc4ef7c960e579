"""Everything that ought to be billed of an account's items, discounts and termination fees included. Pure."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date

from billing.offers.contracts import terminations
from billing.offers.discounts import taken_off, windows
from billing.subscriptions import DISCOUNT, PLAN, Item
from billing.timeline import Discount, Slice, charged_through, ought

ALONG = date(9999, 12, 30)
"""`charged_through` of a discount in force: it is billed along with what it is taken off, never by itself."""


def wanted(item: Item, anchor: int, day: date, since: date | None = None) -> list[Slice]:
    """What ought to be billed by `day` of an item that is no discount; of periods that end after `since`."""
    found = ought(item.events, anchor, item.cadence_base, day, since)
    if item.role == PLAN:
        found += [one for one in terminations(item.events, day) if since is None or one.period.end > since]
    return found


def whole(items: Sequence[Item], anchor: int, day: Callable[[Item], date]) -> dict[str, list[Slice]]:
    """By item, all that ought to be billed from its first day on, each item by its `day`."""
    found = {item.id: wanted(item, anchor, day(item)) for item in items if item.role != DISCOUNT}
    left = dict(found)
    for item in sorted((item for item in items if item.role == DISCOUNT), key=_order):
        base, beside = discount_of(item), _beside(item, items)
        off = None if base is None else beside.get(base.of)
        if off is None:
            found[item.id] = []
            continue
        events = {key: one.events for key, one in beside.items()}
        found[item.id], left[off.id] = taken_off(item.events, left.get(off.id, []), events)
    return found


def _beside(item: Item, items: Sequence[Item]) -> dict[str, Item]:
    """Items by key as a discount means them: of a service that left and came back, those of its own subscription."""
    return {one.key: one for one in items} | {
        one.key: one for one in items if one.subscription == item.subscription
    }


def discount_of(item: Item) -> Discount | None:
    """What a discount item takes off; all its times are off the same item."""
    given = [event.terms.discount for event in item.events if event.terms is not None]
    return given[-1] if given else None


def is_past(item: Item, items: Sequence[Item], slices: dict[str, list[Slice]], on: date) -> bool:
    """Whether a discount item has ended by `on`, and all that it was taken off is billed."""
    base, beside = discount_of(item), _beside(item, items)
    events = {key: one.events for key, one in beside.items()}
    off = None if base is None else beside.get(base.of)
    if off is None:
        return True
    end = max((window.end for _, window in windows(item.events, events)), default=date.min)
    covered = charged_through(off.events, slices.get(off.id, []))
    return end <= on and (covered is None or covered >= end)


def by_account(items: Sequence[Item]) -> dict[str, list[Item]]:
    """Items in their order, by account."""
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.account].append(item)
    return found


def _order(item: Item) -> tuple[date, str, str]:
    given = discount_of(item)
    return (given.since if given else date.max, item.service, item.label)
