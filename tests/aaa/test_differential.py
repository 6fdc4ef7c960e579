"""Fast path = careful path = pyrad, octet for octet, on packets of real NASes and on what becomes of them."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaa.radius import packet as wire
from aaa.radius.packet import pair, read
from aaa.radius.plain import CHALLENGE, CHAP, LOGIN, PASSWORD, read_plainly
from aaa.radius.request import read_request
from tests.aaa import corpus
from tests.aaa.corpus import SHAPES, bare, signed
from tests.aaa.differential import AUTO, LEGACY, REQUIRE, ROTATING, SOURCES, Three, drops
from tests.aaa.network import SECRET

THREE = Three()
LOGINS = [
    (b"s1@example.net", b"pw-1"), (b"s2@example.net", b"pw-2"), (b"s3@example.net", b"pw-3"),
    (b"s1@example.net", b"no"), (b"who", b"x"),
]  # fmt: skip
PLAIN = {
    "routeros_pppoe", "routeros_chap", "accel_ppp", "pppd", "cisco", "juniper", "huawei", "radclient",
}  # fmt: skip
"""Shapes that are logins with a password and nothing else to settle."""
FORMS = {
    "signed first": signed,
    "signed last": lambda body: signed(body, first=False),
    "bare": bare,
    "padded": lambda body: signed(body) + b"\x00\x00\x00",
    "wrong secret": lambda body: signed(body, secret=b"other"),
    "new secret": lambda body: signed(body, secret=b"brandnew1"),
}


def same(datagram: bytes, source: str) -> bool:
    """Whether all three answer alike; True when they answered at all."""
    fast, careful = THREE.fast(datagram, source), THREE.careful(datagram, source)
    assert fast == careful
    if fast is None:
        return False
    reply, secret = read(fast.reply), secret_of(fast.reply, datagram[4:20])
    assert reply is not None
    assert reply.pairs[0][0] == wire.MESSAGE_AUTHENTICATOR
    pyrad = THREE.by_pyrad(datagram, source, secret)
    assert pyrad is None or pyrad == fast
    return True


def secret_of(reply: bytes, asked: bytes) -> bytes:
    for secret in (SECRET, b"brandnew1"):
        packet = read(reply)
        if packet is not None and wire.reply_is_right(packet, asked, secret):
            return secret
    raise AssertionError("signed with no secret of ours")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_all_three_answer_a_real_packet_alike(shape, form):
    """Every shape, signed in every way, from NASes of every rule, for every subscriber."""
    answered = [
        same(FORMS[form](SHAPES[shape](login, password)), source)
        for login, password in LOGINS
        for source in SOURCES
    ]
    if form in ("signed first", "signed last", "padded"):
        assert all(answered)
    if form == "wrong secret":
        assert not any(answered)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_corpus_has_logins_that_are_right(shape):
    """The comparison is worth something: each shape that we can answer is accepted for somebody."""
    unusual = shape in ("routeros_mschap", "hostapd_eap", "hostapd_state")
    codes = {
        answer.reply[0]
        for login, password in LOGINS
        for source in (REQUIRE, AUTO)
        if (answer := THREE.fast(signed(SHAPES[shape](login, password)), source))
    }
    assert (wire.ACCESS_ACCEPT in codes) is not unusual


@pytest.mark.parametrize("shape", SHAPES)
def test_both_readers_see_the_same(shape):
    """What the quick reader takes for a plain login is what the careful reader finds in it; it takes none that asks in
    another way, that says something twice, or that has something to be echoed.
    """
    datagram = signed(SHAPES[shape](b"s1@example.net", b"pw-1"))
    plain, packet = read_plainly(datagram), read(datagram)
    assert packet is not None
    if plain is None:
        repeats = len(packet.pairs) > len(dict(packet.pairs))
        assert repeats or packet.all(33) or read_request(packet).unusual
        return
    found, ma_at = plain
    assert ma_at == packet.ma_at
    assert found == {
        kind: packet.first(kind)
        for kind in (LOGIN, PASSWORD, CHAP, CHALLENGE)
        if packet.first(kind) is not None
    }
    assert not read_request(packet).unusual


def test_plain_logins_are_answered_on_the_short_way():
    """Right PAP and CHAP logins of NASes with one secret; the answer and its count are the careful way's."""
    three, told = Three(), {}
    for shape, make in SHAPES.items():
        for source in SOURCES:
            datagram = signed(make(b"s1@example.net", b"pw-1"))
            reply = three.answers.plainly(datagram, source)
            answer = three.careful(datagram, source)
            told[shape, source] = reply is not None
            assert reply is None or (answer is not None and answer.reply == reply)
    assert {shape for (shape, source), plainly in told.items() if plainly and source == REQUIRE} == PLAIN
    assert three.answers.counted["accepted"] > sum(told.values())


