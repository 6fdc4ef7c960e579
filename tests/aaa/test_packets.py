"""Packets: what is dropped, what is signed, and that both codecs agree."""

import hashlib
import secrets
import struct

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aaa.models import session
from aaa.radius import packet as wire
from aaa.radius.credentials import hide, hider, reveal
from aaa.radius.packet import pair, read
from aaa.radius.slow import read_slowly, reply_slowly
from aaa.vendors.policy import Policy
from aaa.vendors.registry import names, reply_block
from tests.aaa.network import SECRET, settings_in, write_snapshot

attribute = st.tuples(st.integers(1, 255).filter(lambda kind: kind != 80), st.binary(max_size=40))
bodies = st.lists(attribute, max_size=12).map(lambda pairs: b"".join(pair(*one) for one in pairs))


def ask(body: bytes = b"", authenticator: bytes = bytes(range(16))) -> bytes:
    return wire.request(wire.ACCESS_REQUEST, 7, SECRET, body, authenticator)


def test_malformed_packets_are_dropped():
    """Length below 20, above 4096 or above the datagram; an attribute shorter than 2 or over the end."""
    good = ask(pair(1, b"bob"))
    assert read(good) is not None
    assert read(good[:19]) is None
    assert read(good[:-1]) is None
    assert read(b"\x01\x00\x00\x13" + bytes(16)) is None
    assert read(b"\x01\x00\x10\x01" + bytes(4093)) is None
    for tail in (b"\x01", b"\x01\x00", b"\x01\x01", b"\x01\x05ab"):
        length = 20 + len(tail)
        assert read(b"\x01\x00" + struct.pack(">H", length) + bytes(16) + tail) is None
    padded = read(good + b"padding")
    assert padded is not None
    assert padded.raw == good


@settings(max_examples=400)
@given(st.binary(max_size=300))
@example(b"")
def test_no_octets_make_the_reader_raise(octets):
    """Whatever comes, the reader answers a packet or None; the slow one too."""
    read(octets)
    read_slowly(octets, SECRET)


@settings(max_examples=300)
@given(bodies)
def test_both_codecs_read_the_same(body):
    """The fast reader and pyrad's give the same attributes (pyrad keeps values by attribute, so compare sorted)."""
    fast, slow = read(ask(body)), read_slowly(ask(body), SECRET)
    assert fast is not None
    if slow is not None:
        assert (fast.code, fast.identifier, fast.authenticator) == (
            slow.code,
            slow.identifier,
            slow.authenticator,
        )
        assert comparable(fast) == comparable(slow)


def comparable(packet) -> list:
    """Attributes as a sorted list; a Vendor-Specific is taken apart, as pyrad does."""
    found: list = []
    for kind, value in packet.pairs:
        inner = wire.vendor_pairs(value) if kind == 26 else []
        found += [(26, *one) for one in inner] or [(kind, value)]
    return sorted(map(repr, found))


@pytest.mark.parametrize("vendor", names())
@pytest.mark.parametrize("garden", [False, True])
def test_both_codecs_write_the_same_reply(vendor, garden):
    """For every vendor's reply, with Proxy-State, both replies say the same and are signed rightly; octet for octet
    where no attribute comes back after another (pyrad groups them).
    """
    block = reply_block(vendor, Policy(down=10**8, up=10**7, garden=garden, pool4="cgn", pd="2001:db8::/56"))
    asked = read(ask(pair(1, b"bob") + pair(33, b"p1") + pair(33, b"p2")))
    assert asked is not None
    fast, slow = wire.reply(2, asked, SECRET, block), reply_slowly(2, asked, SECRET, block)
    one, other = read(fast), read(slow)
    assert one is not None
    assert other is not None
    assert without_ma(one) == without_ma(other)
    assert wire.reply_is_right(one, asked, SECRET)
    assert wire.reply_is_right(other, asked, SECRET)
    assert vendor == "cisco" or fast == slow


@settings(max_examples=100)
@given(st.binary(min_size=1, max_size=128).filter(lambda clear: not clear.endswith(b"\0")))
def test_pap_passwords_of_any_length_come_back(clear):
    """What is hidden in sixteens is revealed, up to 128 octets; other lengths are none."""
    authenticator = secrets.token_bytes(16)
    assert reveal(hide(clear, SECRET, authenticator), SECRET, authenticator) == clear
    assert reveal(b"x" * 17, SECRET, authenticator) is None
    assert reveal(b"x" * 144, SECRET, authenticator) is None


def without_ma(packet) -> list:
    """What a reply says, but for its signature."""
    return [one for one in comparable(packet) if not one.startswith("(80,")]


class Raw:
    """Datagrams to a server in process, without any client's manners."""

    def __init__(self, answers) -> None:
        self.answers = answers

    def access(self, datagram: bytes, source: str = "127.0.0.1"):
        return self.answers.access(datagram, source)


@pytest.fixture
def raw(server):
    """The answers of a running worker, asked directly."""
    return Raw(server.worker.answers)


def unsigned(body: bytes) -> bytes:
    """An Access-Request without Message-Authenticator."""
    return b"\x01\x07" + struct.pack(">H", 20 + len(body)) + bytes(range(16)) + body


def login(secret: bytes = SECRET) -> bytes:
    return pair(1, b"s1@example.net") + pair(2, hide(b"pw-1", secret, bytes(range(16))))


def test_the_source_address_decides_the_secret(raw):
    """An unknown source is dropped, whatever NAS-IP-Address says."""
    assert raw.access(ask(login() + pair(4, bytes([127, 0, 0, 1]))), "127.0.0.77") is None
    assert raw.answers.dropped["unknown-nas"] == 1
    assert raw.access(ask(login() + pair(4, bytes([10, 0, 0, 1])))) is not None


