"""The garden's nftables rules, and the agent that loads them, on a kernel that has nftables for IP: this machine's."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cli.lab import namespaces
from tests.linux_pppd.host_bng import FREE, HELD, INTERNET, SITE, SUBSCRIBER, HostBng, fetch

pytestmark = pytest.mark.real

QUERY = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01"
RESOLVER = SITE
"""Somebody's on the Internet; not one that the edge names."""
PORTAL = ("198.51.100.90", 443)


@pytest.fixture
def bng(booted: HostBng) -> HostBng:
    """With a session that is free."""
    booted.put("free")
    return booted


@contextmanager
def asking(source: str) -> Iterator[socket.socket]:
    """A subscriber's socket for questions to a resolver on the Internet."""
    with namespaces.inside(SUBSCRIBER):
        asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with asks:
        asks.bind((source, 0))
        asks.settimeout(1.5)
        asks.connect((RESOLVER, 53))
        yield asks


@contextmanager
def portal() -> Iterator[None]:
    """Where invoices are paid: its own web server."""
    with namespaces.inside(INTERNET), socket.create_server(PORTAL):
        yield


def reaches_portal(source: str) -> bool:
    """Whether it answers."""
    with namespaces.inside(SUBSCRIBER), suppress(TimeoutError):
        socket.create_connection(PORTAL, timeout=1, source_address=(source, 0)).close()
        return True
    return False


@contextmanager
def a_flow() -> Iterator[tuple[socket.socket, socket.socket]]:
    """An established flow of a free subscriber: both ends."""
    with namespaces.inside(INTERNET), socket.create_server((SITE, 7777)) as listening:
        with namespaces.inside(SUBSCRIBER):
            flow = socket.create_connection((SITE, 7777), timeout=3, source_address=(FREE, 0))
        far, _from = listening.accept()
    with flow, far:
        far.settimeout(1.5)
        flow.sendall(b"one")
        assert far.recv(10) == b"one"
        yield flow, far


def ends_what_was_open(bng: HostBng, state: str) -> None:
    """What a subscriber sends in an established flow does not arrive any more once the interface is in that state."""
    with a_flow() as (flow, far):
        bng.put(state)
        with suppress(OSError):
            flow.sendall(b"two")
        with pytest.raises(TimeoutError):
            far.recv(10)


def test_a_garden_address_gets_the_page_and_an_ordinary_one_the_site(bng: HostBng):
    """The pool decides, even on an interface that is free."""
    assert (fetch(HELD), fetch(FREE)) == (511, 200)
    assert fetch(HELD, f"http://{SITE}:443/") == 0


def test_an_interface_is_held_whatever_its_address_and_free_when_it_leaves(bng: HostBng):
    """What the session hook does for a garden pool that has no addresses of its own."""
    bng.put("held")
    assert fetch() == 511
    bng.put("free")
    assert fetch() == 200


def test_nothing_passes_on_a_new_interface(bng: HostBng):
    """IPv6 brings it up before the hook has said who is on it: neither site nor page, nor the portal."""
    ends_what_was_open(bng, "new")
    assert fetch(cap=1) == 0
    assert fetch(url="http://100.64.0.1:8080/", cap=1) == 0
    with portal():
        assert not reaches_portal(FREE)
    with asking(FREE) as asks:
        asks.send(QUERY)
        with pytest.raises(TimeoutError):
            asks.recv(512)


def test_what_a_free_subscriber_asked_too_early_leaves_nothing_behind(bng: HostBng):
    """The same flow reaches the Internet once the interface is free: the garden had no part in it."""
    bng.put("new")
    with namespaces.inside(INTERNET):
        resolver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with resolver, asking(FREE) as asks:
        resolver.bind((RESOLVER, 53))
        resolver.settimeout(3)
        asks.send(b"early")
        bng.put("free")
        asks.send(b"late")
        said, back = resolver.recvfrom(512)
        resolver.sendto(said, back)
        assert asks.recv(512) == b"late"
    assert fetch() == 200


def test_who_has_a_reused_name_inherits_nothing(bng: HostBng):
    """The group is the interface's own and goes with it."""
    assert fetch() == 200
    bng.replug()
    bng.agent("firewall")
    assert fetch(cap=1) == 0


@pytest.mark.parametrize(("group", "status"), [("free", 200), ("held", 511)])
def test_reloading_the_rules_keeps_who_is_free_and_who_is_held(bng: HostBng, group: str, status: int):
    """The ruleset is replaced in one transaction; it names no interface."""
    bng.put(group)
    bng.agent("firewall")
    assert fetch() == status


@pytest.mark.parametrize(("garden", "status"), [("leave", 200), ("join", 511)])
def test_a_session_from_before_there_were_groups_is_put_into_its_own(
    bng: HostBng, tmp_path: Path, garden: str, status: int
):
    """Its note says which; so it goes on when a BNG gets these rules for the first time."""
    shutil.copy("/bin/sleep", tmp_path / "pppd")
    with subprocess.Popen([tmp_path / "pppd", "60"]) as pppd:
        bng.put("new")
        bng.must(f"printf 'pid={pppd.pid}\\ngarden={garden}\\n' >/run/trunkline/sessions/ppp0")
        bng.must("echo 1 >/run/ppp0.pid")
        bng.agent("firewall")
        assert fetch(cap=1) == 0  # the note is not of the interface's pppd
        bng.must(f"echo {pppd.pid} >/run/ppp0.pid")
        bng.agent("firewall")
        assert fetch() == status
        pppd.kill()
        pppd.wait()
    bng.put("new")
    bng.agent("firewall")
    assert fetch(cap=1) == 0  # nor does the note of one who is gone free anybody
    bng.must("rm /run/trunkline/sessions/ppp0 /run/ppp0.pid")


def test_being_held_ends_what_was_open(bng: HostBng):
    """No rule about established flows comes before the garden's."""
    ends_what_was_open(bng, "held")


def test_where_invoices_are_paid_stays_reachable(bng: HostBng):
    """edge.garden.allow: the portal answers, by its own web server and not by the page."""
    with portal():
        for group, source in (("free", HELD), ("held", FREE)):
            bng.put(group)
            assert reaches_portal(source)


def test_every_name_leads_to_the_page_in_the_garden_only(bng: HostBng):
    """DNS to any server is answered by the garden's own resolver, with ten seconds to live."""
    with asking(HELD) as held, asking(FREE) as free:
        held.send(QUERY)
        assert held.recv(512).endswith(b"\x00\x00\x00\x0a\x00\x04" + socket.inet_aton("100.64.0.1"))
        free.send(QUERY)
        with pytest.raises(OSError, match=r"refused|timed out"):  # by the Internet, or not at all
            free.recv(512)


def test_ipv6_is_closed(bng: HostBng):
    """Nothing of the BNG's is open to a subscriber over IPv6, held or not; not even the page's port."""
    for group in ("new", "free", "held"):
        bng.put(group)
        with namespaces.inside(SUBSCRIBER), socket.socket(socket.AF_INET6) as asks:
            asks.settimeout(1.5)
            with pytest.raises(TimeoutError):
                asks.connect(("2001:db8::1", 8080))


def test_the_bng_itself_is_closed_to_subscribers(bng: HostBng):
    """Not even the garden's page is open to who is not held."""
    assert fetch(url="http://100.64.0.1:8080/") == 0
