"""A session that gets another address, prefix or port block in its middle had each in its own time, and no other's."""

import itertools
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from aaa.accounting.quick import read_quickly
from aaa.accounting.record import (
    ALLOCATED,
    GONE,
    INTERIM,
    LISTED,
    LONGEST_DELAY,
    LONGEST_SESSION,
    START,
    STOP,
    read_record,
)
from aaa.accounting.retention import retain
from aaa.models import session_address
from aaa.radius import packet as wire
from aaa.who import who
from core.db import Database
from tests.aaa.test_accounting import NOON, record, stored, write
from tests.aaa.test_retention import KEPT, at

PUBLIC = "198.51.100.1"
A, B = (PUBLIC, 2048, 3071), (PUBLIC, 9216, 10239)


def ask(database: Database, address: str, seconds: float, port: int | None = None) -> list[tuple[str, str]]:
    """Whose it was so many seconds into the session, and how sure that is."""
    with database.read() as conn:
        found = who(conn, address, datetime.fromtimestamp(NOON + seconds, UTC), port)
    return [(one.service, one.sure) for one in found]


@pytest.mark.parametrize(
    ("what", "first", "second", "inside"),
    [
        ("framed_address", "100.64.1.1", "100.64.1.2", ("100.64.1.1", "100.64.1.2")),
        ("framed_address6", "2001:db8::1", "2001:db8::2", ("2001:db8::1", "2001:db8::2")),
        ("framed_prefix", "2001:db8:1:1::/64", "2001:db8:1:2::/64", ("2001:db8:1:1::9", "2001:db8:1:2::9")),
        ("delegated_prefix", "2001:db8:1::/56", "2001:db8:2::/56", ("2001:db8:1::9", "2001:db8:2::9")),
    ],
)
def test_another_one_in_the_middle_of_a_session(database, what, first, second, inside):
    """Certain while it was reported; likely between the last report of the first and the first of the second."""
    write(database, record(START, **{what: first}))
    write(database, record(INTERIM, 3000, **{what: first}))
    write(database, record(INTERIM, 3600, **{what: second}))
    write(database, record(STOP, 7200, **{what: second}))
    for _round in range(2):  # from sessions, then from history
        assert ask(database, inside[0], 1000) == [("S-1", "certain")]
        assert ask(database, inside[0], 3300) == [("S-1", "likely")]
        assert ask(database, inside[0], 3700) == ask(database, inside[1], 1000) == []
        assert ask(database, inside[1], 3700) == [("S-1", "certain")]
        assert retain(database, KEPT, at(40))
    assert retain(database, KEPT, at(4000))
    with database.read() as conn:
        assert conn.execute(sa.select(session_address)).all() == []


def test_there_and_back_again_and_a_record_that_comes_twice_or_late(database):
    """Each stretch by itself; repetition and lateness change nothing."""
    told = [
        record(START, framed_address="100.64.1.1"),
        record(INTERIM, 600, framed_address="100.64.1.2"),
        record(INTERIM, 1200, framed_address="100.64.1.1"),
        record(INTERIM, 1800, framed_address="100.64.1.1"),
    ]
    for one in (*told, told[1], told[2], told[3]):
        write(database, one)
    assert [ask(database, "100.64.1.1", at) for at in (0, 700, 1300)] == [
        [("S-1", "certain")], [], [("S-1", "certain")],
    ]  # fmt: skip
    assert ask(database, "100.64.1.2", 700) == [("S-1", "likely")]
    with database.read() as conn:
        assert len(conn.execute(sa.select(session_address)).all()) == 3


def test_a_session_that_keeps_its_address_leaves_no_rows(database):
    """Nearly all of them."""
    for after in (600, 1200):
        write(database, record(START, framed_address="100.64.1.1", ports=((*A, LISTED),), **_block(A)))
        write(
            database, record(INTERIM, after, framed_address="100.64.1.1", ports=((*A, LISTED),), **_block(A))
        )
    assert ask(database, PUBLIC, 900, 2500) == [("S-1", "certain")]
    with database.read() as conn:
        assert conn.execute(sa.select(session_address)).all() == []


