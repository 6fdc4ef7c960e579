"""A mass reconnect: sessions come back with logins and Starts, and the database is away in the middle of it.

What a BNG does: an Access-Request, then the Accounting-Start, each again after three seconds of silence. Counted are
the clients that needed a second retransmission, and in the end the Starts in the database.
"""

import os
import random
import secrets
import select
import signal
import socket
import struct
import tempfile
import time
from collections import Counter
from pathlib import Path

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.packet import pair
from bench import radius_postgres
from bench.accounting_kill import answers
from bench.accounting_load import START, body
from bench.radius_cost import tree
from bench.radius_load import nas_address, nas_secret
from bench.radius_ours import node, running
from bench.radius_postgres import Postgres, postgres

SESSIONS = int(os.environ.get("TRUNKLINE_BENCH_SESSIONS", "100000"))
RATE = int(os.environ.get("TRUNKLINE_BENCH_RATE", "2000"))
AWAY = float(os.environ.get("TRUNKLINE_BENCH_AWAY", "60"))
WORKERS = int(os.environ.get("TRUNKLINE_BENCH_WORKERS", "1"))
NASES = 40
STEP = 5.0
PATIENCE = 3.0
"""Seconds after which a NAS sends again."""
Key = tuple[int, int, int]
"""NAS, port (0 login, 1 accounting), identifier."""


def main() -> None:
    """Print a table of steps of five seconds, and what came of it."""
    absent = radius_postgres.missing()
    if absent:
        print(f"not measured: install {absent}")
        return
    with tempfile.TemporaryDirectory() as home_, postgres(max_wal_size="4GB") as base:
        home = Path(home_)
        base.create("ours")
        settings = node(home, SESSIONS, WORKERS, NASES, database_url=base.url("ours"))
        with running(settings) as ours:
            answers(ours.acct_port)
            storm = Storm(ours.auth_port, ours.acct_port, home / "radius" / "journal")
            storm.run(_Outage(base, SESSIONS / RATE / 2 - AWAY / 2))
            storm.finish()
            _wait_drained(home)
        told = base.psql("ours", "SELECT count(*), count(DISTINCT acct_session_id) FROM radius_session")
        print(
            f"Starts acknowledged {storm.started}; sessions in the database {told.replace('|', ', distinct ')}"
        )
        print(f"sent again once {storm.again[1]}, twice or more {sum(storm.again.values()) - storm.again[1]}")


class _Outage:
    """PostgreSQL stands still, all its processes, from `begins` on for `AWAY` seconds."""

    def __init__(self, base: Postgres, begins: float) -> None:
        self._base, self._begins = base, max(1.0, begins)
        self._stopped: list[int] = []
        self.is_over = False

    def look(self, spent: float) -> bool:
        """Stop or continue it as is due; whether it stands still."""
        if not self.is_over and not self._stopped and spent >= self._begins:
            self._stopped = tree(self._base.pid)
            self._signal(signal.SIGSTOP)
        elif self._stopped and spent >= self._begins + AWAY:
            self._signal(signal.SIGCONT)
            self._stopped, self.is_over = [], True
        return bool(self._stopped)

    def _signal(self, what: signal.Signals) -> None:
        for pid in self._stopped:
            try:
                os.kill(pid, what)
            except ProcessLookupError:
                continue


