"""Periods and proration: pure arithmetic of dates."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import TimeZoneUnknown
from billing.periods import Cadence, Period, clamped, local_date, month_index
from billing.proration import prorate, prorate_slices
from core.money import Money

days = st.dates(date(1990, 1, 1), date(2090, 1, 1))
anchors = st.integers(1, 31)
months = st.sampled_from([1, 3, 6, 12])
prices = st.integers(0, 10**9).map(lambda minor: Money(minor, "AUD"))


@given(anchors, months, days, st.integers(0, 400))
def test_invariant_10_each_period_starts_at_the_anchor_clamped_into_its_own_month(anchor, step, day, k):
    """Period k's start depends on k alone: walking there changes nothing."""
    cadence = Cadence(anchor, step, month_index(day))
    assert cadence.start(k) == clamped(anchor, month_index(day) + k * step)
    assert cadence.start(k).day in (anchor, (cadence.start(k) + timedelta(days=1) - timedelta(days=1)).day)


@given(anchors, months, days, st.integers(1, 60))
def test_invariant_11_n_periods_tile_their_months_without_gap_or_overlap(anchor, step, day, n):
    """The end of each period is the start of the next."""
    cadence = Cadence(anchor, step, month_index(day))
    periods = [cadence.period(k) for k in range(n)]
    assert all(one.end == two.start for one, two in itertools.pairwise(periods))
    assert sum(period.days for period in periods) == (cadence.start(n) - cadence.start(0)).days


@given(anchors, months, days)
def test_a_day_lies_in_the_period_that_contains_it(anchor, step, day):
    """`containing` finds the one period with start <= day < end."""
    period = Cadence(anchor, step, 5).containing(day)
    assert period.start <= day < period.end


def test_jan_31_then_feb_28_then_mar_31():
    """Classic bug: an anchor of 31 that sticks to 28 after February, or stops after March."""
    cadence = Cadence(31, 1, month_index(date(2026, 1, 31)))
    starts = [cadence.start(k) for k in range(5)]
    assert starts == [
        date(2026, 1, 31),
        date(2026, 2, 28),
        date(2026, 3, 31),
        date(2026, 4, 30),
        date(2026, 5, 31),
    ]


def test_jan_31_then_feb_29_in_a_leap_year():
    """February 2028 has a 29th."""
    assert Cadence(31, 1, month_index(date(2028, 1, 1))).start(1) == date(2028, 2, 29)


def test_a_quarter_is_prorated_over_its_own_days():
    """Classic bug: 42 or 87 days of a 91-day quarter as the denominator."""
    quarter = Cadence(1, 3, month_index(date(2026, 4, 1))).period(0)
    assert quarter.days == 91
    part = Period(date(2026, 5, 1), quarter.end)
    assert prorate(Money(9100, "AUD"), part, quarter) == Money(6100, "AUD")


@given(prices, anchors, days, st.integers(0, 31), st.integers(0, 31))
def test_invariant_7_a_prorated_price_is_never_below_nothing_nor_above_the_whole(
    price, anchor, day, cut, more
):
    """0 <= prorated <= full, for any part."""
    full = Cadence(anchor).containing(day)
    part = full.clip(full.start + timedelta(days=cut), full.start + timedelta(days=cut + more))
    if part is not None:
        assert 0 <= prorate(price, part, full).minor <= price.minor


@given(prices, anchors, days, st.lists(st.integers(0, 31), max_size=31))
def test_invariant_6_splitting_a_part_bills_the_same(price, anchor, day, cuts):
    """Slices add up to the unsplit amount; each is within a minor unit of its own price, none below nothing."""
    full = Cadence(anchor).containing(day)
    edges = sorted({full.start, full.end, *(full.start + timedelta(days=min(c, full.days)) for c in cuts)})
    slices = [Period(a, b) for a, b in itertools.pairwise(edges)]
    amounts = prorate_slices(price, slices, full)
    assert sum(amount.minor for amount in amounts) == price.minor
    for part, amount in zip(slices, amounts, strict=True):
        assert abs(amount.minor - prorate(price, part, full).minor) <= 1
        assert 0 <= amount.minor <= price.minor


@given(
    st.integers(788_918_400, 2_366_841_600).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(["Pacific/Apia", "UTC", "America/New_York"]),
)
def test_invariant_12_only_the_local_date_of_the_account_matters(moment, host_zone):
    """The same moment told in another zone falls on the same local date."""
    assert local_date(moment, "Australia/Perth") == local_date(
        moment.astimezone(ZoneInfo(host_zone)), "Australia/Perth"
    )


def test_local_midnight_decides_the_day_across_a_change_to_summer_time():
    """Classic bug: an hour of difference bills the day before."""
    assert local_date(datetime(2026, 10, 3, 14, 0, tzinfo=UTC), "Australia/Sydney") == date(2026, 10, 4)
    assert local_date(datetime(2026, 10, 3, 13, 59, tzinfo=UTC), "Australia/Sydney") == date(2026, 10, 3)


@pytest.mark.parametrize("name", ["Perth", "Australia/Nowhere", "", "../etc/passwd"])
def test_an_unknown_time_zone_is_named(name):
    """The error says which zone is unknown."""
    with pytest.raises(TimeZoneUnknown, match="IANA"):
        local_date(datetime(2026, 1, 1, tzinfo=UTC), name)