def _block(one: tuple[str, int, int]) -> dict[str, Any]:
    return {"public_address": one[0], "port_first": one[1], "port_last": one[2]}


def test_blocks_of_ports_are_got_and_given_back(database):
    """Two at once; then the first goes; what an old journal says of one block replaces what there was."""
    write(database, record(START, ports=((*A, ALLOCATED),), **_block(A)))
    write(database, record(INTERIM, 600, ports=((*B, ALLOCATED),), **_block(B)))
    write(database, record(INTERIM, 1200, ports=((*A, GONE),)))
    assert [ask(database, PUBLIC, at, 2500) for at in (300, 900, 1300)] == [
        [("S-1", "certain")], [("S-1", "likely")], [],
    ]  # fmt: skip
    assert [ask(database, PUBLIC, at, 9500) for at in (300, 700, 1300)] == [
        [], [("S-1", "certain")], [("S-1", "likely")],
    ]  # fmt: skip
    write(database, record(INTERIM, 1800, **_block(A)))
    assert ask(database, PUBLIC, 1900, 9500) == []
    assert ask(database, PUBLIC, 1800, 2500) == [("S-1", "certain")]


def test_a_list_is_all_of_it(database):
    """Several blocks in one record, and later only one of them."""
    write(database, record(START, ports=((*A, LISTED), (*B, LISTED)), **_block(A)))
    assert [ask(database, PUBLIC, 0, port) for port in (2500, 9500)] == [[("S-1", "certain")]] * 2
    write(database, record(INTERIM, 600, ports=((*A, LISTED),), **_block(A)))
    assert ask(database, PUBLIC, 700, 9500) == []
    assert ask(database, PUBLIC, 600, 2500) == [("S-1", "certain")]


def test_what_was_given_back_is_not_the_sessions_any_more(database):
    """The only block: the session's own row has none then."""
    write(database, record(START, ports=((*A, ALLOCATED),), **_block(A)))
    write(database, record(INTERIM, 600, ports=((*A, GONE),)))
    assert ask(database, PUBLIC, 700, 2500) == []
    assert ask(database, PUBLIC, 0, 2500) == [("S-1", "certain")]


_events = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 3)), min_size=1, max_size=8)


@given(_events)
def test_at_every_moment_the_address_that_was_told_last(sqlite_template, tmp_path_factory, events):
    """Against a list of what was told, asked at the moment of each record."""
    path = tmp_path_factory.mktemp("held") / "t.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}", durable=False)
    moment, told = 0, [(0, "100.64.1.1")]
    write(database, record(START, framed_address="100.64.1.1"))
    for name, gap in events:
        moment += gap * 60
        address = f"100.64.1.{'xyz'.index(name) + 1}"
        told.append((moment, address))
        write(database, record(INTERIM, moment, framed_address=address))
    for when, address in told:
        for other in ("100.64.1.1", "100.64.1.2", "100.64.1.3"):
            found = ask(database, other, when)
            assert bool(found) == (other == address), (when, other)
    database.close()


