"""A fleet of NAS stand-ins in a process of its own: many sessions, real logins and accounting, CoA and Disconnect with
loss, NAKs, a limit of requests a second, and subscribers who dial again at once. For bench/ and reduced tests.
"""

import multiprocessing
import random
import secrets
import selectors
import socket
import struct
import time
from collections import Counter, deque
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.packet import Packet, pair
from aaa.view.records import read_class

_BURST = 5
_AGAIN = 1.0
_WINDOW = 32


class Fleet(msgspec.Struct, frozen=True, kw_only=True):
    """What a process plays: NASes by (source address, CoA port), and how they behave."""

    nases: tuple[tuple[str, int], ...]
    secret: bytes
    auth_port: int
    acct_port: int
    rate: float = 50.0
    seed: int = 1


class Login(msgspec.Struct, frozen=True, array_like=True):
    """A subscriber on a NAS: index into `nases`, login, password."""

    nas: int
    login: str
    password: str


class Redial(msgspec.Struct, frozen=True, array_like=True):
    """A login after a Disconnect: when it was answered (epoch seconds), and with which service and policy hash."""

    at: float
    service: str
    policy_hash: str


class Report(msgspec.Struct, frozen=True):
    """What happened since the last report. `counts`: acked, lost, nak, over (beyond the rate), no-session, repeated."""

    counts: dict[str, int]
    redials: list[Redial]
    open: int
    quiet: bool
    """Nothing is under way: every redial has its Accounting-Start acknowledged."""


class _Pending(msgspec.Struct, eq=False):
    request: bytes
    port: int
    sent: float
    who: Login
    kind: str
    session: bytes = b""
    cls: bytes = b""
    again: bool = False


class _Nas:
    """One stand-in: its socket for CoA, its socket towards the server, and its sessions."""

    def __init__(self, fleet: Fleet, index: int) -> None:
        source, port = fleet.nases[index]
        self.index = index
        self.coa, self.out = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for one, at in ((self.coa, port), (self.out, 0)):
            one.bind((source, at))
            one.setblocking(False)
        self.sessions: dict[bytes, Login] = {}
        self.classes: dict[bytes, bytes] = {}
        self.pending: dict[int, _Pending] = {}
        self.queue: deque[tuple[str, Login, bytes, bytes, bool]] = deque()
        self.answered: dict[bytes, bytes] = {}
        self.tokens, self.filled = float(_BURST), time.monotonic()
        self.next_id = 0
        self.count = 0