class Storm:
    """All sessions, one after the other at `RATE`, from `NASES` NASes with two sockets each."""

    def __init__(self, auth_port: int, acct_port: int, journal: Path) -> None:
        self._servers = (("127.0.0.1", auth_port), ("127.0.0.1", acct_port))
        self._journal = journal
        self._poll = select.epoll()
        self._sockets: dict[tuple[int, int], socket.socket] = {}
        self._of: dict[int, tuple[int, int]] = {}
        for nas in range(NASES):
            for port in (0, 1):
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                one.bind((nas_address(nas), 0))
                one.setblocking(False)
                self._sockets[nas, port] = one
                self._of[one.fileno()] = (nas, port)
                self._poll.register(one.fileno(), select.EPOLLIN)
        self._waiting: dict[Key, tuple[bytes, int, float, float, int]] = {}
        self._queue: list[tuple[float, Key]] = []
        self._free = {place: list(range(256)) for place in self._sockets}
        self.again: Counter[int] = Counter()
        self.logins = self.started = self._resent = 0
        self._late: list[float] = []
        self._numbers = list(range(SESSIONS))
        random.Random(1).shuffle(self._numbers)

    def run(self, outage: _Outage) -> None:
        """Until every session was begun and the database is back."""
        print(
            f"{'s':>6}{'database':>10}{'logins/s':>10}{'starts/s':>10}{'again':>8}{'p99 ms':>9}{'journal KiB':>13}"
        )
        begun, next_told = time.monotonic(), STEP
        while self._numbers or not outage.is_over:
            spent = time.monotonic() - begun
            away = outage.look(spent)
            while len(self._numbers) > SESSIONS - spent * RATE and self._numbers:
                number = self._numbers[-1]
                if not self._send(number % NASES, 0, number):
                    break
                self._numbers.pop()
            self._hear()
            if spent >= next_told:
                self._tell(spent, away)
                next_told += STEP

    def finish(self, cap: float = 60.0) -> None:
        """Until everything is answered. Raises TimeoutError."""
        deadline = time.monotonic() + cap
        while self._waiting and time.monotonic() < deadline:
            self._hear()
        if self._waiting:
            raise TimeoutError(f"{len(self._waiting)} requests were never answered")

    def _send(self, nas: int, port: int, number: int) -> bool:
        """Whether the NAS had an identifier left: else the session waits, as on a BNG."""
        free = self._free[nas, port]
        if not free:
            return False
        identifier = free.pop(0)
        if port == 0:
            datagram = _login(nas, number, identifier)
        else:
            datagram = wire.request(4, identifier, nas_secret(nas), body(nas, number, START, 0))
        now = time.monotonic()
        self._waiting[nas, port, identifier] = (datagram, number, now, now, 0)
        self._queue.append((now + PATIENCE, (nas, port, identifier)))
        self._sockets[nas, port].sendto(datagram, self._servers[port])
        return True

    def _hear(self) -> None:
        for fd, _event in self._poll.poll(0.002):
            self._take(*self._of[fd])
        now = time.monotonic()
        while self._queue and self._queue[0][0] <= now:
            _due, key = self._queue.pop(0)
            self._repeat(key, now)

    def _repeat(self, key: Key, now: float) -> None:
        waited = self._waiting.get(key)
        if waited is None or now - waited[3] < PATIENCE:
            return  # answered; another request has the identifier now
        datagram, number, first, _last, times = waited
        self._waiting[key] = (datagram, number, first, now, times + 1)
        self._queue.append((now + PATIENCE, key))
        self._resent += 1
        self._sockets[key[0], key[1]].sendto(datagram, self._servers[key[1]])

    def _take(self, nas: int, port: int) -> None:
        for _most in range(64):
            try:
                reply = wire.read(self._sockets[nas, port].recv(4096))
            except OSError:
                return
            key = (nas, port, reply.identifier if reply else -1)
            waited = self._waiting.get(key)
            if (
                reply is None
                or waited is None
                or not wire.reply_is_right(reply, waited[0][4:20], nas_secret(nas))
            ):
                continue
            datagram, number, first, _last, times = self._waiting.pop(key)
            self._free[nas, port].append(datagram[1])
            self._late.append(time.monotonic() - first)
            if times:
                self.again[times] += 1
            if port == 1:
                self.started += 1
            else:
                self.logins += 1
                if not self._send(nas, 1, number):
                    raise RuntimeError("a NAS has more Starts under way than RADIUS can name; use more NASES")

    def _tell(self, spent: float, away: bool) -> None:
        late = sorted(self._late)
        worst = late[int(len(late) * 0.99)] * 1000 if late else 0.0
        size = (
            sum(path.stat().st_size for path in self._journal.glob("*.journal"))
            if self._journal.exists()
            else 0
        )
        logins, starts = self.logins - self._told[0], self.started - self._told[1]
        self._told = (self.logins, self.started)
        print(
            f"{spent:>6.0f}{'away' if away else 'there':>10}{logins / STEP:>10.0f}{starts / STEP:>10.0f}"
            f"{self._resent:>8}{worst:>9.1f}{size / 1024:>13.0f}",
            flush=True,
        )
        self._late, self._resent = [], 0

    _told = (0, 0)


def _login(nas: int, number: int, identifier: int) -> bytes:
    secret, asked = nas_secret(nas), secrets.token_bytes(16)
    told = (
        pair(1, b"s%d@example.net" % number)
        + pair(2, hide(b"pw-%d" % number, secret, asked))
        + pair(5, struct.pack(">I", number))
        + pair(6, b"\0\0\0\2")
        + pair(7, b"\0\0\0\1")
        + pair(44, b"%08x" % number)
    )
    return wire.request(1, identifier, secret, told, asked)


def _wait_drained(home: Path) -> None:
    deadline = time.monotonic() + 120
    while list((home / "radius" / "journal").glob("*.journal")):
        if time.monotonic() > deadline:
            raise TimeoutError("the journal is not drained")
        time.sleep(0.2)
