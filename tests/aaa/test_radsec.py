"""RADIUS over TLS against a real FreeRADIUS at either end, and against peers that are wrong."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from aaa.models import session
from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.packet import pair
from aaa.radius.server import RadiusServer
from aaa.radsec.client import Connector
from core import clock
from tests.aaa.certificates import Authority
from tests.aaa.conftest import QUICK, client_of
from tests.aaa.home import FreeRadius
from tests.aaa.network import write_snapshot
from tests.aaa.test_proxy import USERS, proxied
from tests.aaa.test_radclient import radclient
from tests.support import eventually, free_port

AUTHORITY = Authority()
RADSEC = b"radsec"
TLS = """
    tls {
      private_key_file = %(folder)s/peer.key
      certificate_file = %(folder)s/peer.pem
      ca_file = %(folder)s/ca.pem
      %(more)s
    }
"""


def radsec_nas(network, name: str) -> None:
    """bng1 comes by TLS alone."""
    text = network.texts["device", "bng1"]
    sources = "  sources: [127.0.0.1]\n" + '  secrets: ["enc:v1:testing123"]\n'
    assert sources in text
    network.put("device", "bng1", text.replace(sources, f'  radsec: "{name}"\n'))


@pytest.fixture
def by_tls(node, network) -> Iterator[RadiusServer]:
    """A server that knows bng1 by its certificate alone."""
    radsec_nas(network, "BNG1.example.")
    with serve(node, network) as server:
        yield server


@contextmanager
def serve(node, network) -> Iterator[RadiusServer]:
    """A server with certificates, over the network as it is now."""
    AUTHORITY.issue(node.home / "radius" / "tls", "radius.example")
    write_snapshot(network, node)
    settings = type(node).load(
        node.home, env={}, radius_auth_port=0, radius_acct_port=0, radius_radsec_port=0
    )
    with RadiusServer(settings, limits=QUICK, in_process=True) as server:
        yield server


def tls_to(server: RadiusServer, folder, plain: socket.socket | None = None) -> ssl.SSLSocket:
    """A connection with the certificate of a folder, to a server that must be of our authority."""
    AUTHORITY.issue(folder / "other", "unused")
    context = ssl.create_default_context(cafile=folder / "other" / "ca.pem")
    context.load_cert_chain(folder / "peer.pem", folder / "peer.key")
    plain = plain or socket.create_connection(("127.0.0.1", server.radsec_port), timeout=5)
    return context.wrap_socket(plain, server_hostname="radius.example")


class Peer:
    """A TLS connection to the server with a certificate of its own."""

    def __init__(self, server: RadiusServer, folder, name: str, authority: Authority = AUTHORITY) -> None:
        self.certificate = authority.issue(folder, name, "peer")
        self.stream = tls_to(server, folder)

    def ask(self, datagram: bytes) -> wire.Packet | None:
        """Send; the reply, or None when the server closed instead."""
        with suppress(OSError):
            self.stream.sendall(datagram)
            return wire.read(self.stream.recv(4096))
        return None

    def login(self, identifier: int = 1, password: bytes = b"pw-1") -> wire.Packet | None:
        """s1's Access-Request."""
        authenticator = bytes((identifier,)) * 16
        body = pair(1, b"s1@example.net") + pair(2, hide(password, RADSEC, authenticator))
        return self.ask(wire.request(wire.ACCESS_REQUEST, identifier, RADSEC, body, authenticator))


def test_a_nas_is_known_by_its_certificate(by_tls, recorded, tmp_path):
    """Access, accounting and Status-Server on one connection; the answer is durable accounting's, signed as always."""
    peer = Peer(by_tls, tmp_path / "peer", "bng1.example")
    accept = peer.login()
    assert accept is not None
    assert accept.code == wire.ACCESS_ACCEPT
    assert accept.pairs[0][0] == wire.MESSAGE_AUTHENTICATOR
    assert peer.login(2, b"no").code == wire.ACCESS_REJECT  # type: ignore[union-attr]
    start = (
        pair(40, struct.pack(">I", 1))
        + pair(44, b"tls-1")
        + b"".join(pair(25, one) for one in accept.all(25))
    )
    assert peer.ask(wire.request(wire.ACCOUNTING_REQUEST, 3, RADSEC, start)).code == wire.ACCOUNTING_RESPONSE  # type: ignore[union-attr]
    status = peer.ask(wire.request(wire.STATUS_SERVER, 4, RADSEC, b"", bytes(16)))
    assert status is not None
    assert status.code == wire.ACCESS_ACCEPT
    with recorded.read() as conn:
        (row,) = conn.execute(sa.select(session)).all()
    assert (row.service, row.nas, row.source[0]) == ("S-1", "bng1", "@")


