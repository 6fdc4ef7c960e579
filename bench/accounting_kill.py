"""kill -9 of PostgreSQL and of the node under load: what was acknowledged is counted by a script that is not ours."""

import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from aaa.radius import packet as wire
from aaa.radius.exchange import RadiusClient
from aaa.radius.limits import Limits
from aaa.radius.server import RadiusServer
from bench.accounting_load import START, STOP, body, node_of, octets
from bench.radius_cost import tree
from bench.radius_load import nas_address, nas_secret
from core.settings import Settings

_COUNT = Path(__file__).with_name("accounting_count.py")
_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_AGAIN = 1.0
_NASES = 8


class Part:
    """A process tree that is started, killed and started again."""

    def __init__(self, start: Callable[[], int]) -> None:
        self._start = start
        self.pid = start()

    def kill(self) -> None:
        """SIGKILL of every process of it."""
        for pid in tree(self.pid):
            os.kill(pid, signal.SIGKILL)

    def again(self) -> None:
        """Start it anew."""
        self.pid = self._start()


def kill_both(seconds: float, rate: int, workers: int = 2) -> dict[str, int]:
    """Load for `seconds`: at a third PostgreSQL is killed and started, at two thirds the node. Returns the counts."""
    print(f"\nkill -9 of PostgreSQL, then of the node, under {rate} sessions/s (Start and Stop)")
    with tempfile.TemporaryDirectory() as home_, tempfile.TemporaryDirectory(prefix="tl-pg-") as folder_:
        home, folder = Path(home_), Path(folder_)
        database = Part(_cluster(folder))
        url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        _ready(folder)
        auth, acct = _free(), _free()
        settings = node_of(home, workers, _NASES, url)
        serving = Part(lambda: _serve(settings, auth, acct))
        answers(acct)
        caller = Caller(acct, home / "acknowledged")
        try:
            caller.run(rate, seconds / 3)
            database.kill()
            caller.run(rate, 1.5)
            database.again()
            caller.run(rate, seconds / 3)
            serving.kill()
            caller.run(rate, 0.5)
            serving.again()
            caller.run(rate, seconds / 3)
            caller.finish()
            _drained(home)
        finally:
            caller.close()
            serving.kill()
        return _counted(f"host={folder} user=postgres dbname=postgres", home, caller, database)


def _counted(conninfo: str, home: Path, caller: "Caller", database: Part) -> dict[str, int]:
    try:
        script = [sys.executable, str(_COUNT), conninfo, str(home / "acknowledged")]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
    finally:
        database.kill()
    print(f"{done.stdout.strip()}{done.stderr[-500:]}; retransmissions {caller.resent}", flush=True)
    pairs = (part.rpartition(" ") for part in done.stdout.strip().split(", "))
    return {name: int(number) for name, _space, number in pairs}