class _Play:
    def __init__(self, fleet: Fleet, pipe: Connection) -> None:
        self.fleet, self.pipe = fleet, pipe
        self.random = random.Random(fleet.seed)
        self.nases = [_Nas(fleet, index) for index in range(len(fleet.nases))]
        self.loss = self.nak_share = 0.0
        self.counts: Counter[str] = Counter()
        self.redials: list[Redial] = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(pipe, selectors.EVENT_READ, ("pipe", None))
        for nas in self.nases:
            self.selector.register(nas.coa, selectors.EVENT_READ, ("coa", nas))
            self.selector.register(nas.out, selectors.EVENT_READ, ("out", nas))

    def run(self) -> None:
        looked = time.monotonic()
        while True:
            for ready, _events in self.selector.select(0.05):
                what, nas = ready.data
                if what == "pipe":
                    if not self.told():
                        return
                elif what == "coa":
                    self.read_coa(nas)
                else:
                    self.read_reply(nas)
            if time.monotonic() - looked > 0.2:
                looked = time.monotonic()
                self.resend(looked)

    def told(self) -> bool:
        what, given = self.pipe.recv()
        if what == "stop":
            return False
        if what == "login":
            for one in given:
                self.nases[one.nas].queue.append(("login", one, b"", b"", False))
            for nas in self.nases:
                self.pump(nas)
        elif what == "faults":
            self.loss, self.nak_share = given
        else:
            self.pipe.send(self.report())
        return True

    def report(self) -> Report:
        quiet = not any(nas.pending or nas.queue for nas in self.nases)
        made = Report(dict(self.counts), self.redials, sum(len(nas.sessions) for nas in self.nases), quiet)
        self.counts, self.redials = Counter(), []
        return made

    def pump(self, nas: _Nas) -> None:
        while nas.queue and len(nas.pending) < _WINDOW:
            kind, who, session, cls, again = nas.queue.popleft()
            while nas.next_id in nas.pending:
                nas.next_id = (nas.next_id + 1) & 255
            number, nas.next_id = nas.next_id, (nas.next_id + 1) & 255
            if kind == "login":
                port, request = self.fleet.auth_port, self.access(number, who)
            else:
                port = self.fleet.acct_port
                request = self.accounting(number, 1 if kind == "start" else 2, who, session, cls)
            nas.pending[number] = _Pending(request, port, time.monotonic(), who, kind, session, cls, again)
            nas.out.sendto(request, ("127.0.0.1", port))

    def access(self, number: int, who: Login) -> bytes:
        authenticator = secrets.token_bytes(16)
        body = pair(1, who.login.encode()) + pair(7, struct.pack(">I", 1))
        body += pair(2, hide(who.password.encode(), self.fleet.secret, authenticator))
        return wire.request(wire.ACCESS_REQUEST, number, self.fleet.secret, body, authenticator)

    def accounting(self, number: int, kind: int, who: Login, session: bytes, cls: bytes) -> bytes:
        body = pair(40, struct.pack(">I", kind)) + pair(44, session) + pair(1, who.login.encode())
        body += pair(25, cls) if cls else b""
        return wire.request(wire.ACCOUNTING_REQUEST, number, self.fleet.secret, body)

    def resend(self, now: float) -> None:
        for nas in self.nases:
            for one in nas.pending.values():
                if now - one.sent > _AGAIN:
                    one.sent = now
                    self.counts["resent"] += 1
                    nas.out.sendto(one.request, ("127.0.0.1", one.port))

    def read_reply(self, nas: _Nas) -> None:
        while True:
            try:
                reply = wire.read(nas.out.recv(4096))
            except (BlockingIOError, ConnectionError):
                break
            one = nas.pending.get(reply.identifier) if reply is not None else None
            if reply is None or one is None:
                continue
            if wire.reply_is_right(reply, one.request[4:20], self.fleet.secret):
                del nas.pending[reply.identifier]
                self.answered(nas, one, reply)
        self.pump(nas)

    def answered(self, nas: _Nas, one: _Pending, reply: Packet) -> None:
        if one.kind != "login":
            self.counts[f"{one.kind} acknowledged"] += 1
            return
        if reply.code != wire.ACCESS_ACCEPT:
            self.counts["refused"] += 1
            return
        cls = reply.first(25) or b""
        service, policy_hash = read_class(cls) or ("", "")
        if one.again:
            self.redials.append(Redial(time.time(), service, policy_hash))
        nas.count += 1
        session = b"%02x%08x" % (nas.index, nas.count)
        nas.sessions[session], nas.classes[session] = one.who, cls
        nas.queue.append(("start", one.who, session, cls, False))

    def read_coa(self, nas: _Nas) -> None:
        while True:
            try:
                datagram, source = nas.coa.recvfrom(4096)
            except (BlockingIOError, ConnectionError):
                break
            reply = self.asked(nas, datagram)
            if reply is not None:
                nas.coa.sendto(reply, source)
        self.pump(nas)

    def asked(self, nas: _Nas, datagram: bytes) -> bytes | None:
        if not self.has_token(nas):
            self.counts["over"] += 1
            return None
        request = wire.read(datagram)
        if request is None or not wire.request_authenticator_is_right(request, self.fleet.secret):
            self.counts["forged"] += 1
            return None
        if self.random.random() < self.loss:
            self.counts["lost"] += 1
            return None
        known = nas.answered.get(request.raw)
        if known is not None:
            self.counts["repeated"] += 1
            return known
        reply = nas.answered[request.raw] = self.perform(nas, request)
        if self.random.random() < self.loss:
            self.counts["lost"] += 1
            return None
        return reply

    def has_token(self, nas: _Nas) -> bool:
        now = time.monotonic()
        nas.tokens = min(float(_BURST), nas.tokens + (now - nas.filled) * self.fleet.rate)
        nas.filled = now
        if nas.tokens < 1:
            return False
        nas.tokens -= 1
        return True

    def perform(self, nas: _Nas, request: Packet) -> bytes:
        coa = request.code == wire.COA_REQUEST
        ack, nak = (wire.COA_ACK, wire.COA_NAK) if coa else (wire.DISCONNECT_ACK, wire.DISCONNECT_NAK)
        if self.random.random() < self.nak_share:
            return self.nak(nak, request, 506)
        session = request.first(44) or b""
        if session not in nas.sessions:
            return self.nak(nak, request, 503)
        self.counts["acked"] += 1
        if coa:
            nas.classes[session] = request.first(25) or nas.classes[session]
        else:
            who, cls = nas.sessions.pop(session), nas.classes.pop(session)
            nas.queue.append(("stop", who, session, cls, False))
            nas.queue.append(("login", who, b"", b"", True))
        return wire.reply(ack, request, self.fleet.secret)

    def nak(self, code: int, request: Packet, cause: int) -> bytes:
        self.counts["nak" if cause != 503 else "no-session"] += 1
        return wire.reply(code, request, self.fleet.secret, pair(101, struct.pack(">I", cause)))


def _play(fleet: Fleet, pipe: Connection) -> None:
    _Play(fleet, pipe).run()


class Playing:
    """A fleet's process: `login(…)`, `report()`; ends with the `with` block."""

    def __init__(self, fleet: Fleet) -> None:
        context: Any = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_play, args=(fleet, theirs), daemon=True)
        self._process.start()

    def __enter__(self) -> "Playing":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._pipe.send(("stop", None))
        self._process.join(timeout=5)
        if self._process.is_alive():
            self._process.kill()

    def login(self, who: list[Login]) -> None:
        """Have them dial in."""
        self._pipe.send(("login", who))

    def faults(self, loss: float, nak: float) -> None:
        """From now on: the share of datagrams that are lost (either way), and of requests that get a NAK."""
        self._pipe.send(("faults", (loss, nak)))

    def report(self) -> Report:
        """What happened since the last report."""
        self._pipe.send(("report", None))
        made: Report = self._pipe.recv()
        return made