def test_a_nas_is_known_by_its_fingerprint(node, network, tmp_path):
    """A certificate without a useful name is known by its SHA-256, however that is written."""
    folder = tmp_path / "peer"
    certificate = AUTHORITY.issue(folder, "anything.example", "peer")
    radsec_nas(network, certificate.fingerprint(hashes.SHA256()).hex(":").upper())
    with serve(node, network) as server:
        peer = Peer.__new__(Peer)
        peer.stream = tls_to(server, folder)
        assert peer.login().code == wire.ACCESS_ACCEPT  # type: ignore[union-attr]


def test_a_stranger_gets_no_answer(by_tls, tmp_path):
    """A certificate of another authority, one of ours with another name, and none: closed, nothing answered."""
    assert Peer(by_tls, tmp_path / "name", "bng9.example").login() is None
    assert Peer(by_tls, tmp_path / "authority", "bng1.example", Authority("other")).login() is None
    assert by_tls.worker.answers.dropped["unknown-nas"] == 1
    client = client_of(by_tls, patience=0.3, attempts=1)
    assert client.login("s1@example.net", "pw-1") is None  # its address is no NAS's any more
    client.close()


def test_strangers_that_say_nothing_are_few(by_tls, tmp_path, monkeypatch):
    """Who connects and shows no certificate is turned away beyond a number, and our NASes are answered meanwhile."""
    monkeypatch.setattr("aaa.radsec.server._FROM_ONE", 5)
    known = Peer(by_tls, tmp_path / "known", "bng1.example")
    idle = [socket.create_connection(("127.0.0.1", by_tls.radsec_port), timeout=5) for _ in range(8)]
    eventually(lambda: by_tls.worker.answers.dropped["radsec-crowd"] == 3, cap=5)
    assert known.login() is not None
    for one in idle:
        one.close()
    eventually(lambda: not by_tls.worker._radsec._handshakes, cap=5)
    assert Peer(by_tls, tmp_path / "next", "bng1.example").login() is not None


def test_who_is_revoked_is_cut_off(node, network, tmp_path):
    """A certificate is taken back while its NAS is connected: the connection ends, and no new one is answered; nor is
    it when the list is damaged later, or half copied.
    """
    radsec_nas(network, "bng1.example")
    with serve(node, network) as server:
        peer = Peer(server, tmp_path / "peer", "bng1.example")
        assert peer.login().code == wire.ACCESS_ACCEPT  # type: ignore[union-attr]
        (node.home / "radius" / "tls" / "crl.pem").write_bytes(AUTHORITY.revoke(peer.certificate))
        eventually(lambda: peer.login() is None, cap=10)
        again = Peer.__new__(Peer)
        again.stream = tls_to(server, tmp_path / "peer")
        assert again.login() is None
        assert server.worker.answers.dropped["revoked-certificate"] == 1
        (node.home / "radius" / "tls" / "crl.pem").write_bytes(b"-----BEGIN X509 CRL-----\nhalf")
        radsec = server.worker._radsec
        assert radsec is not None
        radsec._look_who_is_revoked()
        again.stream = tls_to(server, tmp_path / "peer")
        assert again.login() is None
        assert Peer(server, tmp_path / "next", "bng1.example").login() is not None


def put(folder, *authorities: Authority) -> None:
    """These CAs and no others are trusted from now on; in one step, as `mv` does."""
    partial = folder / "ca.pem.new"
    partial.write_bytes(b"".join(one.certificate.public_bytes(Encoding.PEM) for one in authorities))
    partial.replace(folder / "ca.pem")


