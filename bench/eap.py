"""PEAP/MSCHAPv2 logins a second and their CPU, whole and resumed (one worker, four peers at once)."""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from aaa.eap.authority import Authority
from aaa.eap.peer import PeapPeer
from aaa.radius.exchange import RadiusClient
from aaa.radius.server import RadiusServer
from core import logs
from core.settings import Settings
from tests.aaa.network import SECRET, Network, write_snapshot

LOGINS, PEERS = 400, 4
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the table; `TRUNKLINE_BENCH_LOGINS=100` makes it shorter. One worker process, four peers at once."""
    logs.configure(level="ERROR")
    logins = int(os.environ.get("TRUNKLINE_BENCH_LOGINS", LOGINS))
    table = Table("login", "logins", "a second", "server CPU ms", "round trips", "worker PSS MB")
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
        ca = Path(folder) / "radius" / "tls" / "ca.pem"
        for resume in (False, True):
            clients = [
                RadiusClient("127.0.0.1", server.auth_port, 0, SECRET, attempts=60) for _ in range(PEERS)
            ]
            peers = [PeapPeer(ca, "s1@example.net", "pw-1", SECRET, resume) for _ in range(PEERS)]
            for peer, client in zip(peers, clients, strict=True):
                peer.login(partial(_same, client))  # the first is never resumed, nor warm
            row(table, "PEAP resumed" if resume else "PEAP whole", server, peers, clients, logins)
            for client in clients:
                client.close()
    Console(file=sys.stdout, width=100).print(table)


def served(home: Path) -> RadiusServer:
    """A server of one worker with a certificate and one subscriber."""
    network = Network()
    network.subscriber(1)
    settings = Settings.load(home, {}, radius_auth_port=0, radius_acct_port=0, radius_workers=1)
    write_snapshot(network, settings)
    Authority.make(home / "radius" / "tls", "Bench").serve("radius.example.net")
    return RadiusServer(settings)


def row(
    table: Table,
    name: str,
    server: RadiusServer,
    peers: list[PeapPeer],
    clients: list[RadiusClient],
    logins: int,
) -> None:
    """Measure one kind of login. Every one is checked: accepted, and the same keys on both sides."""
    trips: list[int] = []

    def many(peer: PeapPeer, client: RadiusClient) -> None:
        for _ in range(logins // PEERS):
            ended = peer.login(partial(_same, client))
            if not (ended.accepted and ended.keys):
                raise AssertionError(f"{name}: {ended}")
            trips.append(ended.challenges + 1)

    pid = server.pids[0]
    before, begun = cpu_of(pid), time.perf_counter()
    at_once([partial(many, p, c) for p, c in zip(peers, clients, strict=True)])
    seconds = time.perf_counter() - begun
    if len(trips) != logins // PEERS * PEERS:
        raise AssertionError(f"{name}: {len(trips)} logins ended well")
    table.add_row(
        name,
        str(len(trips)),
        f"{len(trips) / seconds:.0f}",
        f"{(cpu_of(pid) - before) / len(trips) * 1000:.2f}",
        f"{sum(trips) / len(trips):.0f}",
        f"{pss_of(pid):.0f}",
    )


def _same(client: RadiusClient) -> RadiusClient:
    return client


def at_once(works: list[Callable[[], None]]) -> None:
    """Run each in a thread, to the end."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def cpu_of(pid: int) -> float:
    """Seconds of user and kernel CPU of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def pss_of(pid: int) -> float:
    """Proportional set size in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("Pss:"))) / 1024
