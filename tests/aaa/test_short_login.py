"""The short way of a login says yes where the careful way does, and nowhere else; nothing old stays after a change."""

import struct
from collections import Counter
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaa.proxy.routes import Routes
from aaa.radius import answers as answering
from aaa.radius import packet as wire
from aaa.radius.answers import Answers
from aaa.radius.authenticate import Authenticator
from aaa.radius.deferred import Answer
from aaa.radius.digests import md5_of
from aaa.radius.limits import Attempts, Limits
from aaa.radius.nases import NasTable
from aaa.radius.packet import pair
from aaa.radius.worker import Worker
from aaa.view.lookup import View
from aaa.view.records import (
    Access,
    Free,
    Nas,
    Realm,
    decode,
    encode,
    login_key,
    nas_key,
    read_access,
    realm_key,
)
from aaa.view.seal import KEY_LENGTH, Seal
from tests.aaa.corpus import ASKED, bare, pap, signed
from tests.aaa.network import SECRET, Network

KEY, NOON, SOURCE = login_key("s1@example.net"), 1_763_640_000, "127.0.0.1"
SEAL = Seal(bytes(range(KEY_LENGTH)))


def chap(password: bytes, challenge: bytes = ASKED) -> bytes:
    return pair(3, b"\x05" + md5_of(b"\x05" + password + challenge))


def records() -> dict[bytes, bytes]:
    network = Network()
    network.subscriber(1)
    return {one.key: one.record for one in network.records(SEAL)}


PLAIN = records()
GIVEN = read_access(PLAIN[KEY])


class Leased:
    """One address for everybody."""

    def give(self, pools: tuple[str, ...], service: str, place: bytes, vendor: str) -> bytes | None:
        return pair(8, bytes((100, 64, 0, 7)))


class Way:
    """One server over one record; what it answered, counted and told of refusals."""

    def __init__(self, access: Access, overrides: dict[str, float]) -> None:
        view = View(None, [(1, key, record) for key, record in (PLAIN | {KEY: encode(access)}).items()])
        self.attempts, self.refused = Attempts(Limits(attempts=2)), list[str]()
        authenticator = Authenticator(view, SEAL, self.attempts, Leased(), overrides)
        table = NasTable(view, SEAL)
        self.answers = Answers(
            view, table, authenticator, lambda _who, _nas, what: self.refused.append(what.reason)
        )

    def told(self, *, short: bool, datagram: bytes, source: str) -> object:
        ask = self.answers.access if short else self.answers.carefully
        answer = ask(datagram, source)
        failed = {key: len(moments) for key, moments in self.attempts._failed.items()}
        return answer, self.answers.outcomes, self.answers.dropped, self.refused, failed


accesses = st.builds(
    lambda **changes: msgspec.structs.replace(GIVEN, **changes),
    status=st.sampled_from(["ok", "ok", "ok", "held", "no-address", "full"]),
    credential=st.sampled_from([GIVEN.credential, GIVEN.credential, b"", b"another key's"]),
    ppp=st.booleans(),
    circuits=st.sampled_from([(), (), (b"olt",)]),
    macs=st.sampled_from([(), (), (b"02005e100001",)]),
    ports=st.sampled_from([(), (), (b"bond1.101",)]),
    nas=st.sampled_from([GIVEN.nas, GIVEN.nas, {}]),
    pools=st.sampled_from([(), (), ("west",)]),
    until=st.sampled_from([0, 0, NOON - 1, NOON + 60]),
    live=st.sampled_from([(), (b"02005e100001",)]),
    free=st.sampled_from([None, None, Free("free", tuple(pair(25, b"free") for _one in GIVEN.blocks))]),
    released=st.sampled_from([0, NOON + 60]),
)
bodies = st.lists(
    st.sampled_from(
        [
            *[pair(1, name) for name in (b"s1@example.net", b"s1@example.net\0", b"\0", b"", b"s1@example.net\xff")],
            pap(b"pw-1"), pap(b"pw-1"), pap(b"no"), pap(b""), pair(2, b""), pair(2, bytes(15)), chap(b"pw-1"),
            chap(b"no"), pair(3, b""), chap(b"pw-1", b"challenge"), pair(60, b"challenge"), pair(60, b""),
            pair(7, (1).to_bytes(4)), pair(31, b"02:00:5e:10:00:01"), pair(87, b"bond1.101"),
            pair(24, b"state"), pair(33, b"proxy"), pair(79, b"\1\1\0\5\1"), pair(6, (10).to_bytes(4)),
            *[pair(26, struct.pack(">IBB", vendor, kind, 5) + b"olt") for vendor in (311, 3561, 9) for kind in (1, 25)],
            pair(26, b"\0\0\1"),
        ]
    ),
    max_size=5,
)  # fmt: skip
logins = bodies.map(lambda some: pair(1, b"s1@example.net") + b"".join(some)) | bodies.map(b"".join)