def _tlv(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def _range(block: tuple[str, int, int], said: int = 0) -> bytes:
    address = bytes(map(int, block[0].split(".")))
    numbers = [_tlv(9, struct.pack(">I", block[1])), _tlv(10, struct.pack(">I", block[2]))]
    told = _tlv(8, struct.pack(">I", said)) if said else b""
    return wire.pair(241, b"\x06" + told + _tlv(3, address) + b"".join(numbers))


LIMIT = wire.pair(241, b"\x05" + _tlv(2, struct.pack(">I", 1000)))
DAMAGED = wire.pair(241, b"\x06" + _tlv(9, struct.pack(">I", 70000)) + b"\x0a\x01")


@pytest.mark.parametrize(
    ("attributes", "ports"),
    [
        (_range(A), ((*A, LISTED),)),
        (LIMIT + _range(A), ((*A, LISTED),)),
        (_range(A) + _range(B), ((*A, LISTED), (*B, LISTED))),
        (_range(B, 1) + _range(A, 2), ((*B, ALLOCATED), (*A, GONE))),
        (_range(A, 7) + DAMAGED, ((*A, LISTED),)),
        (LIMIT + DAMAGED, ()),
    ],
)
def test_every_port_range_of_a_request_is_read(attributes, ports):
    """RFC 8045, wherever it stands among extended attributes (RFC 6929), and whatever it says."""
    body = wire.pair(40, struct.pack(">I", 3)) + wire.pair(44, b"x") + attributes
    packet = wire.read(wire.request(4, 1, b"secret", body))
    assert packet is not None
    read = read_record(packet, "bng1", "127.0.0.1", NOON)
    assert read is not None
    assert read.ports == ports
    held = next((one[:3] for one in ports if one[3] != GONE), ("", 0, 0))
    assert (read.public_address, read.port_first, read.port_last) == held


@pytest.mark.parametrize("order", list(itertools.permutations((600, 1200, 1800))))
def test_in_whatever_order_records_come_each_moment_has_what_was_told_then(database, order):
    """A, then B twice, then C: what comes late is put between what is known."""
    told = {600: "100.64.1.2", 1200: "100.64.1.2", 1800: "100.64.1.3"}
    write(database, record(START, framed_address="100.64.1.1"))
    for moment in order:
        write(database, record(INTERIM, moment, framed_address=told[moment]))
    for moment, address in {0: "100.64.1.1", **told}.items():
        assert ask(database, address, moment) == [("S-1", "certain")], moment
    assert ask(database, "100.64.1.2", 1500) == [("S-1", "likely")]
    assert ask(database, "100.64.1.3", 1500) == ask(database, "100.64.1.1", 900) == []


def test_a_late_record_of_another_address_makes_the_rest_less_sure(database):
    """The Stop tells the first one again: between the two nobody knows when it came back."""
    write(database, record(START, framed_address="100.64.1.1"))
    write(database, record(STOP, 1800, framed_address="100.64.1.1"))
    assert ask(database, "100.64.1.1", 1000) == [("S-1", "certain")]
    write(database, record(INTERIM, 900, framed_address="100.64.1.2"))
    assert ask(database, "100.64.1.2", 900) == [("S-1", "certain")]
    assert ask(database, "100.64.1.2", 1000) == [("S-1", "likely")]
    assert ask(database, "100.64.1.1", 1000) == []
    assert ask(database, "100.64.1.1", 1800) == [("S-1", "certain")]


def test_a_block_that_was_given_back_does_not_come_back_late(database):
    """Allocated at 600 and given back at 1200, told the other way round."""
    write(database, record(START))
    write(database, record(INTERIM, 1200, ports=((*A, GONE),)))
    write(database, record(INTERIM, 600, ports=((*A, ALLOCATED),), **_block(A)))
    write(database, record(INTERIM, 1800))
    assert ask(database, PUBLIC, 700, 2500) == [("S-1", "likely")]
    assert ask(database, PUBLIC, 1300, 2500) == ask(database, PUBLIC, 1800, 2500) == []


def test_what_is_told_at_one_moment_ends_with_the_last(database):
    """A burst has one moment of arrival."""
    write(database, record(START, framed_address="100.64.1.1"))
    for name in ("2", "1", "2", "1", "2"):
        write(database, record(INTERIM, 600, framed_address=f"100.64.1.{name}"))
    assert (ask(database, "100.64.1.2", 600), ask(database, "100.64.1.1", 600)) == ([("S-1", "certain")], [])
    assert ask(database, "100.64.1.1", 0) == [("S-1", "certain")]


def test_an_address_that_came_later_is_not_the_sessions_from_its_start_on(database):
    """Unless it came soon after it: a BNG may start to account before the address is agreed."""
    for name, moment in (("S-1", 1200), ("S-2", 30)):
        given: dict[str, Any] = {"service": name, "session_id": name.encode()}
        address = f"100.64.2.{name[-1]}"
        write(database, record(START, **given))
        write(database, record(INTERIM, moment, framed_address=address, **given))
        write(database, record(INTERIM, 1800, framed_address=address, **given))
    assert (ask(database, "100.64.2.1", 600), ask(database, "100.64.2.1", 1200)) == ([], [("S-1", "certain")])
    assert ask(database, "100.64.2.2", 10) == [("S-2", "certain")]


def test_a_start_that_comes_late_is_the_start_of_the_first_address(database):
    """The Interims did not say how long the session is there already."""
    write(database, record(INTERIM, 1200, session_time=0, up=1, framed_address="100.64.1.1"))
    write(database, record(INTERIM, 1800, session_time=0, up=2, framed_address="100.64.1.2"))
    write(database, record(START, framed_address="100.64.1.1"))
    assert ask(database, "100.64.1.1", 600) == [("S-1", "certain")]


def test_a_batch_asks_once_for_what_is_known(database):
    """However many of its sessions told of their ports."""
    names = [b"%04d" % number for number in range(50)]
    told = {"ports": ((*A, LISTED),), **_block(A)}
    write(database, *(record(START, session_id=name, service=name.decode(), **told) for name in names))
    said: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *told: said.append(told[2]))
    write(database, *(record(INTERIM, 600, session_id=name, service=name.decode(), **told) for name in names))
    assert len([one for one in said if "session_address" in one]) == 1


