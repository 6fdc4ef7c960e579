"""A load of RADIUS requests from many NAS addresses, in a process of its own; every reply's signature is verified.

`measure(Load(...), builder)` starts the process, waits until it is ready, and gives what it saw. A builder is a
function of a module: Load -> requests, in the order of sending.
"""

import multiprocessing
import random
import secrets
import select
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import NamedTuple

import msgspec

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.packet import pair

NASES = 400
_SILENCE = 2.0


class Load(msgspec.Struct, frozen=True):
    """`window` requests are under way at a time; with `rate` (a second) they leave at their time instead."""

    port: int
    requests: int
    subscribers: int
    window: int = 64
    rate: int = 0
    nases: int = NASES
    wrong: float = 0.01
    seed: int = 1
    signed: bool = True
    """Message-Authenticator in requests that may leave it out: accounting, whose authenticator is a signature."""
    streamed: bool = False
    """Make each request when it is sent: slower, for more of them than fit into memory."""


class Request(NamedTuple):
    """One request: which NAS sends it, and the code of the right answer."""

    nas: int
    datagram: bytes
    code: int
    slow: bool = False
    """The answer is meant to wait (a reject): it takes no place in the window."""


class Seen(msgspec.Struct):
    """What the load saw. `latencies` in seconds, of answers that do not wait on purpose."""

    answered: int = 0
    wrong: int = 0
    resent: int = 0
    seconds: float = 0.0
    latencies: list[float] = []

    def percentile(self, part: float) -> float:
        """Milliseconds that `part` of the answers stayed under."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 if ordered else 0.0

    @property
    def median(self) -> float:
        """Milliseconds."""
        return statistics.median(self.latencies) * 1000 if self.latencies else 0.0


Builder = Callable[[Load], Iterable[Request]]


def nas_address(number: int) -> str:
    """Where a NAS sends from: 127.0.1.1 and on."""
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


def nas_secret(number: int) -> bytes:
    """Each NAS has its own."""
    return b"secret-of-nas-%04d" % number


def logins(load: Load) -> Iterator[Request]:
    """PAP logins of random subscribers with 13 attributes, Message-Authenticator first, as a BNG sends them."""
    rng = random.Random(load.seed)
    for index in range(load.requests):
        nas, number = index % load.nases, rng.randrange(load.subscribers)
        secret, asked = nas_secret(nas), secrets.token_bytes(16)
        bad = rng.random() < load.wrong
        password = b"guess" if bad else b"pw-%d" % number
        body = (
            pair(1, b"s%d@example.net" % number)
            + pair(2, hide(password, secret, asked))
            + pair(4, socket.inet_aton(nas_address(nas)))
            + pair(5, struct.pack(">I", number))
            + pair(6, b"\0\0\0\2")
            + pair(7, b"\0\0\0\1")
            + pair(30, b"service1")
            + pair(31, b"02:00:5e:%02x:%02x:%02x" % (number >> 16 & 255, number >> 8 & 255, number & 255))
            + pair(32, b"bng%d" % nas)
            + pair(44, b"%08x" % index)
            + pair(61, b"\0\0\0\x0f")
            + pair(87, b"bond1.101")
        )
        datagram = wire.request(1, index // load.nases & 255, secret, body, asked)
        yield Request(nas, datagram, wire.ACCESS_REJECT if bad else wire.ACCESS_ACCEPT, bad)


def measure(load: Load, builder: Builder = logins, around: Callable[[bool], None] | None = None) -> Seen:
    """Run the load in its own process. `around(True)` is called when it is ready and `around(False)` at its end."""
    around = around or (lambda _begins: None)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(load, builder, theirs), daemon=True)
    process.start()
    try:
        ours.recv()
        around(True)
        ours.send("go")
        seen: Seen = msgspec.msgpack.decode(ours.recv(), type=Seen)
        around(False)
        return seen
    finally:
        process.join(timeout=5)
        process.kill()


def _child(load: Load, builder: Builder, parent: Connection) -> None:
    requests = builder(load) if load.streamed else list(builder(load))
    parent.send("ready")
    parent.recv()
    parent.send(msgspec.msgpack.encode(_Drive(load).run(iter(requests))))


class _Drive:
    """Sends and waits, all from one thread. What came is verified when all is over, so that the load is quick enough
    to keep a server busy; with `streamed` at once.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._ports = [_port(number, load.port) for number in range(load.nases)]
        self._poll = select.epoll()
        self._of: dict[int, tuple[int, socket.socket]] = {}
        for number, port in enumerate(self._ports):
            self._poll.register(port.fileno(), select.EPOLLIN)
            self._of[port.fileno()] = (number, port)
        self._waiting: dict[int, tuple[Request, float]] = {}
        self._came: list[tuple[Request, bytes, float]] = []
        self._quick = 0
        self._seen = Seen()

    def run(self, requests: Iterator[Request]) -> Seen:
        """Everything sent and answered, or sent five times and lost."""
        begun = heard = time.perf_counter()
        sent, left, rate = 0, True, self._load.rate
        while left or self._waiting:
            now = time.perf_counter()
            while left and (sent <= (now - begun) * rate if rate else self._quick < self._load.window):
                request = next(requests, None)
                left = request is not None
                if request is not None:
                    self._send(request)
                    sent += 1
            events = self._poll.poll(0.001 if rate and left else 0.1)
            self._receive(events)
            heard = time.perf_counter() if events else heard
            if not events and now - heard > _SILENCE and self._waiting:
                heard = now
                if not self._again():
                    break
        self._seen.seconds = time.perf_counter() - begun
        self._verify()
        for port in self._ports:
            port.close()
        return self._seen

    def _send(self, request: Request) -> None:
        key = request.nas << 8 | request.datagram[1]
        old = self._waiting.get(key)
        if old is not None:  # 256 requests of one NAS under way: its oldest is lost
            self._quick -= not old[0].slow
        self._waiting[key] = (request, time.perf_counter())
        self._quick += not request.slow
        self._ports[request.nas].send(request.datagram)

    def _receive(self, events: list[tuple[int, int]]) -> None:
        for fd, _event in events:
            nas, port = self._of[fd]
            reply = port.recv(4096)
            found = self._waiting.pop(nas << 8 | reply[1], None)
            if found is not None:
                request, at = found
                self._quick -= not request.slow
                self._came.append((request, reply, time.perf_counter() - at))
        if self._load.streamed:
            self._verify()

    def _verify(self) -> None:
        for request, reply, seconds in self._came:
            packet = wire.read(reply)
            asked, secret = request.datagram[4:20], nas_secret(request.nas)
            if (
                packet is None
                or packet.code != request.code
                or not wire.reply_is_right(packet, asked, secret)
            ):
                self._seen.wrong += 1
                continue
            self._seen.answered += 1
            if not request.slow:
                self._seen.latencies.append(seconds)
        self._came.clear()

    def _again(self) -> bool:
        """Send what was not answered once more; False when that was done often enough."""
        self._seen.resent += len(self._waiting)
        for request, _at in self._waiting.values():
            self._ports[request.nas].send(request.datagram)
        return self._seen.resent < 5 * max(64, len(self._waiting))


def _port(nas: int, server: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    made.bind((nas_address(nas), 0))
    made.connect(("127.0.0.1", server))
    return made
