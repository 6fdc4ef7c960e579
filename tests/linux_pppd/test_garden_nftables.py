"""The garden's nftables rules, and the agent that loads them, on a kernel that has nftables for IP: this machine's.

The guests' kernel has none (the agent takes iptables there), so here namespaces play BNG, subscriber and Internet;
the BNG's side sees an /etc and a /run of its own. `ppp0` is a veth by that name.
"""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cli.lab import namespaces
from cli.lab.bng import serve_site
from drivers.files_on_device import agent_text
from drivers.linux_pppd.files import parse
from inventory.resolve import resolve_device
from renderers.linux_pppd.renderer import render
from tests.linux_pppd.network import Opened, reader
from tests.support import eventually, need

pytestmark = pytest.mark.real

BNG, SUBSCRIBER, INTERNET = (namespaces.full_name(f"n-{name}") for name in ("bng", "sub", "net"))
FREE, HELD, SITE = "100.64.0.77", "100.127.0.5", "198.51.100.80"
BNGS_SIDE = (
    "link set ppp0 up",
    "link set wan up",
    "address add 192.0.2.1/31 dev wan",
    "address add 2001:db8::1/64 dev ppp0",
    "route add default via 192.0.2.0",
    f"address add 100.64.0.1 peer {FREE}/32 dev ppp0",  # as pppd does it; the redirect needs it
    f"address add 100.64.0.1 peer {HELD}/32 dev ppp0",
)
SUBSCRIBERS_SIDE = (
    "link set ppp0 up",
    f"address add {FREE}/32 dev ppp0",
    f"address add {HELD}/32 dev ppp0",
    "address add 2001:db8::2/64 dev ppp0",
    "route add 100.64.0.1/32 dev ppp0",
    "route add default via 100.64.0.1 dev ppp0",
)
INTERNETS_SIDE = (
    "link set wan up",
    "address add 192.0.2.0/31 dev wan",
    f"address add {SITE}/32 dev lo",
    "address add 198.51.100.90/32 dev lo",
    "route add default via 192.0.2.1",
)
SANDBOX = "mount --bind {etc} /etc && mount -t tmpfs run /run && mkdir -p /run/trunkline && exec sleep 600"


