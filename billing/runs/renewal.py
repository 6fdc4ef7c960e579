"""Which items simply renew: everything up to here is billed, and from here on each period is whole. Pure.

A whitelist: an item with a role, an event or a term that is not named here goes the timeline's way.
"""

import hashlib
from collections.abc import Sequence
from datetime import date

import msgspec

from billing.charges import Charge, net
from billing.periods import Cadence
from billing.subscriptions import ADDON, PLAN, RENTAL, Item
from billing.timeline import ONCE, Event, EventKind, Slice, Terms, ought, segments

ROLES = (PLAN, ADDON, RENTAL)
KINDS = ("activated", "changed", "blocked", "unblocked", "ceased")
_BIG = 10**9
"""SQL reckons with 64 bits: dearer prices are reckoned in Python."""


def terms_id(terms: Terms) -> str:
    """What the terms are known by: the SHA-256 of all that they say."""
    return hashlib.sha256(msgspec.json.encode(terms, order="deterministic")).hexdigest()


def renews(item: Item, anchor: int, through: date | None, posted: Sequence[Charge]) -> Terms | None:
    """The terms of every whole period from `through` on, after `posted` was; None where only the timeline knows."""
    if through is None or item.role not in ROLES or any(one.kind.value not in KINDS for one in item.events):
        return None
    last = next(iter(segments(item.events)[-1:]), None)
    if last is None or last.end is not None or last.start > through or not is_plain(last.terms):
        return None
    starts_later = any(one.kind is EventKind.ACTIVATED and one.effective >= through for one in item.events)
    billed_beyond = any(one.slice.period.end > through for one in net(posted))
    rhythm = Cadence(anchor, last.terms.months, item.cadence_base)
    if starts_later or billed_beyond or rhythm.containing(through).start != through:
        return None
    return last.terms


def is_plain(terms: Terms) -> bool:
    """Whether the terms say nothing but a price for each period."""
    known = Terms(terms.plan, terms.version, terms.price, terms.months, terms.tax, terms.setup, terms.kind)
    return known == terms and 0 <= terms.price.minor <= _BIG


def periods(terms: Terms, anchor: int, base: int, through: date, on: date) -> list[Slice]:
    """What is due by `on` of an item that renews from `through` on; nothing where that is no start of a period."""
    begun = [Event(through, 1, EventKind.ACTIVATED, terms)]
    found = [one for one in ought(begun, anchor, base, on) if one.kind not in ONCE]
    tiled = all(one.part == one.period for one in found)
    return found if tiled and found and found[0].period.start == through else []