@pytest.mark.parametrize(
    ("attribute", "most", "what"), [(41, LONGEST_DELAY, "at"), (46, LONGEST_SESSION, "session_time")]
)
def test_seconds_that_cannot_be_count_as_not_told(attribute, most, what):
    """Acct-Delay-Time and Acct-Session-Time of a century say nothing: nobody is named for all of it."""

    def read(seconds: int) -> float:
        body = b"".join(
            wire.pair(kind, struct.pack(">I", value)) for kind, value in ((40, 3), (attribute, seconds))
        )
        packet = wire.read(wire.request(4, 1, b"secret", body + wire.pair(44, b"x")))
        assert packet is not None
        found = read_record(packet, "bng1", "127.0.0.1", NOON)
        return float(getattr(found, what))

    nothing = read(0)
    assert abs(read(most) - nothing) == most
    assert read(most + 1) == read(2**32 - 1) == nothing


def test_an_address_that_is_none(database):
    """0.0.0.0 is told before there is one, and after it was given back: nobody has it, and the first stays known."""
    write(database, record(START))
    write(database, record(INTERIM, 600, framed_address="100.64.1.1"))
    body = wire.pair(40, struct.pack(">I", 3)) + wire.pair(44, b"0001") + wire.pair(8, bytes(4))
    packet = wire.read(wire.request(4, 1, b"secret", body))
    assert packet is not None
    read = read_record(packet, "bng1", "127.0.0.1", NOON + 1200, ("S-1", "p1", "p1"))
    assert read is not None
    assert read.framed_address == ""
    write(database, read)
    assert (ask(database, "0.0.0.0", 900), ask(database, "100.64.1.1", 700)) == ([], [("S-1", "certain")])


def test_two_services_that_begin_at_one_moment_with_one_id(database):
    """Ids of a NAS that are unique by slot only: both are kept, in one burst or after one another, and found again."""
    starts = [record(START, service=f"S-{number}", session_id=b"") for number in (1, 2, 3)]
    write(database, *starts[:2])
    write(database, starts[2])
    write(database, *starts)
    write(database, record(STOP, 60, service="S-2", session_id=b"", up=5))
    rows = {row.service: (row.state, row.up_octets) for row in stored(database)}
    assert rows == {"S-1": ("open", 0), "S-2": ("closed", 5), "S-3": ("open", 0)}
    assert len(stored(database)) == 3


def _with_prefixes(kind: int, *told: tuple[int, bytes]) -> Any:
    """What is read of a request with these attributes."""
    pairs = ((40, struct.pack(">I", kind)), (44, b"1"), *told)
    packet = wire.read(wire.request(4, 1, b"secret", b"".join(wire.pair(*one) for one in pairs)))
    assert packet is not None
    return read_record(packet, "bng1", "192.0.2.1", NOON)


def _prefix(length: int, *octets: int) -> bytes:
    return bytes((0, length, 0x20, 0x01, 0x0D, 0xB8, *octets))