def test_a_ca_that_is_taken_out_is_trusted_no_longer(node, network, tmp_path):
    """A second CA beside the first: both are let in. The first is taken out: its peer is cut off and does not come
    back, the other's connection goes on; a damaged file changes nothing.
    """
    radsec_nas(network, "bng1.example")
    with serve(node, network) as server:
        new, files = Authority("new"), node.home / "radius" / "tls"
        old = Peer(server, tmp_path / "old", "bng1.example")
        assert old.login() is not None
        put(files, AUTHORITY, new)
        eventually(lambda: Peer(server, tmp_path / "new", "bng1.example", new).login(), cap=10)
        other = Peer(server, tmp_path / "new", "bng1.example", new)
        assert (other.login() is not None, old.login() is not None) == (True, True)
        put(files, new)
        eventually(lambda: old.login() is None, cap=10)
        again = Peer.__new__(Peer)
        with suppress(OSError):  # TLS 1.2 says so in the handshake, 1.3 with the first octets
            again.stream = tls_to(server, tmp_path / "old")
            assert again.login() is None
        (files / "ca.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nhalf")
        radsec = server.worker._radsec
        assert radsec is not None
        before = radsec._context
        radsec._take_over()
        assert radsec._context is before
        assert other.login() is not None


def test_a_handshake_that_began_before_a_ca_was_taken_out_brings_nobody_in(node, network, tmp_path):
    """The files change while a peer shakes hands: it is not answered."""
    radsec_nas(network, "bng1.example")
    with serve(node, network) as server:
        radsec = server.worker._radsec
        assert radsec is not None
        begun, peer = radsec._context, Peer.__new__(Peer)
        AUTHORITY.issue(tmp_path, "bng1.example", "peer")
        plain = socket.create_connection(("127.0.0.1", server.radsec_port), timeout=5)
        eventually(lambda: radsec._shaking, cap=5)
        put(node.home / "radius" / "tls", Authority("new"))
        eventually(lambda: radsec._context is not begun, cap=10)
        peer.stream = tls_to(server, tmp_path, plain)
        assert peer.login() is None


def test_a_certificate_that_runs_out_ends_its_connection(by_tls, tmp_path):
    """Whoever stays connected for longer than the certificate is good for is cut off."""
    peer = Peer(by_tls, tmp_path / "peer", "bng1.example")
    assert peer.login() is not None
    with clock.frozen(datetime.now(UTC) + timedelta(days=2)):
        eventually(lambda: peer.login() is None, cap=10)


