"""What is taken from prepaid grants, and when what a batch used was used."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from aaa.accounting.record import INTERIM, START, STOP
from aaa.limits.quota import Grant, Use, left, spend
from aaa.models import usage_change
from core.db import Database
from tests.aaa.test_accounting import record, write

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
GB = 10**9


def _held(*grants: tuple[int, int]) -> list[Grant]:
    """Grants of (octets, seconds), which end one after the other."""
    begun = NOON - timedelta(hours=len(grants))
    return [
        Grant(begun + timedelta(minutes=number), NOON + timedelta(days=1 + number), *one)
        for number, one in enumerate(grants)
    ]


def _left(held: list[Grant], used: dict[datetime, Use]) -> list[tuple[int, int]]:
    return [(octets, seconds) for _one, octets, seconds in left(held, used, NOON)]


@pytest.mark.parametrize(
    ("grants", "octets", "seconds", "remains"),
    [
        ([(GB, 0)] * 3, 29 * GB // 10, 0, [(GB // 10, 0)]),
        ([(0, 3600)] * 2, 0, 7000, [(0, 200)]),
        ([(GB, 3600), (GB, 3600)], GB + 500, 1200, [(GB - 500, 3600)]),
        ([(0, 0), (GB, 0)], 5 * GB, 60, [(0, 0), (GB, 0)]),
        ([(GB, 0), (0, 60)], 3 * GB, 90, []),
    ],
)
def test_a_use_that_one_grant_cannot_bear_goes_on_with_the_next(grants, octets, seconds, remains):
    """Each gives what it has left; a grant of days only gives anything."""
    held, used = _held(*grants), dict[datetime, Use]()
    spend(held, used, (octets // 3, octets - octets // 3), seconds, NOON)
    assert _left(held, used) == remains
    assert sum(use.up for use in used.values()) == octets // 3
    assert sum(use.counted("total") for use in used.values()) == octets
    assert sum(use.seconds for use in used.values()) == seconds


_grants = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=4)
_uses = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)), max_size=6)


@given(_grants, _uses)
def test_nothing_that_was_used_is_forgiven(grants, uses):
    """All of it is on the grants, and only the last of those that are used up has more than it granted."""
    held, used = _held(*grants), dict[datetime, Use]()
    for up, down, seconds in uses:
        spend(held, used, (up, down), seconds, NOON)
        assert all(use.up >= 0 and use.down >= 0 and use.seconds >= 0 for use in used.values())
    for number, name in enumerate(("up", "down", "seconds")):
        assert sum(getattr(use, name) for use in used.values()) == sum(one[number] for one in uses)
    over = [
        one for one in held
        if (use := used.get(one.start)) is not None
        and ((one.octets and use.counted("total") > one.octets) or (one.seconds and use.seconds > one.seconds))
    ]  # fmt: skip
    assert len(over) <= 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 40), st.integers(1, 5))
def test_in_one_piece_or_in_many_the_same_is_left(grants, octets, pieces):
    """A batch after an outage is one piece, interims are many."""
    held = _held(*((one, 0) for one in grants))
    at_once, in_pieces = dict[datetime, Use](), dict[datetime, Use]()
    spend(held, at_once, (0, octets), 0, NOON)
    for number in range(pieces):
        spend(held, in_pieces, (0, octets * (number + 1) // pieces - octets * number // pieces), 0, NOON)
    assert _left(held, at_once) == _left(held, in_pieces)


def test_a_batch_over_a_periods_end_is_counted_on_both_sides(database: Database):
    """Each record at its own moment: what came before midnight is the old month's."""
    midnight = datetime(2026, 12, 1, tzinfo=UTC)
    at = midnight.timestamp()
    write(database, record(START, at=at - 7200, session_time=0, metered=True))
    write(
        database,
        record(INTERIM, 3600, at=at - 3600, down=900, metered=True),
        record(INTERIM, 7199, at=at - 1, down=1900, metered=True),
        record(STOP, 7800, at=at + 600, down=1901, metered=True),
    )
    with database.read() as conn:
        rows = conn.execute(sa.select(usage_change).order_by(usage_change.c.at)).all()
    assert [(row.at < midnight, row.down_octets, row.seconds, row.ended) for row in rows] == [
        (True, 900, 3600, False), (True, 1000, 3599, False), (False, 1, 601, True),
    ]  # fmt: skip