def test_message_authenticator_is_verified_and_required_where_the_nas_says_so(raw):
    """Wrong: dropped. Missing: dropped for `require`, taken for `auto`, unless Proxy-State or EAP is there."""
    assert raw.access(wire.request(1, 7, b"wrong", login(), bytes(range(16)))) is None
    assert raw.access(unsigned(login())) is None
    assert raw.access(unsigned(login()), "127.0.0.2") is not None
    assert raw.access(unsigned(login() + pair(33, b"p")), "127.0.0.2") is None
    assert raw.access(unsigned(pair(1, b"x") + pair(79, b"eap")), "127.0.0.2") is None
    assert raw.access(b"\x0c\x07\x00\x14" + bytes(16), "127.0.0.2") is None
    assert raw.answers.dropped["wrong-message-authenticator"] == 2


@pytest.mark.parametrize("name", [b"", pair(1, b"")])
def test_who_says_nothing_of_himself_is_refused_and_not_left_waiting(raw, name):
    """RFC 2865 section 4.1: User-Name is a SHOULD. A NAS that hears nothing takes its server for dead."""
    reply = raw.access(ask(name + pair(2, hide(b"pw-1", SECRET, bytes(range(16))))))
    assert reply is not None
    assert reply.reply[0] == wire.ACCESS_REJECT
    assert not raw.answers.dropped


def test_chap_takes_its_challenge_from_attribute_60_or_the_authenticator(raw):
    """CHAP-Challenge wins over the Request Authenticator; an answer to the other one is refused."""
    for challenge, told, code in (
        (b"c" * 16, pair(60, b"c" * 16), 2),
        (bytes(range(16)), b"", 2),
        (bytes(range(16)), pair(60, b"c" * 16), 3),
        (b"c" * 24, pair(60, b"c" * 24), 2),
    ):
        answer = b"\x05" + hashlib.md5(b"\x05" + b"pw-1" + challenge).digest()
        answered = raw.access(ask(pair(1, b"s1@example.net") + pair(3, answer) + told))
        assert answered is not None
        assert answered.reply[0] == code
    short = raw.access(ask(pair(1, b"s1@example.net") + pair(3, b"\x05short")))
    assert short is not None
    assert short.reply[0] == 3


def test_during_a_rotation_every_secret_is_accepted(network, anew):
    """A NAS with two secrets is answered under the one that it used, old or new, PAP without MA included."""
    text = network.texts["device", "bng2"].replace(
        '["enc:v1:testing123"]', '["enc:v1:brandnew1", "enc:v1:testing123"]'
    )
    network.put("device", "bng2", text)
    server, _client = anew(network)
    for secret in (b"brandnew1", SECRET):
        for request in (wire.request(1, 7, secret, login(secret), bytes(range(16))), unsigned(login(secret))):
            answer = server.worker.answers.access(request, "127.0.0.2")
            assert answer is not None
            reply = read(answer.reply)
            assert reply is not None
            assert reply.code == 2
            assert wire.reply_is_right(reply, bytes(range(16)), secret)


@pytest.mark.parametrize("clear", ["plain-1", "pässwörd-ß", "密码", "\xa0"])
def test_a_password_tells_its_secret_in_any_language(clear):
    """The old secret is found by what it makes of the password: printable UTF-8; and the first where nothing is."""
    asked = bytes(range(16))
    for used in (b"brandnew1", SECRET):
        found = hider(hide(clear.encode(), used, asked), asked, (b"brandnew1", SECRET))
        assert found == (used if clear.isprintable() else b"brandnew1")


@pytest.mark.parametrize("kind", [9, 10, 11, 12, 13, 14, 15])
def test_what_tunnels_and_failed_attempts_tell_is_acknowledged_and_not_kept(server, nas, recorded, kind):
    """Or their NAS would repeat it for ever and take us for dead (RFC 2867); a kind that nobody knows gets nothing."""
    body = pair(44, b"tunnel-1")
    assert nas().account(pair(40, struct.pack(">I", kind)) + body) is not None
    assert nas(attempts=1, patience=0.2).account(pair(40, struct.pack(">I", 77)) + body) is None
    assert server.worker.answers.dropped == {"no-status-type": 1}
    with recorded.read() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(session)) == 0


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), bodies)
def test_no_packet_of_a_known_nas_makes_the_server_raise(octets, body):
    """Random octets and random well-formed packets end in an answer or a drop, on both ports."""
    answers = _fuzzed()
    for datagram in (octets, ask(body), wire.request(4, 1, SECRET, body), unsigned(body)):
        answers.access(datagram, "127.0.0.2")
        answers.accounting(datagram, "127.0.0.2")


_ANSWERS: list = []


def _fuzzed():
    """One set of answers for all examples (a fixture would be made for each)."""
    if not _ANSWERS:
        import tempfile
        from pathlib import Path

        from aaa.radius.answers import Answers
        from aaa.radius.authenticate import Authenticator
        from aaa.radius.limits import Attempts, Limits
        from aaa.radius.nases import NasTable
        from aaa.radius.worker import load_view
        from aaa.view.seal import Seal
        from tests.aaa.network import Network

        with tempfile.TemporaryDirectory() as folder:
            node, network = settings_in(Path(folder)), Network()
            network.subscriber(1)
            write_snapshot(network, node)
            view, seal = load_view(node), Seal.of(node.home)
        limits = Limits(attempts=10**6)
        authenticator = Authenticator(view, seal, Attempts(limits))
        _ANSWERS.append(Answers(view, NasTable(view, seal), authenticator, lambda *_: None))
    return _ANSWERS[0]
