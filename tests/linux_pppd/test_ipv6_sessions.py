"""The BNG's IPv6 server on the interfaces of many sessions, in namespaces: `pppN` is a veth by that name."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cli.lab import namespaces
from tests.linux_pppd.dhcp6 import SOLICIT, ask, message, note, program
from tests.support import eventually, need

pytestmark = pytest.mark.real

BNG, SUBSCRIBERS = (namespaces.full_name(f"v6-{name}") for name in ("bng", "sub"))
MEMBERSHIPS = Path("/proc/sys/net/core/optmem_max")
"""The memory of a socket for, among others, its multicast memberships; a namespace has its own since Linux 6.8."""
ADVERTISEMENT = 134


class Sessions:
    """The server as the BNG runs it, advertising every second, and the subscribers' ends of its interfaces."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        every = "VALID, PREFERRED, EVERY = 7200, 3600, "
        text = program(folder)
        assert f"{every}120" in text
        self._program = folder / "server.py"
        self._program.write_text(text.replace(f"{every}120", f"{every}1"))
        self._running: subprocess.Popen[bytes] | None = None

    def begin(self, *names: str, ipv6: bool = True) -> None:
        """Sessions whose subscribers speak IPv6 or do not; the server is told where it runs."""
        cables, ours = [], []
        for name in names:
            cables.append(f"link add {name} type veth peer name {name} netns {SUBSCRIBERS}")
            cables += [f"link set {name} addrgenmode {'eui64' if ipv6 else 'none'}", f"link set {name} up"]
            ours.append(f"link set {name} up")
        namespaces.batch(cables, BNG)
        namespaces.batch(ours, SUBSCRIBERS)
        for name in names:
            note(self.folder, name, pd="2001:db8:4001:1100::/56")
        if self._running is not None:
            self.tell(*names)

    def tell(self, *names: str) -> None:
        """What pppd's hook does when a session's IPv6 is up."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            for name in names:
                door.sendto(name.encode(), str(self.folder / "door"))

    def serve(self) -> None:
        """Start the server."""
        with namespaces.inside(BNG):
            self._running = subprocess.Popen([sys.executable, "-I", str(self._program), "serve"])
        eventually(lambda: (self.folder / "door").exists(), cap=20)

    def close(self) -> None:
        """End the server."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    def files(self) -> int:
        """How many files and sockets the server has open."""
        assert self._running is not None
        return len(list(Path("/proc", str(self._running.pid), "fd").iterdir()))


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Sessions]:
    """None yet, and no server."""
    need("ip", apt="iproute2", root=True)
    namespaces.create((BNG, SUBSCRIBERS))
    made = Sessions(tmp_path)
    yield made
    made.close()
    namespaces.remove((BNG, SUBSCRIBERS))


def answered(names: list[str], cap: float) -> set[str]:
    """The sessions on which a Solicit is answered; each asks every half second until all are."""
    found: set[str] = set()
    deadline = time.monotonic() + cap
    with namespaces.inside(SUBSCRIBERS), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.bind(("::", 546))
        client.settimeout(0.5)
        while found < set(names) and time.monotonic() < deadline:
            for name in sorted(set(names) - found):
                with suppress(OSError):  # its link is not up yet
                    client.sendto(message(SOLICIT, ask()), ("ff02::1:2", 547, 0, socket.if_nametoindex(name)))
            try:
                while found < set(names):
                    found.add(socket.if_indextoname(client.recvfrom(1500)[1][3]))
            except TimeoutError:
                continue
    return found


def greeted(names: set[str], cap: float) -> set[str]:
    """The sessions on which an advertisement comes, until two have come on each of these."""
    found: list[str] = []
    deadline = time.monotonic() + cap
    with (
        namespaces.inside(SUBSCRIBERS),
        socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as listener,
    ):
        listener.settimeout(0.5)
        while any(found.count(name) < 2 for name in names) and time.monotonic() < deadline:
            with suppress(TimeoutError):
                packet, address = listener.recvfrom(1500)
                if packet[0] == ADVERTISEMENT:
                    found.append(socket.if_indextoname(address[3]))
    return {name for name in found if found.count(name) >= 2}


def test_every_session_is_heard_however_many_there_are_and_were(sessions: Sessions):
    """More than a socket may have memberships; an interface that is used again costs nothing more."""
    with namespaces.inside(BNG):
        few = MEMBERSHIPS.exists()
        if few:
            MEMBERSHIPS.write_text("1000")  # of 56 octets each
    names = [f"ppp{n}" for n in range(30 if few else 380)]  # 20480 octets before Linux 6.8
    sessions.serve()
    sessions.begin(*names)
    assert answered(names, cap=20) == set(names)
    before = sessions.files()
    sessions.tell(*names)
    namespaces.batch(["link del ppp0"], BNG)
    sessions.begin("ppp0")
    assert answered(["ppp0"], cap=20) == {"ppp0"}
    assert sessions.files() == before


def test_a_subscriber_without_ipv6_and_one_who_is_gone_keep_no_other_from_it(sessions: Sessions):
    """The server starts beside them, and goes on advertising to all others."""
    names = {f"ppp{n}" for n in range(6)}
    sessions.begin(*names - {"ppp1"})
    sessions.begin("ppp1", ipv6=False)
    note(sessions.folder, "ppp99")
    sessions.serve()
    assert greeted(names - {"ppp1"}, cap=20) == names - {"ppp1"}
