"""The server as processes: shared ports, a killed worker, a start with everything else away, duplicates, limits."""

import functools
import os
import select
import signal
import socket
import struct

import msgspec
import pytest

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.exchange import RadiusClient
from aaa.radius.limits import Limits
from aaa.radius.packet import pair
from aaa.radius.server import RadiusServer
from tests.aaa.child import Child
from tests.aaa.conftest import client_of
from tests.aaa.network import SECRET, write_snapshot
from tests.support import eventually


def request(password: bytes = b"pw-1", authenticator: bytes = bytes(range(16))) -> bytes:
    body = pair(1, b"s1@example.net") + pair(2, hide(password, SECRET, authenticator))
    return wire.request(wire.ACCESS_REQUEST, 9, SECRET, body, authenticator)


@pytest.fixture
def port(server):
    """A socket that talks to the server's authentication port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.connect(("127.0.0.1", server.auth_port))
        made.settimeout(3)
        yield made


def test_a_retransmission_gets_the_same_octets_and_is_decided_once(server, port):
    """The same source, port, id and authenticator: identical bytes, and one decision counted."""
    port.send(request())
    first = port.recv(4096)
    port.send(request())
    assert port.recv(4096) == first
    assert server.worker.answers.counted["accepted"] == 1


def test_an_accounting_retransmission_is_counted_once(server, nas):
    """The same Accounting-Request twice: the same reply, one record."""
    body = pair(40, struct.pack(">I", 1)) + pair(44, b"x")
    datagram = wire.request(wire.ACCOUNTING_REQUEST, 3, SECRET, body)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.connect(("127.0.0.1", server.acct_port))
        made.settimeout(3)
        made.send(datagram)
        first = made.recv(4096)
        made.send(datagram)
        assert made.recv(4096) == first
    assert server.worker.answers.counted["accounting"] == 1


def test_a_reject_waits_and_its_retransmission_does_not_hurry_it(node):
    """An Access-Reject is delayed; a retransmission meanwhile is silent; others are answered at once."""
    with RadiusServer(node, limits=Limits(reject_delay=0.5), in_process=True) as server:
        slow = client_of(server, patience=0.2)
        quick = client_of(server)
        reply = slow.login("s1@example.net", "wrong")
        assert reply is not None
        assert reply.code == 3
        assert reply.milliseconds >= 450
        assert quick.login("s1@example.net", "pw-1").milliseconds < 300
        assert server.worker.answers.counted["wrong-credentials"] == 1
        slow.close()
        quick.close()


def test_too_many_failures_of_a_login_are_not_even_checked(node):
    """After the limit even the right password is refused for a while; another login is not touched."""
    with RadiusServer(node, limits=Limits(reject_delay=0, attempts=3), in_process=True) as server:
        client = client_of(server)
        for _attempt in range(3):
            assert client.login("s1@example.net", "wrong").code == 3
        assert client.login("s1@example.net", "pw-1").code == 3
        assert client.login("s2@example.net", "pw-2").accepted
        assert server.worker.answers.counted["too-many-attempts"] == 1
        client.close()


def test_refusals_reach_the_database_for_support(server, nas, recorded):
    """Support sees who was refused, where and why."""
    from aaa.radius.refusals import last_refusals

    nas().login("s1@example.net", "wrong")

    def told() -> list:
        with recorded.read() as conn:
            return [(row["nas"], row["reason"]) for row in last_refusals(conn, "s1@example.net")]

    assert eventually(told, cap=5) == [("bng1", "wrong-credentials")]


def test_a_node_serves_from_its_snapshot_with_everything_else_away(node):
    """No database, no index, no Git: logins are answered, and accounting is acknowledged from the journal."""
    away = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    alone = msgspec.structs.replace(node, database_url=away, index_url=away)
    with RadiusServer(alone, limits=Limits(reject_delay=0), in_process=True) as server:
        client = client_of(server, patience=3)
        assert client.login("s1@example.net", "pw-1").accepted
        assert client.account(pair(40, struct.pack(">I", 1)) + pair(44, b"x")) is not None
        assert list((node.home / "radius" / "journal").glob("*.journal"))
        client.close()


def test_a_database_that_hangs_is_away_after_two_seconds(node):
    """A PostgreSQL that takes connections and says nothing: accounting is acknowledged from the journal."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"postgresql+psycopg://nobody@127.0.0.1:{mute.getsockname()[1]}/none"
        alone = msgspec.structs.replace(node, database_url=url)
        with RadiusServer(alone, limits=Limits(reject_delay=0), in_process=True) as server:
            client = client_of(server, patience=6)
            reply = client.account(pair(40, struct.pack(">I", 1)) + pair(44, b"x"))
            assert reply is not None
            assert reply.milliseconds < 5000
            client.close()


def test_workers_share_the_ports_and_a_killed_one_is_replaced(node):
    """Two processes answer on one port; SIGKILL of both is repaired while the ports stay."""
    child = Child(node.home, workers=2)
    try:
        ports = child.ports
        assert len(ports["pids"]) == 2
        clients = [client_of(child) for _ in range(8)]
        assert all(client.login("s1@example.net", "pw-1").accepted for client in clients)
        for pid in ports["pids"]:
            os.kill(pid, signal.SIGKILL)
        for client in clients:
            assert eventually(functools.partial(client.login, "s1@example.net", "pw-1"), cap=20).accepted
            client.close()
    finally:
        child.end()


def test_workers_end_with_a_server_that_is_killed(node):
    """SIGKILL of the server: both workers end by themselves within seconds, and the next server has the ports and the
    ledgers to itself.
    """
    child = Child(node.home, workers=2)
    workers = [os.pidfd_open(pid) for pid in child.ports["pids"]]
    os.kill(child._process.pid, signal.SIGKILL)
    assert eventually(lambda: len(select.select(workers, [], [], 0)[0]) == 2, cap=9)
    second = Child(node.home, auth=child.auth_port, acct=child.acct_port, workers=2)
    try:
        client = client_of(second)
        assert client.login("s1@example.net", "pw-1").accepted
        client.close()
        assert "no addresses are given" not in (node.home / "server.log").read_text()
    finally:
        second.end()
        child.end()
        for worker in workers:
            os.close(worker)


def test_ipv6_and_mapped_ipv4_sources_are_the_same_nases(network, node):
    """A server on :: answers a NAS at ::1, and knows 127.0.0.1 although the socket calls it ::ffff:127.0.0.1."""
    network.bng("bng2", "pppd", "::1")
    network.put("device", "bng2", network.texts["device", "bng2"].replace("[::1]", '["::1"]'))
    write_snapshot(network, node)
    both = msgspec.structs.replace(node, radius_host="::")
    with RadiusServer(both, limits=Limits(reject_delay=0), in_process=True) as server:
        six = RadiusClient("::1", server.auth_port, server.acct_port, SECRET, source="::1")
        four = client_of(server)
        reply = six.login("s1@example.net", "pw-1")
        assert reply is not None
        assert "Filter-Id = 500000/50000" in reply.attributes
        assert "Mikrotik-Rate-Limit = 50000000/500000000" in four.login("s1@example.net", "pw-1").attributes
        six.close()
        four.close()
