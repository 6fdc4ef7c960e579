"""A conversation survives what the network does to it, and costs no more than it may."""

import os
import secrets
import signal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aaa.eap import avp
from aaa.eap import message as eap
from aaa.eap.conversation import Conversation, Conversations
from aaa.eap.fragments import Incoming, NotFragments, Outgoing
from aaa.eap.hello import offers_tls13
from aaa.eap.peer import PeapPeer
from aaa.eap.resume import Resumable
from aaa.eap.state import TUNNEL, Kept, StateBox
from aaa.radius.exchange import RadiusClient
from aaa.radius.packet import pair
from aaa.radius.server import RadiusServer
from aaa.view.seal import Seal
from core.settings import Settings
from tests.aaa.conftest import QUICK
from tests.aaa.network import SECRET, write_snapshot
from tests.support import eventually


@pytest.fixture
def wandering():
    """Gives a client with another source port for every request."""
    made = []

    def client_of(server):
        def following():
            made.append(
                RadiusClient(
                    "127.0.0.1", server.auth_port, server.acct_port, SECRET, patience=0.5, attempts=120
                )
            )
            return made[-1]

        return following

    yield client_of
    for one in made:
        one.close()


@pytest.fixture
def two(node, certified, sqlite_template):
    """A server of two worker processes on one port."""
    shared = Settings.load(node.home, env={}, radius_auth_port=0, radius_acct_port=0, radius_workers=2)
    with RadiusServer(shared, limits=QUICK) as running:
        sockets = [node.home / "radius" / f"{worker}.sock" for worker in running.workers]
        eventually(lambda: all(one.exists() for one in sockets), cap=60)
        yield running


def test_a_conversation_goes_on_when_the_nas_changes_its_port(two, wandering, certified):
    """Every request from another port, so that the kernel gives it to either worker: the one that holds the TLS
    connection answers, from the port that the NAS asked.
    """
    peer = PeapPeer(certified / "ca.pem", "s1@example.net", "pw-1", SECRET)
    for _login in range(4):
        ended = peer.login(wandering(two))
        assert ended.accepted
        assert ended.keys
    assert (two.settings.home / "radius" / "node1-1.sock").stat().st_mode & 0o777 == 0o600


def test_a_conversation_whose_worker_died_begins_anew(two, wandering, certified):
    """kill -9 of both workers in the middle: an Access-Reject with EAP-Failure, and the next try gets in."""
    peer = PeapPeer(certified / "ca.pem", "s1@example.net", "pw-1", SECRET)
    following, asked = wandering(two), []

    def killing():
        asked.append(1)
        if len(asked) == 4:
            for pid in two.pids:
                os.kill(pid, signal.SIGKILL)
        return following()

    ended = peer.login(killing)
    assert not ended.accepted
    assert ended.failure
    assert peer.login(following).accepted


def test_a_changed_password_ends_resumption(server, network, node, certified, nas):
    """A resumed session needs no password, but the one that it was opened with has to be valid still."""
    peer = PeapPeer(certified / "ca.pem", "s1@example.net", "pw-1", SECRET, resume=True)
    client = nas()
    first, second = peer.login(lambda: client), peer.login(lambda: client)
    assert first.keys
    assert second.keys
    assert second.challenges < first.challenges
    network.subscriber(1, session='method: pppoe, login: s1@example.net, password: "enc:v1:other"')
    write_snapshot(network, node, seq=2)
    view = server.worker.view
    view._base = type(view._base)(node.home / "radius" / "view" / "view.base")
    ended = peer.login(lambda: client)
    assert not ended.accepted
    assert server.worker.answers.counted == {"accepted": 2, "wrong-credentials": 1}


def test_a_fragment_that_comes_twice_is_answered_twice(server, certified, nas):
    """A NAS that repeats a response in a new request gets the same EAP-Request again, and the login goes on."""
    client = nas()

    class Stutter:
        def access(self, body, authenticator):
            first = client.access(body, authenticator)
            if first.code != 11 or first.packet.first(24) is None or b"\x19" not in body:
                return first
            if self.state is not None and pair(24, self.state) in body:
                again = client.access(body, secrets.token_bytes(16))
                assert eap.joined(again.packet) == eap.joined(first.packet)
            self.state = first.packet.first(24)
            return first

        state = None

    stutter: Any = Stutter()
    ended = PeapPeer(certified / "ca.pem", "s1@example.net", "pw-1", SECRET).login(lambda: stutter)
    assert ended.accepted
    assert ended.keys


