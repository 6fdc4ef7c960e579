"""Sessions on both databases: records in any order, bundles, what never started, and the set-based path = `merge`."""

import struct
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aaa.accounting.batch import Batch
from aaa.accounting.merge import Session
from aaa.accounting.record import INTERIM, ON, START, STOP, read_record
from aaa.accounting.store import sweep_silent
from aaa.accounting.usage import Used, between
from aaa.models import session, session_open, usage_day
from aaa.radius import packet as wire
from aaa.radius.packet import pair
from aaa.support import bundle, sessions
from tests.aaa.test_accounting import GIGA, NOON, record, stored, usage, write

DAY = datetime.fromtimestamp(NOON, UTC).date()


def test_an_interim_or_stop_without_start_makes_the_session(database):
    """The Start was lost: the session began when the record's Acct-Session-Time says, and its octets count."""
    write(database, record(INTERIM, 300, 5, 6))
    write(database, record(STOP, 60, 7, 8, session_id=b"0002", service="S-2"))
    first, second = stored(database)
    assert (first.state, second.state) == ("open", "closed")
    assert {row.started_at.timestamp() for row in (first, second)} == {NOON}
    assert usage(database) == {("S-1", str(DAY)): (5, 6), ("S-2", str(DAY)): (7, 8)}


def test_a_session_across_midnight_is_split_by_its_interims(database):
    """What an interim brought belongs to its UTC day."""
    midnight = 12 * 3600
    write(
        database,
        record(START),
        record(INTERIM, midnight - 60, 100, 1),
        record(INTERIM, midnight + 60, 150, 3),
    )
    with database.read() as conn:
        assert between(conn, "S-1", DAY, DAY.replace(day=DAY.day + 1)) == Used(100, 1)
        assert between(conn, "S-1", DAY) == Used(150, 3)
        assert between(conn, "S-1", datetime.fromtimestamp(NOON + midnight, UTC)).total == 52


def test_the_links_of_a_bundle_are_linked_counted_once_and_no_crowd(database):
    """Two links with one Acct-Multi-Session-Id: octets add up once, no mark; a session outside the bundle marks all."""
    links: list[dict[str, Any]] = [{"session_id": name, "multi_session_id": "M1"} for name in (b"a", b"b")]
    write(database, *(record(START, **link) for link in links))
    write(database, *(record(INTERIM, 60, 10, 20, **link) for link in links))
    write(database, *(record(INTERIM, 60, 10, 20, **link) for link in links))
    assert usage(database) == {("S-1", str(DAY)): (20, 40)}
    assert [row.stale for row in stored(database)] == [False, False]
    with database.read() as conn:
        one, other = bundle(conn, sessions(conn, service="S-1")[0])
    assert {one.acct_session_id, other.acct_session_id} == {b"a", b"b"}
    write(database, record(START, session_id=b"c"))
    assert [row.stale for row in stored(database)] == [True, True, True]


def test_the_newest_record_says_the_address_however_late_another_comes(database):
    """An address that changed within a session: a late record does not bring the old one back."""
    write(database, record(START, framed_address="100.64.0.1"))
    write(database, record(INTERIM, 600, framed_address="100.64.0.2"))
    write(database, record(INTERIM, 300, framed_address="100.64.0.1"))
    assert [row.framed_address for row in stored(database)] == ["100.64.0.2"]


def test_a_late_session_of_an_id_that_was_used_again_is_over(database):
    """The older session of a reused id shows up last: it ended when the younger began."""
    write(database, record(START, 7200, session_time=0))
    write(database, record(INTERIM, 5400, 1, 1))
    older, younger = stored(database)
    assert (older.state, older.cause, older.stopped_at) == ("closed", "superseded", younger.started_at)
    assert younger.state == "open"


def test_the_sweep_closes_only_who_missed_three_interims(database):
    """Silent ones are closed, those that were heard live on."""
    write(
        database, record(START, interim=60), record(START, 500, session_id=b"2", session_time=0, interim=60)
    )
    assert sweep_silent(database, datetime.fromtimestamp(NOON + 600, UTC)) == 1
    assert [(row.state, row.cause) for row in stored(database)] == [("closed", "silent"), ("open", "")]


def test_what_the_enforcement_lane_wrote_meanwhile_stays(database):
    """A record that was merged into an older reading of the row changes no policy that it did not change itself."""
    from aaa.accounting import postgres, sqlite

    write(database, record(START, policy_hash="old", wanted_hash="old"))
    with database.write() as conn:
        conn.begin() if not conn.in_transaction() else None
        module: Any = sqlite if database.is_sqlite else postgres
        batch = Batch(module.load(conn, [("bng1", b"0001")]))
        conn.execute(sa.update(session).values(policy_hash="new", stale=False))
        batch.take(record(INTERIM, 60, 5, 5, policy_hash="old", wanted_hash="old"))
        module.save(conn, batch)
    assert [(row.policy_hash, row.up_octets) for row in stored(database)] == [("new", 5)]


