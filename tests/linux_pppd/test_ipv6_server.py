"""The BNG's DHCPv6 and router advertisements, packet by packet: the rendered program itself, without a network."""

import contextlib
import struct
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.linux_pppd.dhcp6 import SOLICIT, ask, message, note, option, program

ADVERTISE, REQUEST, RENEW, REPLY, RELEASE = 2, 3, 5, 7, 8
PREFIX = bytes.fromhex("20010db8400111000000000000000000")
NOW = settings(max_examples=200, deadline=None)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> ModuleType:
    """The program as the BNG gets it, with its files in a folder; ppp0 free, ppp1 held, ppp2 without a prefix."""
    folder: Path = tmp_path_factory.mktemp("ipv6")
    text = program(folder)
    note(folder, "ppp0", pd="2001:db8:4001:1100::/56")
    note(folder, "ppp1", pd="2001:db8:4001:1200::/56", garden="join")
    note(folder, "ppp2")
    made = ModuleType("ipv6_server")
    exec(compile(text, "ipv6_server", "exec"), made.__dict__)
    return made


def told(server: ModuleType, answer: bytes) -> dict[int, bytes]:
    """The options of an answer."""
    return dict(server.options(answer[4:]))


def prefixes(server: ModuleType, answer: bytes) -> list[tuple[bytes, int, int]]:
    """(prefix, length, valid seconds) of the IA_PD."""
    inner = server.options(told(server, answer)[25][12:])
    return [(v[9:25], v[8], struct.unpack("!I", v[4:8])[0]) for code, v in inner if code == 26]


def test_a_prefix_is_offered_requested_renewed_and_released(server: ModuleType):
    """The session's own prefix, whatever the client wished for; the client's words come back."""
    offer = server.answered(message(SOLICIT, ask()), "ppp0")
    assert (offer[0], offer[1:4]) == (ADVERTISE, b"\1\2\3")
    assert prefixes(server, offer) == [(PREFIX, 56, 7200)]
    assert told(server, offer)[1] == b"client"
    ours = option(2, told(server, offer)[2])
    for kind in (REQUEST, RENEW):
        answer = server.answered(message(kind, ours, ask(PREFIX)), "ppp0")
        assert (answer[0], prefixes(server, answer)) == (REPLY, [(PREFIX, 56, 7200)])
    assert server.answered(message(RELEASE, ours, ask(PREFIX)), "ppp0")[0] == REPLY


def test_a_client_in_a_hurry_is_answered_at_once(server: ModuleType):
    """Rapid commit (RFC 8415 section 21.14)."""
    answer = server.answered(message(SOLICIT, option(14, b""), ask()), "ppp0")
    assert answer[0] == REPLY
    assert 14 in told(server, answer)


def test_another_prefix_is_ended_when_it_is_renewed(server: ModuleType):
    """A changed service: the new prefix beside the old one with no time left."""
    ours = option(2, server.DUID)
    old = bytes.fromhex("20010db8999900000000000000000000")
    assert prefixes(server, server.answered(message(RENEW, ours, ask(old)), "ppp0")) == [
        (PREFIX, 56, 7200),
        (old, 56, 0),
    ]


def test_who_is_held_hears_nothing_and_who_has_no_prefix_hears_that(server: ModuleType):
    """NoPrefixAvail (6) lets the client try again later; the garden is silent."""
    assert server.answered(message(SOLICIT, ask()), "ppp1") == b""
    assert server.advertisement("ppp1") == b""
    inner = dict(server.options(told(server, server.answered(message(SOLICIT, ask()), "ppp2"))[25][12:]))
    assert inner[13] == struct.pack("!H", 6)


def test_another_server_s_client_is_left_alone(server: ModuleType):
    """A Request that names another server, or none, is not ours."""
    assert server.answered(message(REQUEST, option(2, b"other"), ask()), "ppp0") == b""
    assert server.answered(message(REQUEST, ask()), "ppp0") == b""
    assert server.answered(bytes([SOLICIT, 1, 2, 3]) + ask(), "ppp0") == b""


def test_the_advertisement_carries_the_interface_s_own_part_of_the_pool(server: ModuleType):
    """ppp0 has the first /64, ppp2 the third; other configuration by DHCPv6."""
    for name, network in (
        ("ppp0", "20010db8300000000000000000000000"),
        ("ppp2", "20010db8300000020000000000000000"),
    ):
        packet = server.advertisement(name)
        assert packet[0] == 134
        assert packet[5] == 0x40
        assert bytes.fromhex(network) in packet


@NOW
@given(octets=st.binary(min_size=4, max_size=120))
def test_no_packet_stops_the_server(server: ModuleType, octets: bytes):
    """Malformed is answered or refused with ValueError, which costs a line in the log."""
    with contextlib.suppress(ValueError):
        assert isinstance(server.answered(octets, "ppp0"), bytes)


@NOW
@given(tail=st.binary(max_size=80), kind=st.sampled_from([SOLICIT, REQUEST, RENEW, RELEASE, 6, 11]))
def test_no_option_stops_the_server(server: ModuleType, tail: bytes, kind: int):
    """The same behind a good beginning."""
    with contextlib.suppress(ValueError):
        server.answered(message(kind, option(2, server.DUID), option(25, tail)), "ppp0")