@settings(max_examples=600, deadline=None)
@given(
    accesses,
    st.lists(st.tuples(logins, st.sampled_from([signed, bare]), st.sampled_from([SOURCE, "127.0.0.2"]))),
    st.sampled_from([{}, {GIVEN.service: NOON + 60.0}]),
)
def test_any_record_and_any_login_are_judged_alike(access, asked, overrides):
    """Reply, counts, refusals and failed attempts, request after request."""
    short, careful = Way(access, overrides), Way(access, overrides)
    with patch("time.time", return_value=float(NOON)):
        for body, form, source in [*asked, (pair(1, b"s1@example.net") + pap(b"pw-1"), signed, SOURCE)]:
            datagram = form(body)
            mine = short.told(short=True, datagram=datagram, source=source)
            assert mine == careful.told(short=False, datagram=datagram, source=source)


def test_a_wrong_password_is_one_failure_and_the_right_one_then_waits():
    """However it is asked, the short way neither counts a failure twice nor lets in who failed too often."""
    way = Way(GIVEN, {})
    for wrong in (pap(b"no"), chap(b"no")):
        way.answers.access(signed(pair(1, b"s1@example.net") + wrong), SOURCE)
    assert {key: len(moments) for key, moments in way.attempts._failed.items()} == {
        (b"u:s1@example.net", "bng1"): 2
    }
    right = signed(pair(1, b"s1@example.net") + pap(b"pw-1"))
    answer = way.answers.access(right, SOURCE)
    assert isinstance(answer, Answer)
    assert answer.reply[0] == wire.ACCESS_REJECT
    assert way.refused[-1] == "too-many-attempts"


def test_a_strangers_packet_is_not_read(monkeypatch):
    """It costs a look for its source, however many attributes it has: anybody can send it."""
    read: list[bytes] = []
    monkeypatch.setattr(answering, "read_plainly", read.append)
    way = Way(GIVEN, {})
    longest = wire.request(1, 1, SECRET, bytes((99, 2)) * 2029, ASKED)
    assert len(longest) == 4096
    assert way.answers.access(longest, "192.0.2.1") is None
    assert way.answers.dropped == {"unknown-nas": 1}
    assert read == []
    way.answers.access(longest, SOURCE)
    assert read == [longest]


class Turning(View):
    """A view that changes at the worst moment: just after somebody looked and before they remember what they saw."""

    change: tuple[int, bytes, bytes | None] | None = None

    def lookup(self, key: bytes) -> bytes | None:
        found = super().lookup(key)
        if self.change is not None and self.change[1] == key:
            change, self.change = self.change, None
            self._apply(change)
        return found


def test_a_nas_that_changes_while_it_is_read_is_read_again():
    """A secret that was taken back while a packet of its NAS came is not remembered until the next change of a NAS."""
    view, key = Turning(None, [(1, key, record) for key, record in PLAIN.items()]), nas_key(SOURCE)
    nas = decode(PLAIN[key], Nas)
    assert nas is not None
    table = NasTable(view, SEAL)
    renewed = msgspec.structs.replace(nas, secrets=(SEAL.close(b"renewed", key),))
    view.change = (2, key, encode(renewed))
    table.at(SOURCE)
    found = table.at(SOURCE)
    assert found is not None
    assert found.secrets == (b"renewed",)


def test_a_realm_that_gets_a_server_while_it_is_looked_up_is_asked_for_again():
    """Nobody's logins stay ours because one of them came at the moment of the change."""
    view, key = Turning(None), realm_key("guest.example")
    routes = Routes(view, SEAL)
    realm = Realm(servers=(("192.0.2.1", 1812, 1813, "udp"),), secret=SEAL.close(b"theirs", key))
    view.change = (2, key, encode(realm))
    routes.has_none(b"Guest.example")
    assert not routes.has_none(b"Guest.example")
    route = routes.named("guest.example")
    assert route is not None
    assert route.name == "guest.example"


def test_a_login_over_which_we_stumble_costs_no_other_its_reply(monkeypatch):
    """What was answered before it in the burst is sent."""
    sent: list[bytes] = []

    class Port:
        def sendto(self, reply, _source):
            sent.append(reply)

    class Going:
        _auth = Port()

        class _stop:
            @staticmethod
            def is_set():
                return False

        @staticmethod
        def _access(datagram, _source):
            if datagram == b"bad":
                raise KeyError("a mistake of ours")
            return datagram

    burst = [(name, ("127.0.0.1", 1)) for name in (b"1", b"2", b"bad", b"3")]
    monkeypatch.setattr("aaa.radius.worker.receive_burst", lambda _port: burst)
    with pytest.raises(KeyError):
        Worker._serve_access(Going())  # type: ignore[arg-type]
    assert Counter(sent) == {b"1": 1, b"2": 1}
