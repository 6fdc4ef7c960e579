"""What decides about the spool: who goes past whom, and what a failure says."""

from hypothesis import given
from hypothesis import strategies as st

from aaa.proxy import tries
from aaa.proxy.order import Blocked, Lane, by_nas, lane_of
from aaa.proxy.spool import Entry
from aaa.proxy.tries import Tries, is_away, is_hopeless, is_old, may_begin, one_more
from tests.aaa.taker import ON, STOP, entry


def test_a_lane_is_a_session_of_a_nas_or_the_nas_itself():
    """What cannot be read, or names no session, has a lane of its NAS."""
    assert lane_of(entry("s", STOP)) == Lane("bng1", b"s")
    assert lane_of(entry("", ON, "bng2")) == lane_of(entry("s", 8, "bng2")) == Lane("bng2", None)
    assert lane_of(entry("")) == lane_of(Entry("r", b"?", "bng1", 0.0)) == Lane("bng1", b"")


def test_steps_of_a_nas_are_what_lies_between_its_restarts():
    """Other NASes have their own, and what is gone is left out."""
    some = [entry("a"), entry("b"), entry("x", nas="bng2"), entry("", ON), entry("a", STOP), entry("b", STOP)]
    found = [[sorted((lane.session or b"-", place) for lane, placed in step.items() for place, _ in placed)
              for step in steps] for steps in by_nas(some, {1})]  # fmt: skip
    assert found == [[[(b"a", 0)], [(b"-", 3)], [(b"a", 4), (b"b", 5)]], [[(b"x", 2)]]]


def test_a_session_that_waits_holds_itself_and_a_restart_of_its_nas():
    """A restart that waits holds all of its NAS."""
    blocked, one, other = Blocked(), Lane("bng1", b"1"), Lane("bng1", b"2")
    restart, elsewhere = Lane("bng1", None), Lane("bng2", None)
    assert not blocked.holds(restart)
    blocked.block(one)
    assert [blocked.holds(lane) for lane in (one, other, restart, elsewhere)] == [True, False, True, False]
    blocked.block(restart)
    assert [blocked.holds(lane) for lane in (one, other, restart, elsewhere)] == [True, True, True, False]


def test_only_a_server_that_takes_others_makes_a_record_hopeless():
    """Ten tries and ten others; while nobody is taken nothing counts, however long that is."""
    assert is_hopeless(Tries(10, 5), delivered=15)
    assert not is_hopeless(Tries(9, 5), delivered=100)
    assert not is_hopeless(Tries(100, 5), delivered=14)
    found = Tries(0, 0)
    for failure in range(1, 1000):
        found = one_more(found, delivered=7, in_a_row=failure)
    assert found == Tries(0, 7)
    assert one_more(found, delivered=8, in_a_row=1) == Tries(1, 7)


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 2000))
def test_a_pass_begins_few_when_the_server_looks_away_and_never_too_many(in_a_row, begun, waiting):
    """Memory is bounded, and there is always some other to be tried."""
    assert not may_begin(in_a_row, begun, tries._MOST)
    assert may_begin(in_a_row, 0, tries._MOST - 1)
    if is_away(in_a_row) and begun >= tries._FEW:
        assert not may_begin(in_a_row, begun, waiting)


def test_nobody_waits_for_more_than_a_week():
    """To the second."""
    assert not is_old(1000.0, 1000.0 + 7 * 86400)
    assert is_old(1000.0, 1001.0 + 7 * 86400)
