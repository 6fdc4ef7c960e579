"""The timeline folded and cut, and the difference to what is posted: pure."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.charges import Charge, difference, net
from billing.periods import month_index
from billing.tax import Rate
from billing.timeline import RECURRING, Event, EventKind, Terms, ought, segments, state_on
from core.money import Money

START = date(2026, 1, 10)
A = Terms("fibre", "2025a", Money(7900, "AUD"))
B = Terms("slow", "2025a", Money(4900, "AUD"))
Q = Terms("quarterly", "2025a", Money(20000, "AUD"), months=3)

kinds = st.sampled_from([k for k in EventKind if k is not EventKind.ACTIVATED])
later = st.builds(
    lambda offset, kind, terms: (START + timedelta(days=offset), kind, terms),
    st.integers(0, 200), kinds, st.sampled_from([A, B, Q]),
)  # fmt: skip
stories = st.lists(later, max_size=8).map(
    lambda rest: (
        [Event(START, 0, EventKind.ACTIVATED, A)]
        + [
            Event(day, n, kind, terms if kind is EventKind.CHANGED else None)
            for n, (day, kind, terms) in enumerate(rest, 1)
        ]
    )
)
anchors = st.integers(1, 31)
todays = st.integers(0, 300).map(lambda days: START + timedelta(days=days))


def cut(events, anchor=1, today=date(2026, 6, 15), since=None):
    """What ought to be billed."""
    return ought(events, anchor, month_index(START), today, since)


def days_of(slices):
    """Every billed day, one entry each time that it is billed."""
    return [s.part.start + timedelta(days=n) for s in slices for n in range(s.part.days)]


@given(stories, anchors, todays)
def test_invariant_4_billed_intervals_never_overlap(events, anchor, today):
    """No day is billed twice."""
    billed = days_of(cut(events, anchor, today))
    assert len(billed) == len(set(billed))


@given(stories, anchors, todays)
def test_invariant_5_billed_days_are_the_active_ones_that_are_not_blocked(events, anchor, today):
    """Until today every active day is billed, and no other: none before activation, blocked, or ceased."""
    billed = set(days_of(cut(events, anchor, today)))
    for offset in range((today - START).days + 1):
        day = START + timedelta(days=offset)
        assert (day in billed) == (state_on(events, day).billed is not None)
    assert min(billed, default=START) >= START


@given(stories, anchors, todays)
def test_slices_of_a_period_never_cost_more_than_its_dearest_price(events, anchor, today):
    """0 <= slice <= full price of its terms."""
    assert all(0 <= one.amount.minor <= one.terms.price.minor for one in cut(events, anchor, today))


@given(stories, anchors, st.lists(todays, min_size=1, max_size=5), todays)
def test_invariant_13_late_events_and_reruns_end_where_timely_ones_do(events, anchor, runs, final):
    """Events are recorded in the order of their list, with bill runs between them; the net is that of one run."""
    posted: list[Charge] = []
    for number, today in enumerate(sorted(runs)):
        known = events[: 1 + number]
        posted = _run(known, anchor, today, posted)
    late = _run(events, anchor, max(final, *runs), posted)
    timely = _run(events, anchor, max(final, *runs), [])
    assert {c.slice for c in net(late)} == {c.slice for c in net(timely)}
    assert _total(late) == _total(timely)


@given(stories, anchors, todays)
def test_invariant_1_a_second_difference_is_empty(events, anchor, today):
    """What is posted is what ought to be: nothing is left to bill."""
    posted = _run(events, anchor, today, [])
    assert difference(cut(events, anchor, today), posted).is_empty


def test_invariant_8_a_to_b_to_a_in_a_day_nets_nothing():
    """Only the day's last word counts."""
    day = date(2026, 1, 20)
    there_and_back = [Event(day, 1, EventKind.CHANGED, B), Event(day, 2, EventKind.CHANGED, A)]
    activated = Event(START, 0, EventKind.ACTIVATED, A)
    assert cut([activated, *there_and_back]) == cut([activated])


def test_invariant_9_an_upgrade_and_its_reverse_on_one_date_nets_nothing():
    """Recorded days apart, billed in between: what was posted is taken back to the cent."""
    activated, day = Event(START, 0, EventKind.ACTIVATED, B), date(2026, 1, 20)
    up, down = Event(day, 1, EventKind.CHANGED, A), Event(day, 2, EventKind.CHANGED, B)
    posted = _run([activated], 1, date(2026, 1, 20), [])
    before = _total(posted)
    posted = _run([activated, up], 1, date(2026, 1, 21), posted)
    posted = _run([activated, up, down], 1, date(2026, 1, 22), posted)
    assert _total(posted) == before


def test_the_time_that_a_line_is_suspended_by_vacation_is_not_billed():
    """Classic bug: invoices made for the time a line was blocked."""
    events = [
        Event(date(2026, 1, 1), 0, EventKind.ACTIVATED, A),
        Event(date(2026, 2, 1), 1, EventKind.BLOCKED),
        Event(date(2026, 4, 1), 2, EventKind.UNBLOCKED),
    ]
    assert [one.period.start for one in cut(events, today=date(2026, 4, 2))] == [
        date(2026, 1, 1),
        date(2026, 4, 1),
    ]


def test_the_change_day_belongs_to_the_new_state():
    """Pin 2: ceased on the 20th, billed through the 19th."""
    events = [
        Event(date(2026, 1, 1), 0, EventKind.ACTIVATED, A),
        Event(date(2026, 1, 20), 1, EventKind.CEASED),
    ]
    assert [(s.start, s.end) for s in segments(events)] == [(date(2026, 1, 1), date(2026, 1, 20))]


def test_a_set_up_fee_is_billed_once():
    """On the day of activation, and never again."""
    terms = Terms("fibre", "2025a", Money(7900, "AUD"), setup=Money(9900, "AUD"))
    slices = cut([Event(date(2026, 1, 1), 0, EventKind.ACTIVATED, terms)], today=date(2026, 3, 1))
    assert [one.amount.minor for one in slices if one.kind != RECURRING] == [9900]
    assert len(slices) == 4


def _run(events, anchor, today, posted):
    wanted = cut(events, anchor, today)
    found = difference(wanted, posted)
    made = [
        Charge(
            id=f"r{len(posted)}-{n}", item="i", slice=c.slice, revision=c.revision, rate=c.rate, reverses=c.id
        )
        for n, c in enumerate(found.reverse)
    ]
    made += [
        Charge(id=f"p{len(posted)}-{n}", item="i", slice=s, revision=r, rate=Rate("gst", 100_000))
        for n, (s, r) in enumerate(found.post)
    ]
    places = {
        (c.slice.period, c.slice.part.start, c.is_reversal, c.slice.kind, c.revision)
        for c in [*posted, *made]
    }
    assert len(places) == len(posted) + len(made)  # the table's unique key holds
    return [*posted, *made]


def _total(posted):
    return sum(-c.slice.amount.minor if c.is_reversal else c.slice.amount.minor for c in posted)