def test_every_prefix_of_a_request_is_read():
    """The first is the session's, the others beside it: each once, damaged ones and repetitions left out."""
    read = _with_prefixes(
        START, (123, _prefix(56, 1)), (97, _prefix(64, 9)), (123, _prefix(56, 2)), (123, b"\0"),
        (123, _prefix(56, 1)), (123, _prefix(56, 2)), (97, _prefix(64, 8)),
    )  # fmt: skip
    assert (read.framed_prefix, read.delegated_prefix) == ("2001:db8:900::/64", "2001:db8:100::/56")
    assert read.also == (("framed_prefix", "2001:db8:800::/64"), ("delegated_prefix", "2001:db8:200::/56"))
    assert _with_prefixes(START, (123, b"\0"), (123, _prefix(56, 2))).also == (
        ("delegated_prefix", "2001:db8:200::/56"),
    )


@pytest.mark.parametrize("what", ["delegated_prefix", "framed_prefix"])
@pytest.mark.parametrize("begins", [True, False])
def test_several_prefixes_at_once(database, what, begins):
    """Whoever had the second prefix is found as surely as by the first, until the record that tells other ones."""
    one, two, three = "2001:db8:1::/56", "2001:db8:2::/56", "2001:db8:3::/56"
    both: dict[str, Any] = {what: one, "also": ((what, two),)}
    turned: dict[str, Any] = {what: two, "also": ((what, one),)}
    other: dict[str, Any] = {what: one, "also": ((what, three),)}
    write(database, record(START, **(both if begins else dict[str, Any]({what: one}))))
    write(database, record(INTERIM, 600, **both))
    write(database, record(INTERIM, 1200, **turned))
    write(database, record(INTERIM, 1800, **other))
    write(database, record(STOP, 2400, **other))
    for _round in range(2):  # from sessions, then from history
        for inside, seconds in (("2001:db8:1::9", 0), ("2001:db8:2:7::9", 600), ("2001:db8:3:ff::", 1800)):
            assert ask(database, inside, seconds) == [("S-1", "certain")]
        assert ask(database, "2001:db8:2::9", 0) == ([("S-1", "certain")] if begins else [])
        assert ask(database, "2001:db8:2::9", 1500) == [("S-1", "likely")]
        assert ask(database, "2001:db8:2::9", 1900) == ask(database, "2001:db8:3::9", 1700) == []
        retain(database, KEPT, at(40))


def test_the_quick_reader_leaves_several_prefixes_to_the_careful_one():
    """It keeps one value of each attribute."""
    start = wire.pair(40, b"\0\0\0\2") + wire.pair(44, b"1")
    once, twice = (wire.pair(123, _prefix(56, number)) for number in (1, 2))
    assert read_quickly(wire.request(4, 1, b"secret", start + once)) is not None
    assert read_quickly(wire.request(4, 1, b"secret", start + once + twice)) is None


@pytest.mark.parametrize("turned", [False, True])
def test_several_prefixes_of_a_late_record_and_one_that_is_told_no_more(database, turned):
    """A late record ends none of them; one that records leave out is sure until it was last told, and no longer."""
    first, second = ("2001:db8:2::/56", "2001:db8:1::/56")[:: -1 if turned else 1]
    both: dict[str, Any] = {"delegated_prefix": first, "also": (("delegated_prefix", second),)}
    for told in (record(START, **both), record(INTERIM, 600, **both), record(INTERIM, 300, **both)):
        write(database, told)
    for moment in (1200, 1800):
        write(database, record(INTERIM, moment, delegated_prefix=first))
    write(database, record(STOP, 2400, delegated_prefix=first))
    inside = {prefix: prefix.replace("/56", "9") for prefix in (first, second)}
    for seconds in (100, 450, 600):
        assert ask(database, inside[first], seconds) == ask(database, inside[second], seconds)
        assert ask(database, inside[first], seconds) == [("S-1", "certain")]
    assert ask(database, inside[second], 700) == [("S-1", "likely")]
    assert ask(database, inside[first], 2300) == [("S-1", "certain")]


def test_an_address_as_servers_with_one_socket_write_it(database):
    """::ffff:100.64.0.7 is 100.64.0.7 (RFC 4291 section 2.5.5.2)."""
    write(database, record(START, framed_address="100.64.0.7"))
    assert ask(database, "::ffff:100.64.0.7", 0) == ask(database, "100.64.0.7", 0) == [("S-1", "certain")]
