"""Records that come late, again, without Acct-Session-Time, or with an id that was used before: the end is that of the
records in their order.
"""

from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaa.accounting import postgres
from aaa.accounting.batch import Batch
from aaa.accounting.merge import Session
from aaa.accounting.record import INTERIM, START, STOP, AccountingRecord
from aaa.models import session, session_open, usage_day
from tests.aaa.test_accounting import GIGA, NOON, record, stored, usage, write

Life = list[AccountingRecord]
PLAIN: dict[str, Any] = {"up_giga": None, "down_giga": None}
BIG = 4_000_000_000


def total(records: Life) -> int:
    """Octets down of all days, by the pure merge."""
    batch = Batch([])
    for one in records:
        batch.take(one)
    return sum(down for _up, down in batch.usage.values())


def passed(life: Life) -> int:
    """Octets down of a session whose records are told in their order, however its NAS counts."""
    octets = 0
    for one in life:
        octets += (one.down_low - octets) % GIGA
    return octets


def gigawords(octets: int, form: str) -> int | None:
    """What a NAS sends of a counter's upper half: always, once it is not zero, or never."""
    return None if form == "never" or (form == "later" and octets < GIGA) else octets >> 32


octets_more = st.one_of(st.integers(0, 999), st.integers(GIGA // 8, GIGA // 4 - 10))


@st.composite
def lives(draw: Any) -> list[Life]:
    """The records in their order, session by session, of a NAS that uses one id again and again. It sends gigawords
    always, once they are not zero, or never, and Acct-Session-Time always, not in the Stop, or never. Fewer than 1 GiB
    pass between two records.
    """
    form = draw(st.sampled_from(["always", "later", "never", "never"]))
    timed = draw(st.sampled_from([{START, INTERIM, STOP}, {START, INTERIM}, {START}]))
    lives: list[Life] = []
    begun = NOON
    for number in range(draw(st.integers(1, 3))):
        octets, lasted = 0, 0
        life = [_said(START, begun, 0, 0, form, timed)]
        for step in draw(st.lists(octets_more, max_size=12)):
            lasted += draw(st.integers(5, 900))
            octets += step
            octets += octets % GIGA == 0 < octets  # 0 is what a NAS shows that tells nothing
            life.append(_said(INTERIM, begun, lasted, octets, form, timed))
        lasted += draw(st.integers(5, 300))
        octets += draw(octets_more)
        octets += (3 * number - octets) % 9  # with the octets of another it might be the Stop of that one
        lives.append([*life, _said(STOP, begun, lasted, octets, form, timed)])
        begun += lasted + draw(st.integers(8, 900))
    return lives


def _said(kind: int, begun: float, lasted: int, octets: int, form: str, timed: set[int]) -> AccountingRecord:
    said = {"up_giga": gigawords(octets // 3, form), "down_giga": gigawords(octets, form)}
    time = lasted if kind in timed else 0
    return record(kind, 0, octets // 3, octets, at=begun + lasted, session_time=time, **said)


@st.composite
def again(draw: Any, lives: list[Life]) -> Life:
    """The records in their order; behind each, some of those before come again, dated a second wrong."""
    told: Life = []
    records = [one for life in lives for one in life]
    for number, one in enumerate(records, 1):
        told.append(one)
        for old in draw(st.lists(st.sampled_from(records[:number]), max_size=2)):
            wrong = draw(st.sampled_from([0, 0, 0.6, -0.6]))
            told.append(msgspec.structs.replace(old, at=old.at + wrong))
    return told


@st.composite
def overtaken(draw: Any, lives: list[Life]) -> Life:
    """Of each session's records some come one or two places late, and some come again at its end."""
    told: Life = []
    for life in lives:
        places = [(number + draw(st.sampled_from([0, 0, 1.5, 2.5])), number) for number in range(len(life))]
        told += [life[number] for _place, number in sorted(places)]
        told += draw(st.lists(st.sampled_from(life), max_size=3))
    return told


@given(lives())
@settings(max_examples=100)
def test_in_their_order_records_count_what_passed(lives):
    """Each session is one, ends closed, lasts as long as it did, and its wraps are counted."""
    batch = Batch([])
    for life in lives:
        for one in life:
            batch.take(one)
    told = sorted((one.started_at.timestamp(), one.state, one.session_time) for one in batch.new)
    assert told == [(life[0].at, "closed", int(life[-1].at - life[0].at)) for life in lives]
    assert [one.down_octets for one in sorted(batch.new, key=lambda one: one.started_at)] == [
        passed(life) for life in lives
    ]


@given(st.data(), lives())
@settings(max_examples=200)
def test_what_comes_again_brings_no_octet(data, lives):
    """Across wraps, after the Stop, and while the id is used again."""
    assert total(data.draw(again(lives))) == sum(map(passed, lives))


@given(st.data(), lives())
@settings(max_examples=200)
def test_what_comes_late_counts_once(data, lives):
    """Records of a session that overtake each other, across wraps too; and a Stop that comes before its Start."""
    assert total(data.draw(overtaken(lives))) == sum(map(passed, lives))


@given(st.data(), lives())
@settings(max_examples=200)
def test_no_order_counts_more_than_passed(data, lives):
    """One session's records in any order, and again. From a NAS that sends gigawords always: never less either."""
    messy = data.draw(st.permutations(lives[0])) + data.draw(st.lists(st.sampled_from(lives[0]), max_size=5))
    assert total(messy) <= passed(lives[0])
    assert total(messy) == passed(lives[0]) or lives[0][0].down_giga is None


@given(st.data(), lives())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_both_databases_end_like_the_pure_merge(database, data, lives):
    """The same histories in batches of any size: sessions and usage are those of the pure merge."""
    with database.write() as conn:
        conn.execute(sa.delete(session))
        conn.execute(sa.delete(session_open))
        conn.execute(sa.delete(usage_day))
    messy = data.draw(st.one_of(again(lives), overtaken(lives)))
    pure = Batch([])
    for one in messy:
        pure.take(one)
    size = data.draw(st.integers(1, 4))
    for start in range(0, len(messy), size):
        write(database, *messy[start : start + size])
    rows = [Session(**row._mapping) for row in stored(database)]
    assert sorted(map(_plain, rows)) == sorted(map(_plain, pure.new))
    assert usage(database) == {
        (service, str(day)): tuple(octets) for (service, day), octets in pure.usage.items()
    }


def _plain(one: Session) -> str:
    return repr(msgspec.structs.replace(one, session_ref="", stale=False))


def test_an_interim_sent_again_without_its_delay_brings_no_round(database):
    """A NAS without Acct-Delay-Time repeats an interim from before a wrap: its moment is newer, its time is not."""
    write(database, record(START, **PLAIN), record(INTERIM, 1000, 0, BIG, **PLAIN))
    write(database, record(INTERIM, 1200, 0, 50, **PLAIN))
    write(database, record(INTERIM, 1000, 0, BIG, at=NOON + 1230, **PLAIN))
    assert [row.down_octets for row in stored(database)] == [GIGA + 50]
    assert usage(database) == {("S-1", "2025-11-20"): (0, GIGA + 50)}


def test_late_interims_behind_a_stop_that_tells_no_octets_are_no_wrap(database):
    """They count what they tell."""
    write(database, record(START, **PLAIN), record(STOP, 900, **PLAIN))
    write(database, record(INTERIM, 300, 5, 50, **PLAIN))
    write(database, record(INTERIM, 600, 10, 100, **PLAIN))
    assert usage(database) == {("S-1", "2025-11-20"): (10, 100)}


def test_a_stop_whose_time_is_a_little_less_is_no_wrap_and_is_the_last(database):
    """Stop's time and octets are those of a look a moment before the last interim; octets above it count."""
    for name, octets in ((b"1", 990), (b"2", 1010)):
        write(database, record(START, session_id=name, **PLAIN))
        write(database, record(INTERIM, 600, 0, 1000, session_id=name, **PLAIN))
        write(database, record(STOP, 598, 0, octets, at=NOON + 601, session_id=name, **PLAIN))
        write(database, record(INTERIM, 600, 0, 1000, session_id=name, **PLAIN))
    assert sorted(row.down_octets for row in stored(database)) == [1000, 1010]


def test_a_stop_without_its_time_that_comes_again_ends_nothing_else(database):
    """It was the Stop of the session that it ended, also while its id is used again."""
    stop = record(STOP, 900, 6000, 8000, session_time=0)
    write(database, record(START), record(INTERIM, 600, 5000, 7000), stop)
    write(database, stop)
    write(database, record(START, at=NOON + 950), stop)
    write(database, msgspec.structs.replace(stop, at=stop.at + 1))
    first, second = stored(database)
    assert (first.state, first.inferred, second.state) == ("closed", False, "open")
    assert usage(database) == {("S-1", "2025-11-20"): (6000, 8000)}


def test_a_nas_that_never_tells_the_time_wraps_and_lasts(database):
    """Our own clock says which record is newer, and how long the session lasted."""
    write(database, record(START, **PLAIN))
    for number in (1, 2, 3):
        write(database, record(INTERIM, 600 * number, 0, number * 3_000_000_000, session_time=0, **PLAIN))
        write(database, record(INTERIM, 600, 0, 3_000_000_000, session_time=0, **PLAIN))
    write(database, record(STOP, 2000, 0, 9_000_000_001, session_time=0, **PLAIN))
    (row,) = stored(database)
    assert (row.state, row.session_time, row.down_octets) == ("closed", 2000, 9_000_000_001)


def test_a_stop_without_its_time_that_comes_first_gets_its_start(database):
    """The Start and the interim that come behind it are its own: one session, from that Start on."""
    write(database, record(STOP, 900, 6000, 8000, session_time=0))
    write(database, record(START), record(INTERIM, 600, 5000, 7000))
    (row,) = stored(database)
    assert (row.started_at.timestamp(), row.session_time, row.state) == (NOON, 900, "closed")
    assert usage(database) == {("S-1", "2025-11-20"): (6000, 8000)}


@pytest.mark.parametrize("ended", [{"kind": STOP}, {"kind": 7, "session_id": b"", "service": ""}])
def test_an_id_used_again_lives_whatever_ended_the_one_before(database, ended):
    """A Stop or an Accounting-On 100 s after the Start; the Start that follows is no repetition, and the old Start that
    comes again a second wrong is none of the new session.
    """
    kind = ended["kind"]
    write(database, record(START))
    write(database, record(kind, 100, **{key: value for key, value in ended.items() if key != "kind"}))
    write(database, record(START, at=NOON + 110))
    write(database, record(INTERIM, 60, 7, 9, at=NOON + 170), record(START, at=NOON + 1))
    old, new = stored(database)
    assert (old.state, old.up_octets, new.state, new.up_octets) == ("closed", 0, "open", 7)


def test_an_id_used_again_lives_without_its_start(database):
    """Start and Stop of the old session, then an interim of the new one: its Start was lost."""
    write(database, record(START), record(STOP, 100, 1, 2))
    write(database, record(INTERIM, 60, 7, 9, at=NOON + 200))
    assert [(row.state, row.up_octets) for row in stored(database)] == [("closed", 1), ("open", 7)]


def test_a_start_sent_again_behind_a_stop_is_no_session(database):
    """A session of less than a second, and a Start that comes again dated a second later."""
    write(database, record(START), record(STOP, 0, 1, 2, at=NOON + 0.4), record(START, at=NOON + 1))
    assert [row.state for row in stored(database)] == ["closed"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("other", [{"session_time": 0}, {"session_time": 100, "at": NOON + 200}])
def test_postgresql_leaves_what_may_be_of_another_session(database, other):
    """No Acct-Session-Time, or a start that is not nearly that of the session: the careful way has to look."""
    write(database, record(START))
    one = record(STOP, 20, 5, 6, **other)
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        assert postgres.take(conn, [one]) == ([one], [])
    assert [row.state for row in stored(database)] == ["open"]
