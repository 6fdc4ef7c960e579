"""What a NAS leaves out or sends late: wraps without gigawords, a Stop without its time, ids used again."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aaa.accounting.batch import Batch
from aaa.accounting.record import INTERIM, START, STOP, AccountingRecord
from tests.aaa.test_accounting import GIGA, NOON, record, stored, usage, write

PLAIN: dict[str, Any] = {"up_giga": None, "down_giga": None}
WRAPPED: dict[str, Any] = {"up_giga": None, "down_giga": 1}


def wrapping(told: bool) -> list[AccountingRecord]:
    """4.0 GB, then 50 octets more than 4 GiB, then 60; `told`: gigawords are sent once they are not zero."""
    after = WRAPPED if told else PLAIN
    return [
        record(START, **PLAIN), record(INTERIM, 600, 10, 4_000_000_000, **PLAIN),
        record(INTERIM, 1200, 10, 50, **after), record(STOP, 2000, 10, 60, **after),
    ]  # fmt: skip


@pytest.mark.parametrize("told", [False, True])
def test_a_wrap_counts_once_in_any_order_and_with_any_repetition(told):
    """Each order of a session's records, each of them twice at the end: 4 GiB and 60 octets."""
    for order in permutations(wrapping(told)):
        batch = Batch([])
        for one in (*order, *order):
            batch.take(one)
        (only,) = batch.new
        assert (only.up_octets, only.down_octets, only.state) == (10, GIGA + 60, "closed"), order


@pytest.mark.parametrize("told", [False, True])
def test_a_late_interim_across_a_wrap_adds_nothing_to_the_day(database, told):
    """It comes again with another Acct-Delay-Time, before the Stop and after it."""
    start, first, second, stop = wrapping(told)
    for one in (start, first, second, first, stop, first):
        write(database, one)
    assert [row.down_octets for row in stored(database)] == [GIGA + 60]
    assert usage(database) == {("S-1", "2025-11-20"): (10, GIGA + 60)}


@given(st.lists(st.integers(0, GIGA - 1), min_size=1, max_size=8), st.data())
def test_late_records_of_a_nas_without_gigawords_change_nothing(steps, data):
    """Records in their order, and any of those before come again anywhere: the total is that of the order alone."""
    total, records = 0, [record(START, **PLAIN)]
    for number, step in enumerate(steps, 1):
        total += step
        records.append(record(INTERIM, 300 * number, 0, total % GIGA, **PLAIN))
    tidy, messy = Batch([]), Batch([])
    for number, one in enumerate(records):
        tidy.take(one)
        messy.take(one)
        for again in data.draw(st.lists(st.sampled_from(records[: number + 1]), max_size=2)):
            messy.take(again)
    assert [one.down_octets for one in messy.new] == [one.down_octets for one in tidy.new]
    assert messy.usage == tidy.usage


def test_counters_that_are_left_out_are_no_wrap(database):
    """A Stop without octets after interims that had them keeps what they told."""
    write(
        database, record(START, **PLAIN), record(INTERIM, 600, 500, 700, **PLAIN), record(STOP, 900, **PLAIN)
    )
    assert [(row.up_octets, row.down_octets) for row in stored(database)] == [(500, 700)]


def test_a_stop_without_its_time_ends_the_session_that_lives(database):
    """Acct-Session-Time need not be there (RFC 2866 section 5.13): one session, its octets once."""
    write(database, record(START), record(INTERIM, 600, 5000, 7000))
    write(database, record(STOP, 900, 6000, 8000, session_time=0))
    (row,) = stored(database)
    assert (row.state, row.session_time, row.up_octets, row.down_octets) == ("closed", 900, 6000, 8000)
    assert usage(database) == {("S-1", "2025-11-20"): (6000, 8000)}


def test_an_id_used_again_soon_after_its_stop_is_another_session(database):
    """A BNG that restarted counts from 1 again within five minutes: the new session lives and has its octets; the Stop
    of the old one, repeated late and with another delay, is still the old one's.
    """
    old = [record(START), record(STOP, 100, 7, 9)]
    write(database, *old)
    write(database, record(START, at=NOON + 200))
    write(database, record(STOP, 100, 7, 9, at=NOON + 101))
    write(database, record(INTERIM, 60, 100, 500, at=NOON + 260), record(START, at=NOON + 1))
    first, second = stored(database)
    assert (first.state, first.inferred, first.up_octets) == ("closed", False, 7)
    assert (second.state, second.up_octets, second.down_octets) == ("open", 100, 500)
    assert usage(database) == {("S-1", "2025-11-20"): (107, 509)}
