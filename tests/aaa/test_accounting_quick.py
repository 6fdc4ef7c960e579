"""The short ways of accounting end like the long ones: reading a packet, and merging it in the database."""

import socket
import struct
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import patch

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from aaa.accounting import postgres
from aaa.accounting.arrays import MOMENT, array, column, moment_cell
from aaa.accounting.commit import GroupCommit
from aaa.accounting.journal import Journal
from aaa.accounting.layout import Layouts
from aaa.accounting.merge import merge
from aaa.accounting.record import INTERIM, OFF, ON, START, STOP, AccountingRecord
from aaa.accounting.store import session_of
from aaa.accounting.usual import cells_of, is_usual
from aaa.models import session, session_open
from aaa.observe.latency import Latency
from aaa.opened import follow
from aaa.radius import packet as wire
from aaa.radius.accounts import Accounts
from aaa.radius.deferred import Answer
from aaa.radius.digests import md5_of
from aaa.radius.limits import Limits
from aaa.radius.packet import pair
from aaa.view.records import class_of
from tests.aaa.differential import SOURCES, Three
from tests.aaa.network import SECRET
from tests.aaa.test_accounting import NOON, record, stored, usage, write

ANSWERS = Three().answers
DAY = "2025-11-20"
SAID = ("kind", "nas", "session_id", "service", "most", "reject", "door")


def told(kind: int, service: str = "S-1") -> bytes:
    """The attributes of a usual record."""
    counters = {41: 3, 5: 9} | ({} if kind == START else {42: 7, 43: 8, 46: 60, 52: 1, 53: 2, 49: 2})
    return (
        pair(40, struct.pack(">I", kind)) + pair(44, b"00a1") + pair(1, b"s1@example.net")
        + pair(8, bytes((100, 64, 0, 1))) + class_of(service, "abc") + pair(31, b"02:00:5e:10:00:01")
        + pair(87, b"bond1.101") + pair(123, b"\x00\x38" + bytes.fromhex("20010db8000100"))
        + b"".join(pair(key, struct.pack(">I", value)) for key, value in counters.items())
    )  # fmt: skip


def bare(body: bytes, secret: bytes = SECRET) -> bytes:
    """Signed by its Request Authenticator alone, as most NASes do."""
    head = struct.pack(">BBH", 4, 7, 20 + len(body))
    return head + md5_of(head + bytes(16) + body + secret) + body


def signed(body: bytes, secret: bytes = SECRET) -> bytes:
    """With Message-Authenticator too."""
    return wire.request(4, 7, secret, body)


def same(datagram: bytes, source: str) -> bool:
    """Whether all ways give one record, one reply and one count; True when there is a record."""
    with patch("time.time", return_value=NOON):
        ANSWERS.records, ANSWERS.dropped = Counter(), Counter()
        quick = ANSWERS.accounting(datagram, source)
        counted = ANSWERS.records, ANSWERS.dropped
        ANSWERS.records, ANSWERS.dropped = Counter(), Counter()
        assert ANSWERS.accounting_carefully(datagram, source, NOON) == quick
        assert (ANSWERS.records, ANSWERS.dropped) == counted
    ANSWERS.records, ANSWERS.dropped = Counter(), Counter()
    lightly = ANSWERS.lightly(datagram, source, NOON)
    if lightly is not None:
        light, reply = lightly
        assert (ANSWERS.records, ANSWERS.dropped) == counted
        assert (light.whole(), Answer(reply)) == quick
        whole = light.whole()
        assert is_usual(whole)
        assert light.cells == cells_of(whole)
        assert [getattr(light, name) for name in SAID] == [getattr(whole, name) for name in SAID]
    else:
        assert not ANSWERS.records
        assert not ANSWERS.dropped
    return quick is not None


number = st.integers(0, 2**32 - 1).map(lambda number: struct.pack(">I", number))
prefix = st.builds(
    lambda length, octets: bytes((0, length)) + octets, st.integers(0, 140), st.binary(max_size=16)
)
kinds = st.sampled_from([START, INTERIM, STOP, ON, OFF, 9])
forms = st.sampled_from(
    [bare, signed, lambda body: signed(body) + b"\0\0", lambda body: bare(body, b"other")]
)
strange = st.lists(
    st.tuples(st.sampled_from([1, 8, 25, 26, 33, 40, 42, 44, 46, 80, 123, 241, 99]), st.binary(max_size=20)),
    max_size=4,
).map(lambda pairs: b"".join(pair(*one) for one in pairs))


@pytest.mark.parametrize("kind", [START, INTERIM, STOP])
@pytest.mark.parametrize("form", [bare, signed])
def test_a_usual_record_takes_the_short_way(kind, form):
    """Both forms of signing, from NASes of every rule."""
    for source in SOURCES:
        nas = ANSWERS._nases.at(source)
        assert nas is not None
        datagram = form(told(kind), nas.secrets[-1])
        assert ANSWERS._account_quickly(datagram, nas, NOON) is not None
        assert same(datagram, source)
        assert ANSWERS.lightly(datagram, source, NOON) is not None