class HostBng:
    """The agent in a mount namespace of its own, with the rendered files in place."""

    def __init__(self, folder: Path) -> None:
        etc = folder / "etc"
        subprocess.run(["cp", "-a", "/etc", str(etc)], check=True)
        files = parse(render(resolve_device(reader(), "bng1"), Opened()).config)
        kept = {path: file for path, file in files.items() if "/access/" not in path}
        state = etc / "trunkline" / "state"
        state.mkdir(parents=True)
        for path, file in kept.items():
            target = etc / Path(path).relative_to("/etc")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(file.text)
            target.chmod(int(file.mode, 8))
        (state / "manifest").write_text("".join(f"{file.mode} {path}\n" for path, file in kept.items()))
        agent = etc / "trunkline" / "agent"
        agent.write_text(agent_text("linux_pppd"))
        agent.chmod(0o755)
        inside = ["ip", "netns", "exec", BNG, "unshare", "-m", "sh", "-c", SANDBOX.format(etc=etc)]
        self._sleeper = subprocess.Popen(inside)
        eventually(
            lambda: self.run("test -d /run/trunkline && test -x /etc/trunkline/agent").returncode == 0, cap=10
        )

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command where the agent runs."""
        where = ["nsenter", "-t", str(self._sleeper.pid), "-m", "-n", "sh", "-c", command]
        return subprocess.run(where, capture_output=True, text=True, timeout=60, check=False)

    def agent(self, *words: str) -> None:
        """Let the agent do something that must work."""
        done = self.run(" ".join(["/etc/trunkline/agent", *words]))
        assert done.returncode == 0, done.stdout + done.stderr

    def close(self) -> None:
        """End the sandbox."""
        self._sleeper.kill()
        self._sleeper.wait()


@pytest.fixture(scope="module")
def bng(tmp_path_factory) -> Iterator[HostBng]:
    """Booted: the agent has loaded everything by itself."""
    for binary, apt in (
        ("nft", "nftables"),
        ("dnsmasq", "dnsmasq-base"),
        ("curl", "curl"),
        ("unshare", "util-linux"),
    ):
        need(binary, apt=apt, root=True)
    names = (BNG, SUBSCRIBER, INTERNET)
    namespaces.remove(names)
    namespaces.create(names)
    _cables()
    host = HostBng(tmp_path_factory.mktemp("bng"))
    site = serve_site(INTERNET, SITE, "this is the internet")
    host.agent("boot")
    yield host
    site.kill()
    site.wait()
    host.close()
    namespaces.remove(names)


def _cables() -> None:
    namespaces.batch(
        [
            f"link add ppp0 netns {BNG} type veth peer name ppp0 netns {SUBSCRIBER}",
            f"link add wan netns {BNG} type veth peer name wan netns {INTERNET}",
        ]
    )
    namespaces.batch(BNGS_SIDE, BNG)
    namespaces.batch(SUBSCRIBERS_SIDE, SUBSCRIBER)
    namespaces.batch(INTERNETS_SIDE, INTERNET)


def fetch(source: str, url: str = f"http://{SITE}/") -> int:
    """The HTTP status that a subscriber with this address gets; 0 for no answer."""
    asked = [
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--max-time",
        "3",
        "--interface",
        source,
        url,
    ]
    done = subprocess.run(
        ["ip", "netns", "exec", SUBSCRIBER, *asked], capture_output=True, text=True, check=False
    )
    return int(done.stdout or 0)


def test_a_garden_address_gets_the_page_and_an_ordinary_one_the_site(bng: HostBng):
    """The pool decides, whatever the interface is called."""
    eventually(lambda: (fetch(HELD), fetch(FREE)) == (511, 200), cap=20)
    assert fetch(HELD, f"http://{SITE}:443/") == 0


def test_an_interface_that_joins_is_held_whatever_its_address_and_free_when_it_leaves(bng: HostBng):
    """What the session hook does for a garden pool that has no addresses of its own."""
    bng.agent("garden", "join", "ppp0")
    assert fetch(FREE) == 511
    bng.agent("garden", "leave", "ppp0")
    assert fetch(FREE) == 200


def test_reloading_the_rules_keeps_who_is_held(bng: HostBng):
    """The ruleset is replaced in one transaction together with its members."""
    bng.agent("garden", "join", "ppp0")
    bng.agent("firewall")
    assert fetch(FREE) == 511
    bng.agent("garden", "leave", "ppp0")
    assert fetch(FREE) == 200


def test_being_held_ends_what_was_open(bng: HostBng):
    """No rule about established flows comes before the garden's."""
    with namespaces.inside(INTERNET), socket.create_server((SITE, 7777)) as listening:
        with namespaces.inside(SUBSCRIBER):
            flow = socket.create_connection((SITE, 7777), timeout=3, source_address=(FREE, 0))
        far, _from = listening.accept()
    with flow, far:
        far.settimeout(3)
        flow.sendall(b"one")
        assert far.recv(10) == b"one"
        bng.agent("garden", "join", "ppp0")
        try:
            with suppress(OSError):
                flow.sendall(b"two")
            with pytest.raises(TimeoutError):
                far.recv(10)
        finally:
            bng.agent("garden", "leave", "ppp0")


def test_where_invoices_are_paid_stays_reachable(bng: HostBng):
    """edge.garden.allow: the portal answers, by its own web server and not by the page."""
    with namespaces.inside(INTERNET):
        portal = socket.create_server(("198.51.100.90", 443))
    with portal, namespaces.inside(SUBSCRIBER):
        socket.create_connection(("198.51.100.90", 443), timeout=3, source_address=(HELD, 0)).close()


def test_every_name_leads_to_the_page_in_the_garden_only(bng: HostBng):
    """DNS to any server is answered by the garden's own resolver, with ten seconds to live."""
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01"
    with namespaces.inside(SUBSCRIBER):
        held, free = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        held.bind((HELD, 0))
        free.bind((FREE, 0))
    with held, free:
        for asking in (held, free):
            asking.settimeout(3)
            asking.sendto(query, ("203.0.113.53", 53))
        answer = held.recv(512)
        assert answer.endswith(b"\x00\x00\x00\x0a\x00\x04" + socket.inet_aton("100.64.0.1"))
        with pytest.raises(TimeoutError):
            free.recv(512)


def test_ipv6_is_closed(bng: HostBng):
    """A subscriber of pppd has no IPv6: nothing is forwarded or answered, held or not."""
    with namespaces.inside(SUBSCRIBER), socket.socket(socket.AF_INET6) as asking:
        asking.settimeout(2)
        with pytest.raises(TimeoutError):
            asking.connect(("2001:db8::1", 8080))


def test_the_bng_itself_is_closed_to_subscribers(bng: HostBng):
    """Not even the garden's page is open to who is not held."""
    assert fetch(FREE, "http://100.64.0.1:8080/") == 0
