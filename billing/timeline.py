"""A subscription item's timeline: events folded to segments, segments cut into what ought to be billed. Pure.

Events of one day are folded in the order of their recording and only the day's last word counts: A -> B -> A within
a day is no change (invariants 8 and 9). It never matters when an event was recorded (invariant 13).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from itertools import groupby

import msgspec

from billing.periods import Cadence, Period
from billing.proration import prorate_slices
from core.money import Money

RECURRING = "recurring"
SETUP = "setup"
TERMINATION = "termination"
ONCE = (SETUP, TERMINATION)
"""Kinds of slices that are billed for a day on which something happened, and not for a stretch of days."""


class EventKind(StrEnum):
    """What can happen to an item."""

    ACTIVATED = "activated"
    CHANGED = "changed"
    BLOCKED = "blocked"
    UNBLOCKED = "unblocked"
    CEASED = "ceased"


class Contract(msgspec.Struct, frozen=True, omit_defaults=True):
    """A term of months. Leaving within it costs `fee`, or for each month left (begun ones counted) `each` or `share`
    millionths of the monthly price. `renew`: months that it goes on by; `since`: its first day (None: the event's).
    """

    months: int
    fee: Money | None = None
    each: Money | None = None
    share: int = 0
    renew: int = 0
    since: date | None = None


class Discount(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is taken off the item with the key `of`: `share` millionths, or `amount` a month, at most what it is off.

    From `since` for `months` (None: for ever), at most `cap` in all, of `plans` only (none: of any). `needs`: items
    that must be sold as a plan (key, plan) all the time; it ends with the first that is not.
    """

    of: str
    since: date
    share: int = 0
    amount: Money | None = None
    months: int | None = None
    cap: Money | None = None
    plans: tuple[str, ...] = ()
    needs: tuple[tuple[str, str], ...] = ()


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pinned price version: a later price change does not touch it (pin 6). `kind`: billing.kinds.

    `arrears`: a part is billed when its last day is over. `minimum`: the least that a month comes to, usage counted.
    """

    plan: str
    version: str
    price: Money
    months: int = 1
    tax: str = ""
    setup: Money | None = None
    kind: str = RECURRING
    arrears: bool = False
    minimum: Money | None = None
    contract: Contract | None = None
    discount: Discount | None = None

    @property
    def billed(self) -> "Terms":
        """What a slice needs of them: a contract bills no days."""
        return self if self.contract is None else msgspec.structs.replace(self, contract=None)


class Event(msgspec.Struct, frozen=True):
    """One entry. `effective` is a local date; the day belongs to the new state (pin 2). A cessation with `terms` goes
    on at these elsewhere (another account, a new service): nobody leaves, so no term is broken.
    """

    effective: date
    seq: int
    kind: EventKind
    terms: Terms | None = None


class Segment(msgspec.Struct, frozen=True):
    """Days `[start, end)` on which one set of terms is billed; `end` None: until further notice."""

    start: date
    end: date | None
    terms: Terms


class Slice(msgspec.Struct, frozen=True):
    """A part of one period at one price: what one charge bills."""

    period: Period
    part: Period
    terms: Terms
    amount: Money
    kind: str = RECURRING


class _State(msgspec.Struct, frozen=True):
    terms: Terms | None = None
    blocked: bool = False

    @property
    def billed(self) -> Terms | None:
        return None if self.blocked or self.terms is None else self.terms.billed


NOTHING = _State()
"""Before the first event."""


def after(state: _State, event: Event) -> _State:
    """The state after one event; what does not apply changes nothing."""
    match event.kind:
        case EventKind.ACTIVATED:
            return _State(event.terms)
        case EventKind.CHANGED:
            return _State(event.terms if state.terms else None, state.blocked)
        case EventKind.CEASED:
            return _State()
        case _:
            return _State(state.terms, event.kind is EventKind.BLOCKED)


def state_on(events: Iterable[Event], day: date) -> _State:
    """The state at the end of `day`."""
    state = _State()
    for event in in_order(events):
        if event.effective <= day:
            state = after(state, event)
    return state


def segments(events: Iterable[Event]) -> list[Segment]:
    """The billed stretches, in order, never overlapping; neighbours at the same terms are one."""
    found: list[Segment] = []
    since, state = date.min, _State()
    for day, same_day in groupby(in_order(events), key=lambda event: event.effective):
        following = state
        for event in same_day:
            following = after(following, event)
        if following.billed != state.billed:
            if state.billed:
                found.append(Segment(since, day, state.billed))
            since = day
        state = following
    if state.billed:
        found.append(Segment(since, None, state.billed))
    return found


def ought(
    events: Sequence[Event], anchor: int, base: int, today: date, since: date | None = None
) -> list[Slice]:
    """What ought to be billed by `today`: every period that has begun, whole; in arrears every part that is over.

    `since` leaves out periods that end on or before it. Raises nothing; an item that never started gives nothing.
    """
    slices = _setups(events, today)
    for months, run in _by_cadence(segments(events)):
        cadence = Cadence(anchor, months, base)
        slices.extend(_cut(run, cadence, today))
    return [part for part in slices if since is None or part.period.end > since]


def _setups(events: Sequence[Event], today: date) -> list[Slice]:
    """The one-off fee of each activation that lasted beyond its day, billed on that day."""
    found: list[Slice] = []
    for event in events:
        terms = event.terms
        if event.kind is not EventKind.ACTIVATED or terms is None or terms.setup is None:
            continue
        if event.effective <= today and state_on(events, event.effective).terms is not None:
            day = Period(event.effective, event.effective + timedelta(days=1))
            found.append(Slice(day, day, terms.billed, terms.setup, SETUP))
    return found


def charged_through(
    events: Sequence[Event], slices: Iterable[Slice], since: date | None = None
) -> date | None:
    """The first day that is to be billed and that `slices` do not bill; None where there is nothing to bill at all.

    Not the last day billed: a shorter rhythm that comes later may be billed before a longer one that comes first.
    Days before `since` are billed already. When all that is to be billed is billed, the day after the last.
    """
    slices = list(slices)
    first = _uncharged(events, sorted(one.part for one in slices if one.kind not in ONCE), since)
    paid = {one.part.start for one in slices if one.kind == SETUP}
    fees = [one.part.start for one in _setups(events, date.max) if one.part.start not in paid]
    ahead = min((day for day in fees if since is None or day >= since), default=None)
    return first if ahead is None else min(ahead, first or ahead)


def _uncharged(events: Sequence[Event], parts: Sequence[Period], since: date | None) -> date | None:
    """The same, set-up fees left aside."""
    for segment in segments(events):
        first = max(segment.start, since or segment.start)
        for part in parts:
            if part.start <= first < part.end:
                first = part.end
        if segment.end is None or first < segment.end:
            return first
    return max((part.end for part in parts), default=None)


def is_over(events: Iterable[Event]) -> bool:
    """Whether nothing can become billable any more without a new event: it has ceased."""
    found = list(events)
    return bool(found) and state_on(found, date.max).terms is None


def _by_cadence(all_segments: Sequence[Segment]) -> Iterator[tuple[int, list[Segment]]]:
    for months in sorted({segment.terms.months for segment in all_segments}):
        yield months, [segment for segment in all_segments if segment.terms.months == months]


def _cut(run: Sequence[Segment], cadence: Cadence, today: date) -> Iterator[Slice]:
    """Slices period by period, each price of a period rounded over all its days together."""
    begun = [segment for segment in run if segment.start < cadence.containing(today).end]
    if not begun or begun[0].start > today:
        return
    for period in cadence.between(begun[0].start, today):
        parts = [(part, s.terms) for s in begun if (part := period.clip(s.start, s.end))]
        for terms in dict.fromkeys(terms for _, terms in parts):
            mine = [part for part, other in parts if other == terms]
            for part, amount in zip(mine, prorate_slices(terms.price, mine, period), strict=True):
                if not terms.arrears or part.end <= today:
                    yield Slice(period, part, terms, amount, terms.kind)


def in_order(events: Iterable[Event]) -> list[Event]:
    """By day, and within a day as they were recorded."""
    return sorted(events, key=lambda event: (event.effective, event.seq))