packets = st.builds(
    lambda shape, who, form, source: (FORMS[form](SHAPES[shape](*who)), source),
    st.sampled_from(sorted(SHAPES)), st.sampled_from(LOGINS), st.sampled_from(sorted(FORMS)), st.sampled_from(SOURCES),
)  # fmt: skip
attributes = st.lists(
    st.tuples(st.integers(0, 255), st.binary(max_size=40)), max_size=6
).map(lambda pairs: b"".join(pair(*one) for one in pairs))  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(packets, st.integers(0, 400), st.integers(0, 255))
def test_a_flipped_octet_is_judged_alike(packet, at, octet):
    """Any octet changed: all three still agree, mostly that it is dropped."""
    datagram, source = packet
    at %= len(datagram)
    same(datagram[:at] + bytes((octet,)) + datagram[at + 1 :], source)


@settings(max_examples=400, deadline=None)
@given(
    attributes,
    st.sampled_from(sorted(SHAPES)),
    st.sampled_from(LOGINS),
    st.booleans(),
    st.sampled_from(SOURCES),
)
def test_strange_attributes_are_judged_alike(extra, shape, who, before, source):
    """Unexpected attributes before or after a real request, rightly signed."""
    body = SHAPES[shape](*who)
    same(signed(extra + body if before else body + extra), source)
    same(bare(extra + body if before else body + extra), source)


@settings(max_examples=400, deadline=None)
@given(packets, st.sampled_from(("cut", "length", "short", "over", "huge")), st.integers(0, 4200), st.data())
def test_a_malformed_packet_costs_a_drop(packet, damage, number, data):
    """No exception, no reply, and the reason counted once: cut short, a wrong Length, attributes of length 0 or 1 or
    over the end, and more than 4096 octets.
    """
    datagram, source = packet
    datagram = datagram[: struct.unpack(">H", datagram[2:4])[0]]
    if damage == "cut":
        datagram = datagram[: number % len(datagram)]
    elif damage == "length":
        wrong = data.draw(st.one_of(st.integers(0, 19), st.integers(len(datagram) + 1, 65535)))
        datagram = datagram[:2] + struct.pack(">H", wrong) + datagram[4:]
    elif damage in ("short", "over"):
        span = number % 2 if damage == "short" else 3 + number % 200
        datagram = datagram[:20] + datagram[20:] + bytes((number % 256, span))
        datagram = datagram[:2] + struct.pack(">H", len(datagram)) + datagram[4:]
    else:
        datagram = datagram[:2] + struct.pack(">H", 4097 + number) + datagram[4:] + bytes(9000)
    before, counted = drops(THREE.answers), sum(THREE.answers.counted.values())
    assert THREE.fast(datagram, source) is None
    assert THREE.answers.accounting(datagram, source) is None
    assert drops(THREE.answers) == before + 2
    assert sum(THREE.answers.counted.values()) == counted
    assert THREE.answers.dropped["malformed"] > 0


def test_proxy_state_that_leaves_no_room_for_a_reply_is_dropped():
    """A reply is never longer than 4096 octets: an answer that does not fit is none, on both paths."""
    body = corpus.radclient(b"s1@example.net", b"pw-1") + b"".join(pair(33, bytes(253)) for _ in range(15))
    datagram = signed(body + pair(33, bytes(190)))
    assert len(datagram) <= 4096
    assert THREE.fast(datagram, REQUIRE) is None
    assert THREE.careful(datagram, REQUIRE) is None
    assert THREE.answers.dropped["no-room-for-a-reply"] == 2


@pytest.mark.parametrize(
    ("form", "answered"),
    [
        ("bare", {AUTO: False, LEGACY: True, ROTATING: False}),
        ("signed first", {AUTO: True, LEGACY: True, ROTATING: True}),
    ],
)
def test_a_proxy_state_needs_a_signature_unless_the_nas_is_legacy(form, answered):
    """The forgery of 2024: Proxy-State without Message-Authenticator is refused but for a NAS marked legacy."""
    datagram = FORMS[form](corpus.proxied(b"s1@example.net", b"pw-1"))
    for source, expected in answered.items():
        assert same(datagram, source) is expected
