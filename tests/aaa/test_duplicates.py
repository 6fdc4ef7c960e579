"""Retransmissions and guessing: what counts as the same request, how long it is remembered, whose failures count."""

import socket
import struct
from typing import Any

import pytest

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.digests import md5_of
from aaa.radius.limits import Attempts, Duplicates, Limits
from aaa.radius.packet import pair
from tests.aaa.corpus import ASKED, SHAPES, bare, pap, signed
from tests.aaa.differential import AUTO, REQUIRE, Three
from tests.aaa.network import SECRET, Network

NAS = ("127.0.0.1", 1)


@pytest.fixture
def ports(server):
    """Two sockets of one NAS that talk to the server's authentication port."""
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _port in range(2)]
    for one in made:
        one.bind(("127.0.0.1", 0))
        one.connect(("127.0.0.1", server.auth_port))
        one.settimeout(3)
    yield made
    for one in made:
        one.close()


def asked(authenticator: bytes = ASKED, identifier: int = 9, login: bytes = b"s1@example.net") -> bytes:
    body = pair(1, login) + pair(2, hide(b"pw-1", SECRET, authenticator))
    return wire.request(wire.ACCESS_REQUEST, identifier, SECRET, body, authenticator)


def test_source_port_id_and_authenticator_make_a_request(server, ports):
    """The same four: the remembered octets, even for a body that differs. Another one of them: another decision."""
    first, second = ports
    first.send(asked())
    reply = first.recv(4096)
    first.send(asked())
    assert first.recv(4096) == reply
    first.send(asked(login=b"nobody@example.net"))
    assert first.recv(4096) == reply
    assert server.worker.answers.counted == {"accepted": 1}
    for port, datagram in ((second, asked()), (first, asked(bytes(16))), (first, asked(identifier=10))):
        port.send(datagram)
        assert port.recv(4096)[0] == wire.ACCESS_ACCEPT
    assert server.worker.answers.counted == {"accepted": 4}


def test_a_dropped_packet_is_not_remembered(server, ports):
    """A forged packet with a victim's id and authenticator does not take the answer from the victim."""
    first, _second = ports
    forged = asked()[:-1] + b"x"
    first.send(forged)
    first.send(asked())
    assert first.recv(4096)[0] == wire.ACCESS_ACCEPT
    assert server.worker.answers.dropped["wrong-message-authenticator"] == 1


def test_the_newest_replies_are_remembered_and_memory_has_an_end():
    """As many as `most` are always there, never more than twice that."""
    duplicates = Duplicates(Limits(remember=3600.0, most=100))
    for number in range(1000):
        duplicates.put(b"%d" % number, NAS, b"reply")
        assert all(
            duplicates.get(b"%d" % old, NAS) == b"reply" for old in range(max(0, number - 99), number + 1)
        )
    assert sum(duplicates.get(b"%d" % number, NAS) is not None for number in range(1000)) <= 200
    assert duplicates.get(b"new", NAS) is None
    duplicates.put(b"late", NAS, Duplicates.PENDING)
    assert duplicates.get(b"late", NAS) == Duplicates.PENDING
    duplicates.forget(b"late", NAS)
    assert duplicates.get(b"late", NAS) is None


def test_a_header_is_remembered_for_its_source_alone():
    """The same octets from another port are another request, and its end does not forget the first."""
    duplicates, other = Duplicates(Limits()), ("127.0.0.1", 2)
    duplicates.put(b"header", NAS, b"reply")
    assert duplicates.get(b"header", other) is None
    duplicates.forget(b"header", other)
    assert duplicates.get(b"header", NAS) == b"reply"


def test_failures_count_for_one_login_at_one_nas():
    """Guessing at one NAS locks neither the same login elsewhere nor another login there; a right one forgets them."""
    attempts = Attempts(Limits(attempts=2))
    for _attempt in range(2):
        assert not attempts.exhausted(b"u:bob", "bng1")
        attempts.failed(b"u:bob", "bng1")
    assert attempts.exhausted(b"u:bob", "bng1")
    assert not attempts.exhausted(b"u:bob", "bng2")
    assert not attempts.exhausted(b"u:eve", "bng1")
    attempts.succeeded(b"u:bob", "bng1")
    assert not attempts.exhausted(b"u:bob", "bng1")


@pytest.mark.parametrize("size", [1, 16, 17, 100, 128])
def test_pap_passwords_of_up_to_128_octets_log_in(size):
    """On both paths; one that is not a multiple of sixteen octets on the wire, or is longer, never does."""
    network = Network()
    clear = "p" * size
    network.subscriber(1, session=f'method: pppoe, login: s1@example.net, password: "enc:v1:{clear}"')
    three = Three(network)
    datagram = signed(pair(1, b"s1@example.net") + pap(clear.encode()))
    assert three.fast(datagram, REQUIRE) == three.careful(datagram, REQUIRE)
    assert code_of(three, datagram) == wire.ACCESS_ACCEPT
    for hidden in (hide(clear.encode(), SECRET, ASKED)[:-1], bytes(144), b""):
        wrong = signed(pair(1, b"s1@example.net") + pair(2, hidden))
        assert code_of(three, wrong) == wire.ACCESS_REJECT


def code_of(three: Three, datagram: bytes) -> int:
    answer = three.fast(datagram, REQUIRE)
    return answer.reply[0] if answer is not None else 0