def test_a_server_that_we_ask_is_left_when_its_ca_is_taken_out(tmp_path):
    """As a client: the connection ends, and no other one is made, until the CA is back."""
    AUTHORITY.issue(tmp_path / "radius" / "tls", "node.example")
    AUTHORITY.issue(tmp_path / "home", "home.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "home" / "server.pem", tmp_path / "home" / "server.key")
    told: list[str] = []

    async def serve_and_ask() -> None:
        async def idle(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async def until(wanted: list[str]) -> None:
            await asyncio.to_thread(eventually, lambda: told[: len(wanted)] == wanted, 10)

        serving = await asyncio.start_server(idle, "127.0.0.1", 0, ssl=context)
        port = serving.sockets[0].getsockname()[1]
        connector = Connector(
            "127.0.0.1", port, tmp_path, lambda _lane: told.append("connected"), lambda *_: True,
            lambda lane: told.append("refused" if lane is None else "lost"),
        )  # fmt: skip
        connector.start(asyncio.get_running_loop())
        await until(["connected"])
        put(tmp_path / "radius" / "tls", AUTHORITY, Authority("new"))
        await asyncio.sleep(1.5)
        assert told == ["connected"]
        put(tmp_path / "radius" / "tls", Authority("new"))
        await until(["connected", "lost", "refused"])
        put(tmp_path / "radius" / "tls", AUTHORITY)
        await asyncio.to_thread(eventually, lambda: told[-1] == "connected", 10)
        connector.stop()
        serving.close()

    asyncio.run(serve_and_ask())


WRONG = {
    "too short": bytes((1, 1, 0, 19)) + bytes(16),
    "too long": bytes((1, 1, 0x10, 1)) + bytes(16),
    "an attribute over the end": bytes((1, 1, 0, 24)) + bytes(16) + bytes((1, 9, 0, 0)),
    "a wrong Message-Authenticator": wire.request(1, 1, b"another", pair(1, b"s1@example.net"), bytes(16)),
    "wrongly signed accounting": wire.request(4, 1, b"another", pair(40, bytes((0, 0, 0, 1)))),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_one_bad_packet_ends_the_connection_and_only_that(by_tls, tmp_path, wrong):
    """The stream's framing is lost: it is closed. Another connection of the same NAS goes on."""
    good, bad = (Peer(by_tls, tmp_path / name, "bng1.example") for name in ("good", "bad"))
    assert bad.ask(WRONG[wrong]) is None
    eventually(lambda: by_tls.worker.answers.dropped["radsec-closed"] == 1, cap=5)
    assert bad.login() is None
    assert good.login().code == wire.ACCESS_ACCEPT  # type: ignore[union-attr]


@pytest.mark.real
def test_freeradius_brings_us_logins_and_accounting_by_tls(by_tls, recorded, tmp_path):
    """FreeRADIUS as RadSec client: radclient asks it by UDP, it asks us by TLS, both directions verified by it."""
    folder = tmp_path / "peer"
    AUTHORITY.issue(folder, "bng1.example", "peer")
    client = FreeRadius(
        "",
        secret="testing123",
        proxying="yes",
        authorize="update control {\n Proxy-To-Realm := radsec\n }\n",
        preacct="update control {\n Proxy-To-Realm := radsec\n }\n",
        more=f"""
proxy server {{
}}
home_server radsec {{
  ipaddr = 127.0.0.1
  port = {by_tls.radsec_port}
  type = auth+acct
  secret = radsec
  proto = tcp
  status_check = none
  {TLS % {"folder": folder, "more": ""}}
}}
home_server_pool radsec {{
  type = fail-over
  home_server = radsec
}}
realm radsec {{
  pool = radsec
  nostrip
}}
""",
    )
    try:
        for password, code in (("pw-1", "Access-Accept"), ("no", "Access-Reject")):
            told = f'User-Name = "s1@example.net"\nUser-Password = "{password}"\n'
            done = radclient(client.auth_port, "auth", told, retries=3, patience=3)
            assert f"Received {code}" in done.stdout, done.stdout + client.log()
        told = 'User-Name = "s1@example.net"\nAcct-Status-Type = Start\nAcct-Session-Id = "by-tls"\n'
        done = radclient(client.acct_port, "acct", told, retries=3, patience=3)
        assert "Received Accounting-Response" in done.stdout, done.stdout + client.log()
    finally:
        client.kill()
    with recorded.read() as conn:
        assert conn.execute(sa.select(session.c.service, session.c.nas)).all() == [("S-1", "bng1")]


@pytest.mark.real
def test_we_ask_freeradius_by_tls_and_come_back_when_it_does(node, network, recorded, tmp_path):
    """FreeRADIUS as RadSec home server: logins and accounting; after its death and return the connection is made anew.
    A server whose certificate is not good for its name is never asked.
    """
    folder, port = tmp_path / "peer", free_port()
    AUTHORITY.issue(folder, "home.example", "peer")
    listen = f"""
  listen {{
    ipaddr = 127.0.0.1
    port = {port}
    type = auth+acct
    proto = tcp
    virtual_server = default
    clients = radsec
    {TLS % {"folder": folder, "more": "require_client_cert = yes"}}
  }}
"""
    more = "clients radsec {\n client here {\n ipaddr = 127.0.0.1\n proto = tls\n secret = radsec\n }\n}\n"
    home = FreeRadius(USERS, listen=listen, more=more)
    network.put("config", "trunkline", proxied(f"radsec:127.0.0.1:{port}"))
    try:
        with serve(node, network) as server:
            client = client_of(server, patience=8, attempts=1)
            assert client.login("ann@guest.example", "tea").accepted
            start = pair(40, struct.pack(">I", 1)) + pair(44, b"tls-2") + pair(1, b"ann@guest.example")
            assert client.account(start) is not None
            eventually(lambda: "tls-2" in home.detail(), cap=10, says=home.log)
            home.kill()
            errands = server.worker.elsewhere.errands
            eventually(lambda: "alive" not in errands.states().values(), cap=5, says=errands.states)
            home.start()
            eventually(lambda: set(errands.states().values()) == {"alive"}, cap=10, says=errands.states)
            assert client.login("ann@guest.example", "tea").accepted
            client.close()
        network.put("config", "trunkline", proxied(f"radsec:localhost:{port}"))
        with serve(node, network) as server:
            client = client_of(server, patience=0.5, attempts=1)
            assert client.login("ann@guest.example", "tea") is None
            client.close()
    finally:
        home.kill()