def test_state_is_sealed_bound_to_its_nas_and_ends(monkeypatch):
    """Another NAS, another key, a flipped bit, or a minute later: it says nothing. A sister node can open it."""
    kept = Kept(TUNNEL, 25, 7, "node1-0" * 9, bytes(8))
    box, key = StateBox(Seal(bytes(64))), bytes(64)
    value = box.close(kept, "ap1")
    assert len(value) <= 253
    opened = StateBox(Seal(key)).open(value, "ap1")
    assert opened is not None
    assert opened.payload == bytes(8)
    assert box.open(value, "ap2") is None
    assert StateBox(Seal(bytes(63) + b"x")).open(value, "ap1") is None
    assert box.open(value[:-1] + bytes((value[-1] ^ 1,)), "ap1") is None
    assert box.open(None, "ap1") is None
    assert StateBox(Seal(key), seconds=-1).open(value, "ap1") is None


def idle():
    """A conversation that nobody will go on with."""
    nothing: Any = None
    return Conversation(25, nothing, nothing, Resumable())


def test_strangers_cost_bounded_memory():
    """A full table loses the oldest of the NAS that has the most; nobody else's login is lost."""
    held = Conversations(most=10)
    quiet = held.begin(idle(), "quiet")
    loud = [held.begin(idle(), "loud") for _ in range(50)]
    assert len(held) == 10
    assert held.find(quiet, "quiet") is not None
    assert held.find(quiet, "loud") is None
    assert held.find(loud[0], "loud") is None
    assert held.find(loud[-1], "loud") is not None


def test_fragments_come_together_and_are_bounded():
    """Any size of message through any MTU; what is longer than it may be is refused before it is held."""
    for size in (0, 1, 117, 118, 119, 1000, 5000):
        message, out, into = secrets.token_bytes(size), Outgoing(), Incoming()
        piece = out.begin(message, 128)
        while (whole := into.take(piece)) is None:
            assert len(piece) <= 128
            piece = out.next(128)
        assert whole == message
    into = Incoming()
    with pytest.raises(NotFragments):
        into.take(b"\xc0" + (1 << 30).to_bytes(4) + b"x")
    for _ in range(655):
        into.take(b"\x40" + bytes(100))
    with pytest.raises(NotFragments):
        into.take(b"\x40" + bytes(100))


def test_damaged_eap_costs_a_drop(server, certified, nas):
    """Octets that are no EAP, or an answer to nothing, get silence or a reject; the worker goes on."""
    client = nas(attempts=1, patience=0.3)
    for raw in (
        b"\x02\x01\x00\x09\x19",
        b"\x01\x01\x00\x05\x01",
        b"\x03\x01\x00\x04",
        b"\x02\x01\x00\x02\x01",
    ):
        body = pair(1, b"x") + eap.attributes(raw)
        assert client.access(body, secrets.token_bytes(16)) is None
    stray = pair(1, b"x") + eap.attributes(eap.write(eap.RESPONSE, 9, eap.PEAP, b"\0"))
    assert client.access(stray, secrets.token_bytes(16)).code == 3
    start = client.access(pair(1, b"x") + pair(79, b""), secrets.token_bytes(16))
    assert eap.joined(start.packet)[4:] == b"\x01"


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_what_a_stranger_says_never_raises(octets):
    """ClientHello, EAP, attributes inside TTLS, fragments: damaged octets are read as nothing."""
    offers_tls13(b"\x16\x03\x01" + octets)
    offers_tls13(octets)
    eap.read(octets)
    avp.read(octets)
    assert Incoming().take(b"\0" + octets) == octets


def test_a_conversation_of_a_node_that_is_gone_begins_anew(server, node, certified, nas):
    """State that a sister node sealed: it can be opened, its holder cannot be reached: EAP-Failure at once."""
    value = StateBox(Seal.of(node.home)).close(Kept(TUNNEL, eap.PEAP, 7, "node9-0", bytes(8)), "bng1")
    body = pair(1, b"x") + pair(24, value) + eap.attributes(eap.write(eap.RESPONSE, 7, eap.PEAP, b"\0"))
    reply = nas().access(body, secrets.token_bytes(16))
    assert reply.code == 3
    assert eap.joined(reply.packet) == bytes((eap.FAILURE, 7, 0, 4))
    assert server.worker.answers.counted == {}
