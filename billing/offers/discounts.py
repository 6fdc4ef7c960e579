"""What promotions and bundles take off: slices of a discount item from the slices of what it is taken off. Pure.

Each part at one price gets min(its share of the discount, what is left of its price) off, so that a plan change or a
pause takes the discount along, to the minor unit (invariant 17). Later discounts get what earlier ones leave.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from itertools import groupby, pairwise

import msgspec

from billing.periods import Period, clamped, month_index
from billing.proration import prorate_slices
from billing.subscriptions import DISCOUNT, Item
from billing.timeline import ONCE, Discount, Event, Slice, Terms, segments, state_on
from core.money import Money, half_up

SCALE = 10**6


def windows(events: Sequence[Event], sold: Mapping[str, Item]) -> list[tuple[Terms, Period]]:
    """From when to when (`date.max`: no end) a discount item is in force, for each time that it was given.

    `sold`: items by their keys, for what the discount needs.
    """
    found = []
    for segment in segments(events):
        discount = segment.terms.discount
        if discount is None:
            continue
        ends = [segment.end, end_of(discount)]
        ends += [
            leaves(sold[key].events if key in sold else (), plan, segment.start)
            for key, plan in discount.needs
        ]
        end = min((day for day in ends if day is not None), default=date.max)
        if end > segment.start:
            found.append((segment.terms, Period(segment.start, end)))
    return found


def end_of(discount: Discount) -> date | None:
    """The first day after its months; None: it has no end of its own."""
    if discount.months is None:
        return None
    return clamped(discount.since.day, month_index(discount.since) + discount.months)


def leaves(events: Sequence[Event], plan: str, since: date) -> date | None:
    """The first day from `since` on at whose end the item is not sold as the plan; None: it stays."""
    days = sorted({since, *(event.effective for event in events if event.effective > since)})
    for day in days:
        terms = state_on(events, day).terms
        if terms is None or terms.plan != plan:
            return day
    return None


def taken_off(
    events: Sequence[Event], base: Sequence[Slice], sold: Mapping[str, Item]
) -> tuple[list[Slice], list[Slice]]:
    """The slices of a discount item, negative, and what they leave of `base` for the next discount."""
    off: list[Slice] = []
    left = sorted(base, key=lambda one: (one.period, one.part))
    for terms, window in windows(events, sold):
        left = [piece for one in left for piece in _pieces(one, window)]
        made = list(_off(terms, window, left))
        by_place = {(one.period, one.part): one.amount for one in made}
        left = [_less(one, by_place.get((one.period, one.part))) for one in left]
        off += made
    return off, left


def _off(terms: Terms, window: Period, base: Sequence[Slice]) -> Iterator[Slice]:
    discount = terms.discount
    assert discount is not None  # windows() has only such
    left = None if discount.cap is None else discount.cap.minor
    for period, group in groupby(base, key=lambda one: one.period):
        mine = [one for one in group if _is_eligible(one, discount, window)]
        for one, share in zip(mine, _shares(discount, mine, period), strict=True):
            minor = max(0, min(share, one.amount.minor, one.amount.minor if left is None else left))
            left = None if left is None else left - minor
            if minor:
                told = msgspec.structs.replace(
                    terms, tax=one.terms.tax, months=one.terms.months, arrears=one.terms.arrears
                )
                yield Slice(period, one.part, told, Money(-minor, one.amount.currency), DISCOUNT)


def _is_eligible(one: Slice, discount: Discount, window: Period) -> bool:
    inside = window.start <= one.part.start and one.part.end <= window.end
    return inside and one.kind not in ONCE and (not discount.plans or one.terms.plan in discount.plans)


def _shares(discount: Discount, mine: Sequence[Slice], period: Period) -> list[int]:
    """What the discount comes to for each part of a period, rounded over all of them together."""
    if discount.amount is not None:
        whole = discount.amount.times(mine[0].terms.months) if mine else discount.amount
        return [amount.minor for amount in prorate_slices(whole, [one.part for one in mine], period)]
    shares: list[int] = []
    so_far = 0
    for one in mine:
        so_far += one.amount.minor
        shares.append(half_up(Fraction(so_far * discount.share, SCALE)) - sum(shares))
    return shares


def _pieces(one: Slice, window: Period) -> list[Slice]:
    """A slice cut at the edges of a window; the pieces add up to it."""
    edges = [day for day in (window.start, window.end) if one.part.start < day < one.part.end]
    if not edges or one.kind in ONCE:
        return [one]
    days = [one.part.start, *edges, one.part.end]
    parts = [Period(first, last) for first, last in pairwise(days)]
    amounts = prorate_slices(one.amount, parts, one.part)
    return [
        msgspec.structs.replace(one, part=part, amount=amount)
        for part, amount in zip(parts, amounts, strict=True)
    ]


def _less(one: Slice, off: Money | None) -> Slice:
    return one if off is None else msgspec.structs.replace(one, amount=one.amount + off)