@settings(max_examples=300, deadline=None)
@given(
    kinds,
    forms,
    strange,
    st.booleans(),
    st.sampled_from(["S-1", "S-3", "S-99", "v-1"]),
    st.sampled_from(SOURCES),
)
def test_strange_records_are_read_alike(kind, form, extra, before, service, source):
    """Repeated, short and unknown attributes, other Classes, vendors' attributes, Proxy-State, wrong signatures."""
    for one in (INTERIM, kind):  # the first one teaches a layout to the second
        body = told(one, service)
        same(form(extra + body if before else body + extra), source)


values = {
    1: st.text(max_size=9).map(str.encode), 8: st.binary(min_size=4, max_size=4), 41: number, 49: number, 5: number,
    31: st.binary(max_size=9), 42: number, 43: number, 44: st.binary(max_size=9), 46: number, 52: number, 53: number,
    87: st.text(max_size=9).map(str.encode), 97: prefix, 123: prefix, 168: st.binary(min_size=16, max_size=16),
}  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([START, INTERIM, STOP]), min_size=2, max_size=3),
    st.permutations(sorted(values)),
    st.integers(0, len(values)),
    st.data(),
)
def test_one_layout_says_all_that_its_attributes_hold(some, order, count, data):
    """Any plain attributes in any order and of any value: the cells are those of the record."""
    drawn = {key: data.draw(values[key]) for key in order[:count]}
    for kind in some:
        body = pair(40, struct.pack(">I", kind)) + class_of("S-1", "abc")
        body += b"".join(pair(key, value) for key, value in drawn.items())
        assert same(bare(body), SOURCES[0])
        drawn = {key: bytes(len(value)) for key, value in drawn.items()}


def test_layouts_have_an_end():
    """Many layouts of one length: two of them are kept, and every record is right."""
    ANSWERS._layouts = Layouts()
    for index in range(40):
        body = told(INTERIM) + pair(26, bytes(6 + index)) + pair(26, bytes(46 - index))
        assert same(bare(body), SOURCES[0])
    assert [len(alike) for alike in ANSWERS._layouts._known.values()] == [2]


@settings(max_examples=300, deadline=None)
@given(kinds, forms, st.integers(0, 300), st.integers(0, 255))
def test_a_damaged_record_is_dropped_for_the_same_reason(kind, form, at, octet):
    """Any octet changed."""
    datagram = form(told(kind))
    at %= len(datagram)
    same(datagram[:at] + bytes((octet,)) + datagram[at + 1 :], SOURCES[0])


@given(st.lists(st.floats(0, 4e9), min_size=1, max_size=5))
def test_moments_are_rounded_like_datetimes(seconds):
    """To the microsecond, in the same direction."""
    moments = column(MOMENT, [moment_cell(one) for one in seconds])
    assert moments == array(MOMENT, [datetime.fromtimestamp(one, UTC) for one in seconds])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kind", [INTERIM, STOP])