def test_accounting_is_believed_only_when_it_is_signed():
    """A wrong Request Authenticator or a wrong Message-Authenticator in accounting is dropped, and counted as that."""
    three, body = Three(), pair(40, struct.pack(">I", 1)) + pair(44, b"session")
    good = wire.request(wire.ACCOUNTING_REQUEST, 1, SECRET, body)
    assert three.answers.accounting(good, AUTO) is not None
    other = wire.request(wire.ACCOUNTING_REQUEST, 1, b"other", body)
    assert three.answers.accounting(other, AUTO) is None
    unsigned = good[:4] + bytes(16) + b"\x50\x12" + b"m" * 16 + body
    signed_over = unsigned[:4] + md5_of(unsigned + SECRET) + unsigned[20:]
    assert three.answers.accounting(signed_over, AUTO) is None
    assert three.answers.dropped == {"wrong-authenticator": 1, "wrong-message-authenticator": 1}


def test_what_is_no_access_request_is_dropped_on_the_authentication_port():
    """Replies, accounting and CoA that come to the wrong port are dropped, whatever else is right about them."""
    three = Three()
    for code in (2, 3, 4, 5, 11, 40, 43, 255):
        datagram = bytes((code,)) + asked()[1:]
        assert three.fast(datagram, REQUIRE) is None
    assert three.answers.dropped == {"other-code": 8}


def test_status_server_needs_a_signature():
    """Without Message-Authenticator, Status-Server is silence even from a NAS that needs none for logins."""
    three = Three()
    assert three.fast(b"\x0c" + bare(b"")[1:], AUTO) is None
    answer = three.fast(wire.request(wire.STATUS_SERVER, 1, SECRET, b"", ASKED), AUTO)
    assert answer is not None
    assert answer.reply[0] == wire.ACCESS_ACCEPT


@pytest.mark.parametrize("shape", ["hostapd_eap", "hostapd_state"])
def test_eap_needs_a_signature_whatever_the_nas_says(shape):
    """RFC 3579: an EAP-Message without Message-Authenticator is dropped, for `auto` too."""
    three = Three()
    assert three.fast(bare(SHAPES[shape](b"s1@example.net", b"")), AUTO) is None
    assert three.answers.dropped == {"no-message-authenticator": 1}


def test_a_request_under_way_is_remembered_while_its_nas_asks():
    """However many others come meanwhile: it is PENDING until it is answered, and forgotten when nobody asks."""
    duplicates = Duplicates(Limits(most=2))
    duplicates.put(b"k", NAS, Duplicates.PENDING)
    for number in range(10):
        duplicates.put(b"%d" % number, NAS, b"other")
        assert duplicates.get(b"k", NAS) == Duplicates.PENDING
    duplicates.put(b"k", NAS, b"reply")
    assert duplicates.get(b"k", NAS) == b"reply"
    duplicates.put(b"j", NAS, Duplicates.PENDING)
    for number in range(10, 20):
        duplicates.put(b"%d" % number, NAS, b"other")
    assert duplicates.get(b"j", NAS) is None


def test_a_generation_turns_once_however_many_threads_find_it_due():
    """A second turn would forget everything: a login that failed and waits for its reject would fail again."""

    class Met(Duplicates):
        met = False

        def _turn(self, now):
            if not self.met:  # another thread is a step ahead
                self.met = True
                self.put(b"between", NAS, b"reply")
            super()._turn(now)

    duplicates = Met(Limits(remember=3600.0, most=2))
    duplicates.put(b"waits", NAS, Duplicates.PENDING)
    duplicates.put(b"answered", NAS, b"reply")
    duplicates.put(b"new", NAS, b"reply")
    assert duplicates.met
    assert duplicates.get(b"waits", NAS) == Duplicates.PENDING
    assert [duplicates.get(name, NAS) for name in (b"answered", b"between", b"new")] == [b"reply"] * 3


@pytest.mark.parametrize("others", [0, 2])
def test_what_is_forgotten_while_somebody_looks_stays_forgotten(others):
    """Else its NAS would ask in vain for as long as it asks: PENDING is kept while somebody does."""
    duplicates = Duplicates(Limits(remember=3600.0, most=2))
    duplicates.put(b"k", NAS, Duplicates.PENDING)
    for number in range(others):
        duplicates.put(b"%d" % number, NAS, b"other")

    class Looking:
        """A source that is compared while another thread forgets."""

        __hash__ = object.__hash__

        def __eq__(self, other):
            duplicates.forget(b"k", NAS)
            return other == NAS

    assert duplicates.get(b"k", Looking()) is None
    assert duplicates.get(b"k", NAS) is None


def test_a_failure_counts_when_another_thread_forgets_all_meanwhile():
    """A login that failed is never taken for one that did not: it could guess without an end."""
    attempts = Attempts(Limits(attempts=1))

    class Cleared(dict[Any, Any]):
        def setdefault(self, key, default=None):
            attempts._keys.clear()
            attempts._failed.clear()
            return super().setdefault(key, default)

    attempts._failed = Cleared()
    attempts.failed(b"u:bob", "bng1")
    assert attempts.exhausted(b"u:bob", "bng1")
    assert attempts.has_failed(b"u:bob", "bng1")