kinds = st.sampled_from([START, INTERIM, INTERIM, STOP])


@st.composite
def histories(draw: Any) -> list[Any]:
    """Batches of records of a few sessions of two NASes, shuffled, with repetitions, delays and wraps."""
    records = []
    for name in draw(
        st.lists(st.sampled_from([b"1", b"2", b"\x00\xff"]), min_size=1, max_size=3, unique=True)
    ):
        giga = draw(st.booleans())
        nas = draw(st.sampled_from(["bng1", "bng2"]))
        door = draw(st.sampled_from(["", "bng1"]))
        for step in range(draw(st.integers(1, 5))):
            octets = step * (GIGA // 2 if giga else 100)
            more = {} if giga else {"up_giga": None, "down_giga": None}
            kind = START if step == 0 else draw(kinds)
            address = draw(st.sampled_from(["", "100.64.0.1", "100.64.0.2"]))
            given_: dict[str, Any] = {"wanted_hash": draw(st.sampled_from(["p1", "p1", "p2"]))}
            given_ |= {
                "session_id": name,
                "service": f"S-{name.hex()}",
                "framed_address": address,
                "nas": nas,
                "door": door,
            }
            records.append(record(kind, 100 * step, octets, octets // 2, **given_, **more))
    twice = records + draw(st.lists(st.sampled_from(records), max_size=5))
    shuffled = draw(st.permutations(twice))
    size = draw(st.integers(1, 6))
    return [shuffled[start : start + size] for start in range(0, len(shuffled), size)]


@given(histories())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_set_based_path_ends_like_merge_in_any_batches(database, batches):
    """Written batch by batch, the rows and the usage are those of the pure merge of all records in that order."""
    with database.write() as conn:
        conn.execute(sa.delete(session))
        conn.execute(sa.delete(session_open))
        conn.execute(sa.delete(usage_day))
    pure = Batch([])
    for batch in batches:
        for one in batch:
            pure.take(one)
        write(database, *batch)
    wanted = sorted(_plain(one) for one in pure.new)
    assert sorted(_plain(Session(**row._mapping)) for row in stored(database)) == wanted
    octets = {(service, str(day)): tuple(sums) for (service, day), sums in pure.usage.items()}
    assert usage(database) == octets


def _plain(one: Session) -> str:
    """All fields but the random ref; a mark of a crowd is not the merge's."""
    return repr(msgspec.structs.replace(one, session_ref="", stale=False))


@pytest.mark.parametrize("kind", [START, STOP])
def test_a_packet_is_read_with_its_ipv6_bundle_and_ports(kind):
    """RFC 3162, 4818, 6911, 8045 and Acct-Multi-Session-Id; bits beyond a prefix are zero."""
    tlvs = b"\x03\x06" + bytes((203, 0, 113, 9)) + b"\x09\x06" + struct.pack(">I", 2048)
    tlvs += b"\x0a\x06" + struct.pack(">I", 3071)
    body = pair(40, struct.pack(">I", kind)) + pair(44, b"x") + pair(50, b"M1") + pair(241, b"\x06" + tlvs)
    body += pair(97, b"\x00\x40" + bytes.fromhex("20010db800010002ffff"))
    body += pair(168, bytes.fromhex("20010db8000000000000000000000005"))
    packet = wire.read(wire.request(4, 1, b"s", body))
    assert packet is not None
    read = read_record(packet, "bng1", "127.0.0.1", NOON)
    assert read is not None
    assert (read.framed_prefix, read.framed_address6) == ("2001:db8:1:2::/64", "2001:db8::5")
    assert (read.public_address, read.port_first, read.port_last) == ("203.0.113.9", 2048, 3071)
    assert read.multi_session_id == "M1"
    for odd in (
        b"",
        b"\x06",
        b"\x06\x09\x01",
        b"\x06\x09\x06\x00\x00\xff\xff\x0a\x06\x00\x00\x00\x01",
        b"\x01\x09\x02",
    ):
        packet = wire.read(wire.request(4, 1, b"s", pair(40, struct.pack(">I", kind)) + pair(241, odd)))
        assert packet is not None
        odd_read = read_record(packet, "bng1", "127.0.0.1", NOON)
        assert odd_read is not None
        assert odd_read.port_first == 0


def test_accounting_on_between_records_of_a_batch_closes_what_began_before(database):
    """Start, On and a new Start in one batch: the first is over, the second lives."""
    write(
        database,
        record(START),
        record(ON, at=NOON + 10, session_id=b"", service=""),
        record(START, 20, session_id=b"2", session_time=0),
    )
    assert [(row.acct_session_id, row.state) for row in stored(database)] == [
        (b"0001", "closed"),
        (b"2", "open"),
    ]