def test_postgresql_takes_the_usual_record_itself(database, kind):
    """Counters, state and the day's octets are right, and nothing is left for the careful way."""
    write(database, record(START, wanted_hash="p2"), record(START, session_id=b"2", service="S-2"))
    some = [record(kind, 60, 5, 6, wanted_hash="p2"), record(kind, 60, 1, 0, session_id=b"2", service="S-2")]
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        assert postgres.take(conn, some) == ([], [])
    rows = [(row.state, row.stale, row.up_octets, row.session_time) for row in stored(database)]
    ends = "closed" if kind == STOP else "open"
    assert rows == [(ends, kind == INTERIM, 5, 60), (ends, False, 1, 60)]
    assert usage(database) == {("S-1", "2025-11-20"): (5, 6), ("S-2", "2025-11-20"): (1, 0)}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "other",
    [
        {"service": "S-2"}, {"session_time": 2000}, {"wanted_hash": "p2"}, {"framed_address": "100.64.0.9"},
        {"metered": True}, {"multi_session_id": "M"}, {"port_first": 1024}, {"up_giga": None}, {"nas": "bng2"},
        {"up_giga": 1 << 24}, {"at": NOON - 5, "session_time": 0}, {"session_id": b"9"},
    ],
)  # fmt: skip
def test_postgresql_leaves_what_changes_more(database, other):
    """Another service, start, policy, address, a quota, a bundle, ports, no gigawords: the careful way has to look."""
    write(database, record(START, framed_address="100.64.0.1"))
    before = stored(database)
    one = record(INTERIM, 60, 5, 6, **({"up_giga": 0} | other))
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        assert postgres.take(conn, [one]) == ([one], [])
    assert stored(database) == before


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    "given",
    [
        {}, {"wanted_hash": "p2"}, {"policy_hash": "", "wanted_hash": "p2"}, {"up_giga": 0}, {"circuit": b"olt 1/1"},
        {"multi_session_id": "M"}, {"delegated_prefix": "2001:db8::/56", "framed_address6": "2001:db8::1"},
        {"nas_port": 2**32 - 1, "nas_port_id": "bond1.101", "interim": 30}, {"metered": True},
        {"reject": True, "most": 2}, {"session_id": b"\xff\x00", "login": "s1@example.net", "calling": "02"},
    ],
)  # fmt: skip
def test_postgresql_begins_the_session_that_merge_makes(database, given):
    """Every column; and what limits have to know of it."""
    one = record(START, **given)
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        rest, [(taken, ref)] = postgres.take(conn, [one])
    assert (rest, taken) == ([], one)
    [row] = stored(database)
    wanted = msgspec.structs.replace(merge(None, one).session, session_ref=ref)
    assert session_of(row) == wanted
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        assert postgres.take(conn, [one]) == ([one], [])
    assert len(stored(database)) == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_postgresql_says_which_starts_it_left(database):
    """Of three, one is of an id that the NAS has used; counters at a Start are for the careful way."""
    write(database, record(START, session_id=b"2", at=NOON - 4000))
    some = [record(START, session_id=b"%d" % number, service=f"S-{number}") for number in (1, 2, 3)]
    counted = record(START, 0, 5, 6, session_id=b"4")
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        rest, begun = postgres.take(conn, [*some, counted])
    assert rest == [counted, some[1]]
    assert [one for one, _ref in begun] == [some[0], some[2]]
    refs = {ref for _one, ref in begun}
    assert refs == {row.session_ref for row in stored(database) if row.acct_session_id != b"2"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_older_session_of_an_id_is_left_to_the_careful_way(database):
    """However it came to be open beside a younger one of its NAS; one of another NAS is no reason."""
    older, younger = record(START, at=NOON - 4000), record(START)
    write(
        database, older, younger, record(START, nas="bng0", session_id=b"0002", at=NOON + 500, service="S-2")
    )
    with database.write() as conn:
        conn.execute(sa.update(session).values(state="open", inferred=False, stopped_at=None))
        follow(conn, conn.scalars(sa.select(session.c.session_ref)))
    late, now = record(INTERIM, at=NOON - 3940, session_time=60), record(INTERIM, 60)
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        assert postgres.take(conn, [late]) == ([late], [])
        assert postgres.take(conn, [now]) == ([], [])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_one_service_of_several_sessions_has_one_sum_a_day(database):
    """In one batch, on a day that is new, and again on the day that is there; a door's octets are not counted."""
    names = [b"1", b"2", b"3"]
    write(database, *[record(START, session_id=name, nas=f"bng{name.decode()}", most=3) for name in names])
    for step in (1, 2):
        some = [
            record(INTERIM, 60 * step, 5 * step, 6, session_id=name, nas=f"bng{name.decode()}", door="bng3")
            for name in names
        ]
        with database.write() as conn:
            conn.begin() if not conn.in_transaction() else None
            assert postgres.take(conn, some) == ([], [])
    assert usage(database) == {("S-1", DAY): (20, 12)}


def test_a_light_record_is_stored_as_the_record_that_it_is(database, tmp_path):
    """By either database; and the journal keeps the whole record."""
    lights = []
    for kind in (START, INTERIM, STOP):
        ANSWERS.accounting(bare(told(kind)), SOURCES[0])  # teaches the layout
        read = ANSWERS.lightly(bare(told(kind)), SOURCES[0], NOON + kind * 60)
        assert read is not None
        lights.append(read[0])
    commit = GroupCommit(database, Journal(tmp_path))
    for light in lights:
        write(database, light)
    [stops] = stored(database)
    ours = {**stops._mapping, "session_ref": ""}
    with database.write() as conn:
        conn.execute(sa.delete(session))
        conn.execute(sa.delete(session_open))
    for light in lights:
        write(database, light.whole())
    assert [{**row._mapping, "session_ref": ""} for row in stored(database)] == [ours]
    assert usage(database) == {("S-1", DAY): (2 * ((1 << 32) + 7), 2 * ((2 << 32) + 8))}
    assert commit._journalled(lights)
    kept: list[AccountingRecord] = []
    assert commit._journal.drain(kept.extend) == 3
    assert kept == [light.whole() for light in lights]


def test_records_that_came_together_have_one_moment():
    """A Start that only the careful way reads is not after the Stop behind it, which takes the short way."""
    read: list[AccountingRecord] = []
    start, stop = bare(told(START) + pair(26, bytes(8))), bare(told(STOP))
    ANSWERS.accounting(stop, SOURCES[0])  # teaches the layout

    class Commit:
        def submit_all(self, some):
            read.extend(one.whole() for one in some.records)

    watched = SimpleNamespace(latency={"accounting": Latency()}, repeated=0)
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    accounts = Accounts(port, ANSWERS, Commit(), watched, Limits())  # type: ignore[arg-type]
    with patch("time.time", side_effect=[NOON, NOON + 1, NOON + 2]):
        accounts._take([(start, (SOURCES[0], 1)), (stop, (SOURCES[0], 1))])
    port.close()
    assert [one.kind for one in read] == [START, STOP]
    assert {one.at for one in read} == {NOON - 3}
