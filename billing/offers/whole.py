"""Everything that ought to be billed of an account's items, discounts and termination fees included. Pure."""

from collections import ChainMap, defaultdict
from collections.abc import Callable, Mapping, Sequence
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
    left, beside = dict(found), by_subscription(items)
    for item in sorted((item for item in items if item.role == DISCOUNT), key=_order):
        base, sold = discount_of(item), beside[item.subscription]
        off = None if base is None else sold.get(base.of)
        if off is None:
            found[item.id] = []
            continue
        found[item.id], left[off.id] = taken_off(item.events, left.get(off.id, []), sold)
    return found


def by_subscription(items: Sequence[Item]) -> dict[str, Mapping[str, Item]]:
    """For the discounts of each subscription, an account's items by key: its own first, for a service may have left the
    account and come back, and then both subscriptions have items with its keys.
    """
    everybody = {one.key: one for one in items}
    own: dict[str, dict[str, Item]] = defaultdict(dict)
    for one in items:
        own[one.subscription][one.key] = one
    return {name: ChainMap(mine, everybody) for name, mine in own.items()}


def discount_of(item: Item) -> Discount | None:
    """What a discount item takes off; all its times are off the same item."""
    given = [event.terms.discount for event in item.events if event.terms is not None]
    return given[-1] if given else None


def is_past(item: Item, items: Sequence[Item], slices: dict[str, list[Slice]], on: date) -> bool:
    """Whether a discount item has ended by `on`, and all that it was taken off is billed."""
    base, sold = discount_of(item), by_subscription(items)[item.subscription]
    off = None if base is None else sold.get(base.of)
    if off is None:
        return True
    end = max((window.end for _, window in windows(item.events, sold)), default=date.min)
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
