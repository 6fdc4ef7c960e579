"""What a record may say beyond a password: ports, an end, ghosts, overrides, addresses that the node gives."""

import time

import msgspec
import pytest

from aaa.radius import packet as wire
from aaa.radius.answers import Answers
from aaa.radius.authenticate import Authenticator, with_timeout
from aaa.radius.deferred import Answer
from aaa.radius.exchange import circuit_attribute
from aaa.radius.limits import Attempts, Limits
from aaa.radius.nases import NasTable
from aaa.radius.packet import pair, read
from aaa.view.lookup import View
from aaa.view.records import Access, Free, decode, encode, login_key
from aaa.view.seal import KEY_LENGTH, Seal
from tests.aaa.corpus import pap, signed
from tests.aaa.network import Network

KEY = login_key("s1@example.net")
SEAL = Seal(bytes(range(KEY_LENGTH)))


class Leased:
    """Stands in for the node's leased blocks: one address, remembered by place."""

    def __init__(self, left: bool = True) -> None:
        self.left, self.asked = left, []  # type: ignore[var-annotated]

    def give(self, pools: tuple[str, ...], service: str, place: bytes, vendor: str) -> bytes | None:
        self.asked.append((pools, service, place, vendor))
        return pair(8, bytes((100, 64, 0, 7))) if self.left else None


class One:
    """A subscriber whose record is as the test wants it; `login()` gives (reply code, reply, reasons so far)."""

    def __init__(self, addresses=None, overrides=None, **changes) -> None:
        network = Network()
        network.subscriber(1)
        view = View(None, [(1, one.key, one.record) for one in network.records(SEAL)])
        access = decode(view.lookup(KEY), Access)
        assert access is not None
        self.given = access
        view._apply((2, KEY, encode(msgspec.structs.replace(access, **changes))))
        self.reasons: list[tuple[str, str]] = []
        authenticator = Authenticator(view, SEAL, Attempts(Limits()), addresses, overrides)
        self.answers = Answers(view, NasTable(view, SEAL), authenticator, self._refused)

    def _refused(self, _login, _nas, verdict) -> None:
        self.reasons.append((verdict.reason, verdict.detail))

    def login(self, attributes: bytes = b"") -> wire.Packet:
        """Both paths answer, and alike."""
        datagram = signed(pair(1, b"s1@example.net") + pap(b"pw-1") + pair(7, (1).to_bytes(4)) + attributes)
        fast, careful = (
            self.answers.access(datagram, "127.0.0.1"),
            self.answers.carefully(datagram, "127.0.0.1"),
        )
        assert isinstance(fast, Answer)
        assert fast == careful
        reply = read(fast.reply)
        assert reply is not None
        return reply


def timeout_of(reply: wire.Packet) -> int:
    (value,) = reply.all(27)
    return int.from_bytes(value)


def test_a_login_bound_to_a_port_is_refused_from_another():
    """NAS-Port-Id must be one of the record's ports; without it, or with another, it is `wrong-port`."""
    one = One(ports=(b"bond1.101", b"bond1.102"))
    assert one.login(pair(87, b"bond1.102")).code == 2
    assert one.login(pair(87, b"bond1.103")).code == 3
    assert one.login().code == 3
    assert one.reasons[-1] == ("wrong-port", "another port")


def test_a_session_does_not_outlive_its_end():
    """`until` becomes Session-Timeout at the time of the reply; past it, the login is `held`."""
    one = One(until=int(time.time()) + 3600)
    assert 3595 <= timeout_of(one.login()) <= 3600
    late = One(until=int(time.time()) - 1)
    assert late.login().code == 3
    assert late.reasons[0][0] == "held"


@pytest.mark.parametrize(
    ("there", "seconds", "expected"), [(None, 60, 60), (30, 60, 30), (90, 60, 60), (None, 2**40, 2**32 - 1)]
)
def test_the_shorter_timeout_stays(there, seconds, expected):
    """A Session-Timeout of the policy is kept when it is shorter, replaced when it is longer, and never twice."""
    block = pair(6, b"\0\0\0\2") + (pair(27, there.to_bytes(4)) if there else b"") + pair(25, b"class")
    assert with_timeout(block, seconds) == pair(6, b"\0\0\0\2") + pair(25, b"class") + pair(
        27, expected.to_bytes(4)
    )


def test_the_same_circuit_or_mac_replaces_its_ghost():
    """A full service lets in whoever comes from where its session is; from elsewhere there are too many."""
    one = One(status="full", live=(b"olt1 0/1/0:1", b"02005e100001"))
    assert one.login(circuit_attribute(b"olt1 0/1/0:1")).code == 2
    assert one.login(pair(31, b"02:00:5E:10:00:01")).code == 2
    assert one.reasons == []
    assert one.login(pair(31, b"02:00:5e:10:00:02")).code == 3
    assert one.login().code == 3
    assert one.reasons[0][0] == "too-many-sessions"


def test_an_override_lifts_a_hold_until_it_ends():
    """With a hold and an override, the reply is the free one and does not outlast the override; then it is held."""
    free = Free("free", (pair(11, b"free"), pair(11, b"free of the other")))
    held = {"status": "held", "blocks": (b"", b""), "free": free}
    now = time.time()
    reply = One(overrides={"S-1": now + 600}, **held).login()
    assert reply.all(11) == [b"free"]
    assert 595 <= timeout_of(reply) <= 600
    assert One(released=int(now + 600), **held).login().all(11) == [b"free"]
    for overrides in ({}, {"S-1": now - 1}, {"S-2": now + 600}):
        one = One(overrides=overrides, **held)
        assert one.login().code == 3
        assert one.reasons[0][0] == "held"


@pytest.mark.parametrize("status", ["held", "full", "ok"])
def test_an_override_answers_whatever_the_status(status):
    """Support said that this service is to work: it gets what is free of restrictions, a full one too."""
    one = One(
        overrides={"S-1": time.time() + 600}, status=status, free=Free("free", (pair(11, b"free"),) * 2)
    )
    assert one.login().all(11) == [b"free"]
    assert one.reasons == []


def test_overrides_are_not_asked_for_others():
    """A record without restrictions costs no look at the overrides."""

    class Untouched(dict):
        def get(self, *_args):
            raise AssertionError("asked")

    assert One(overrides=Untouched()).login().code == 2


def test_the_node_gives_an_address_or_says_that_none_is_left():
    """A record with pools gets the node's attributes first; the place is the same for the same line."""
    leased = Leased()
    one = One(addresses=leased, pools=("west", "east"))
    reply = one.login(pair(31, b"02:00:5e:10:00:01"))
    assert reply.pairs[1] == (8, bytes((100, 64, 0, 7)))
    assert set(leased.asked) == {(("west", "east"), "S-1", b"bng1 02005e100001", "mikrotik")}
    for nothing in (Leased(left=False), None):
        without = One(addresses=nothing, pools=("west",))
        assert without.login().code == 3
        assert without.reasons[0] == ("no-address", "none left in west")


def test_no_address_is_taken_for_a_login_that_is_refused():
    """Addresses are given last: a held service takes none."""
    leased = Leased()
    assert One(addresses=leased, pools=("west",), status="held").login().code == 3
    assert leased.asked == []