class Caller:
    """NASes that send Start and Stop of one session after another, and again every second until acknowledged."""

    def __init__(self, port: int, told: Path) -> None:
        self._ports = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(_NASES)]
        for nas, one in enumerate(self._ports):
            one.bind((nas_address(nas), 0))
            one.setblocking(False)
        self._server = ("127.0.0.1", port)
        self._told = told.open("w")
        self._waiting: dict[tuple[int, int], tuple[bytes, int, int, float]] = {}
        self._free = [(nas, identifier) for identifier in range(256) for nas in range(_NASES)]
        self.sessions = self.resent = 0

    def run(self, rate: int, seconds: float) -> None:
        """New sessions at `rate` a second."""
        begun, made = time.monotonic(), 0
        while (spent := time.monotonic() - begun) < seconds:
            while made < spent * rate and self._free:
                self._send(self.sessions, START)
                self.sessions += 1
                made += 1
            self._hear()

    def finish(self, cap: float = 60.0) -> None:
        """Until everything is acknowledged."""
        deadline = time.monotonic() + cap
        while self._waiting and time.monotonic() < deadline:
            self._hear()
        self._told.flush()
        if self._waiting:
            raise TimeoutError(f"{len(self._waiting)} records were never acknowledged")

    def close(self) -> None:
        """Give the sockets back."""
        self._told.close()
        for one in self._ports:
            one.close()

    def _send(self, number: int, kind: int) -> None:
        nas = number % _NASES
        place = next(place for place in self._free if place[0] == nas or kind == START)
        self._free.remove(place)
        nas, identifier = place
        datagram = wire.request(4, identifier, nas_secret(nas), body(nas, number, kind, kind == STOP))
        self._waiting[place] = (datagram, number, kind, time.monotonic())
        self._ports[nas].sendto(datagram, self._server)

    def _hear(self) -> None:
        for one in select.select(self._ports, [], [], 0.005)[0]:
            self._answer(self._ports.index(one), one)
        now = time.monotonic()
        for place, (datagram, number, kind, at) in list(self._waiting.items()):
            if now - at > _AGAIN:
                self.resent += 1
                self._waiting[place] = (datagram, number, kind, now)
                self._ports[place[0]].sendto(datagram, self._server)

    def _answer(self, nas: int, one: socket.socket) -> None:
        try:
            reply = wire.read(one.recv(4096))
        except OSError:
            return  # nobody listens just now
        waited = self._waiting.get((nas, reply.identifier)) if reply else None
        if (
            reply is None
            or waited is None
            or not wire.reply_is_right(reply, waited[0][4:20], nas_secret(nas))
        ):
            return
        _sent, number, kind, _at = self._waiting.pop((nas, reply.identifier))
        self._free.append((nas, reply.identifier))
        up = f" {octets(number, 1)[0]}" if kind == STOP else ""
        self._told.write(f"{'stop' if kind == STOP else 'start'} {number:08x}{up}\n")
        if kind == START:
            self._send(number, STOP)


def _cluster(folder: Path) -> Callable[[], int]:
    """Makes a cluster with PostgreSQL's safe defaults; returns what starts it."""
    import pwd

    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        account = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    init = [
        f"{_PROGRAMS[-1]}/initdb",
        "-D",
        f"{folder}/cluster",
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    init += ["--locale=C.UTF-8", "--no-instructions"]
    subprocess.run(init, cwd="/", check=True, stdout=subprocess.DEVNULL, **account)
    command = [f"{_PROGRAMS[-1]}/postgres", "-D", f"{folder}/cluster", "-c", "listen_addresses="]
    command += ["-c", f"unix_socket_directories={folder}"]

    def start() -> int:
        with (folder / "log").open("ab") as log:
            return subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **account).pid

    return start


def _ready(folder: Path) -> None:
    for _attempt in range(300):
        asked = [f"{_PROGRAMS[-1]}/pg_isready", "-q", "-h", str(folder)]
        if subprocess.run(asked, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise TimeoutError((folder / "log").read_text()[-2000:])


def _serve(settings: Settings, auth: int, acct: int) -> int:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_node, args=(settings, auth, acct, theirs))
    process.start()
    if not ours.poll(120):
        raise TimeoutError("the node did not start")
    ours.recv()
    _KEPT.append((process, ours))
    return process.pid or 0


_KEPT: list[Any] = []
"""Pipes of nodes: a node ends when its pipe does."""


def _node(settings: Settings, auth: int, acct: int, parent: Connection) -> None:
    import msgspec

    fixed = msgspec.structs.replace(settings, radius_auth_port=auth, radius_acct_port=acct)
    with RadiusServer(fixed, limits=Limits()) as _server:
        parent.send("ready")
        try:
            parent.recv()
        except EOFError:
            return


def answers(port: int) -> None:
    """Wait until a worker answers Status-Server: the first packets of a measurement are not its own start."""
    asking = RadiusClient("127.0.0.1", 0, port, nas_secret(0), nas_address(0), patience=1.0, attempts=60)
    try:
        if asking.status(accounting=True) is None:
            raise TimeoutError("the node does not answer")
    finally:
        asking.close()


def _drained(home: Path) -> None:
    deadline = time.monotonic() + 60
    while list((home / "radius" / "journal").glob("*.journal")):
        if time.monotonic() > deadline:
            raise TimeoutError("the journal is not drained")
        time.sleep(0.1)


def _free() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
