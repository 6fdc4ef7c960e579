"""The lab cleans up after itself, also after a kill -9, and its operator's side can be seen from the host."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cli.lab import namespaces, ping
from cli.lab.forward import Forward
from cli.lab.plan import NoManagementAddress, plan_of
from cli.lab.topology import CONTROL
from intents.loader import load
from intents.reader import MemoryReader
from tests.frr.network import documents, reader
from tests.support import ROOT, need

KILLED = """
from cli.lab.routers import start_routers
from cli.lab.topology import LabPlan
import time
with start_routers(LabPlan.of({"a": "10.255.0.1"}, [], "10.255.0.254/24")) as lab:
    print(lab.control, lab.namespace("a"), lab.folder, flush=True)
    time.sleep(300)
"""


@pytest.mark.real
def test_what_a_killed_lab_left_goes_at_the_next_start():
    """Namespaces, daemons, FRR's folders and our own: nothing of a kill -9 stays."""
    need("/usr/lib/frr/zebra", apt="frr", root=True)
    with subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, cwd=ROOT) as lab:
        assert lab.stdout is not None
        control, router, folder = lab.stdout.readline().split()
        pids = namespaces.run(["ip", "netns", "pids", router]).split()
        os.kill(lab.pid, signal.SIGKILL)
    assert len(pids) == 6  # five daemons and sshd
    namespaces.remove_stale()
    places = [
        namespaces.RUN / control,
        namespaces.RUN / router,
        Path("/etc/frr", router),
        Path("/var/run/frr", router),
        Path(folder),
    ]
    assert [place for place in places if place.exists()] == []
    assert [pid for pid in pids if router in _command(pid)] == []


def _command(pid: str) -> str:
    path = Path("/proc", pid, "cmdline")
    return path.read_text() if path.exists() else ""


@pytest.mark.real
def test_a_port_of_the_operators_side_is_seen_on_the_hosts_loopback():
    """The console of a lab has a URL that a browser on the host can open."""
    need("ip", apt="iproute2", root=True)
    name = namespaces.full_name("forward")
    namespaces.create([name])
    try:
        with namespaces.inside(name):
            server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=lambda: server.accept()[0].sendall(b"console"), daemon=True).start()
        forward = Forward(name, server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", forward.port_here), timeout=5) as seen:
            assert seen.recv(100) == b"console"
        forward.close()
        server.close()
    finally:
        namespaces.remove([name])


def test_the_lab_is_read_from_the_intents():
    """Routers at their management addresses, links as cables, handoffs as ports; the operator has the last address."""
    plan = plan_of(reader(extras=True))
    assert [(router.name, router.management) for router in plan.routers] == [
        ("r1", "10.255.0.1"), ("r2", "10.255.0.2"), ("r3", "10.255.0.3"),
    ]  # fmt: skip
    assert [(cable.a, cable.b) for cable in plan.cables] == [
        (("r1", "eth0"), ("r2", "eth0")), (("r1", "eth1"), ("r3", "eth1")), (("r2", "eth1"), ("r3", "eth0")),
    ]  # fmt: skip
    assert [router.ports for router in plan.routers] == [("spare", "uplink"), ("cust0",), ("cust0", "cust1")]
    assert plan.control == ("10.255.0.254/24",)
    assert plan.expected_adjacencies() == 6


def test_links_to_other_devices_end_on_the_operators_side():
    """A BNG that is no FRR is wired by whoever starts it."""
    texts = documents()
    texts["network/devices/r3.yaml"] = texts["network/devices/r3.yaml"].replace(
        "platform: frr", "platform: virtual"
    )
    plan = plan_of(_reader(texts))
    assert plan.outside() == {("r1", "eth1"): "x0", ("r2", "eth1"): "x1"}
    assert CONTROL in {cable.b[0] for cable in plan.cables}
    assert plan.expected_adjacencies() == 2


def test_a_router_without_a_management_address_is_named():
    """The lab cannot guess where it should answer."""
    texts = documents()
    texts["network/devices/r2.yaml"] = texts["network/devices/r2.yaml"].replace("management:", "pair: x #")
    with pytest.raises(NoManagementAddress, match="r2"):
        plan_of(_reader(texts))


def test_the_checksum_is_that_of_rfc_1071():
    """A packet with its checksum in place sums to zero."""
    head = b"\x08\x00\x00\x00\x12\x34\x00\x01"
    whole = head[:2] + ping.checksum(head).to_bytes(2, "big") + head[4:]
    assert ping.checksum(whole) == 0


def _reader(texts: dict[str, str]) -> MemoryReader:
    return MemoryReader([load(path, text.encode()) for path, text in texts.items()])  # type: ignore[misc]
