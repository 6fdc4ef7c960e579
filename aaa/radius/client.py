"""NasStandIn: a NAS for the demo, for scale and for tests, never for production.

It behaves like a real one: it logs subscribers in, accounts for them, listens for CoA and Disconnect, checks secret,
authenticator, Message-Authenticator and Event-Timestamp, drops the session with an Accounting-Stop, and redials.
"""

import socket
import struct
import threading
from collections.abc import Callable
from random import Random

import msgspec

from aaa.radius import packet as wire
from aaa.radius.exchange import RadiusClient, Reply
from aaa.radius.packet import Packet, pair
from aaa.vendors.registry import text_of
from core import clock

_SKEW = 300.0


class StandInSession(msgspec.Struct):
    """A subscriber's session on the stand-in."""

    session_id: bytes
    login: str
    password: str
    attributes: bytes
    """What the server replied, on the wire; a CoA replaces what it names."""
    extra: bytes
    up: int = 0
    down: int = 0
    began: float = 0.0
    changes: int = 0

    @property
    def policy(self) -> list[str]:
        """The session's attributes as text."""
        return text_of(self.attributes)


class Faults(msgspec.Struct):
    """What goes wrong on demand: shares of requests that are lost or answered by a NAK with `nak_code`."""

    loss: float = 0.0
    nak: float = 0.0
    nak_code: int = 506


class NasStandIn:
    """`start`, `login(...)`, `sessions`, `stop`. Redials by itself after a Disconnect when `redial` is set."""

    def __init__(
        self,
        client: RadiusClient,
        secret: bytes,
        source: str = "127.0.0.1",
        coa_port: int = 0,
        redial: bool = True,
        seed: int = 0,
    ) -> None:
        self._client, self._secret = client, secret
        self.faults = Faults()
        self.sessions: dict[bytes, StandInSession] = {}
        self.log: list[str] = []
        self._redial = redial
        self._random = Random(seed)  # noqa: S311 - faults on demand, repeatable
        self._counter = 0
        self._lock = threading.RLock()
        self._answered: dict[bytes, bytes] = {}
        self._stopping = threading.Event()
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        self._port = socket.socket(family, socket.SOCK_DGRAM)
        self._port.bind((source, coa_port))
        self._port.settimeout(0.2)
        self.coa_port: int = self._port.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, name="nas-stand-in", daemon=True)
        self._redials = threading.Thread(target=self._redial_loop, daemon=True)
        self._dropped: list[StandInSession] = []

    def start(self) -> "NasStandIn":
        """Listen for CoA and Disconnect."""
        self._thread.start()
        self._redials.start()
        return self

    def stop(self) -> None:
        """Stop listening; sessions just vanish, like a power cut."""
        self._stopping.set()
        self._thread.join(timeout=5)
        self._redials.join(timeout=10)
        self._port.close()
        self._client.close()

    def login(
        self, login: str, password: str, chap: bool = False, extra: bytes = b""
    ) -> tuple[Reply | None, StandInSession | None]:
        """Dial: Access-Request and, when accepted, Accounting-Start. `extra` are attributes such as a circuit-id."""
        reply = self._client.login(login, password, chap, extra)
        if reply is None or not reply.accepted:
            self.log.append(f"{login}: {'no answer' if reply is None else 'refused'}")
            return reply, None
        with self._lock:
            self._counter += 1
            session_id = b"%08x" % (self._counter << 8 | self._random.randrange(256))
            kept = b"".join(pair(k, v) for k, v in reply.packet.pairs if k != wire.MESSAGE_AUTHENTICATOR)
            made = StandInSession(session_id, login, password, kept, extra, began=clock.monotonic())
            self.sessions[session_id] = made
        self.account(made, 1)
        return reply, made

    def account(self, one: StandInSession, kind: int) -> bool:
        """Send Start (1), Stop (2) or Interim (3) with the session's counters; whether it was acknowledged."""
        classes = [pair(25, value) for key, value in _pairs(one.attributes) if key == 25]
        body = (
            pair(40, struct.pack(">I", kind))
            + pair(44, one.session_id)
            + pair(1, one.login.encode())
            + b"".join(classes)
            + one.extra
            + pair(46, struct.pack(">I", int(clock.monotonic() - one.began)))
        )
        for low, high, octets in ((42, 52, one.up), (43, 53, one.down)):
            body += pair(low, struct.pack(">I", octets & 0xFFFFFFFF)) + pair(
                high, struct.pack(">I", octets >> 32)
            )
        return self._client.account(body) is not None

    def hang_up(self, one: StandInSession) -> None:
        """The subscriber ends the session: Accounting-Stop."""
        with self._lock:
            self.sessions.pop(one.session_id, None)
        self.account(one, 2)

    def of(self, login: str) -> list[StandInSession]:
        """The live sessions of a login."""
        with self._lock:
            return [one for one in self.sessions.values() if one.login == login]

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                datagram, source = self._port.recvfrom(65535)
            except (TimeoutError, ConnectionError):
                continue
            reply = self._answer(datagram)
            if reply is not None:
                self._port.sendto(reply, source)

    def _answer(self, datagram: bytes) -> bytes | None:
        """RFC 5176 section 3: silently drop what is not signed, old or damaged; identical bytes, identical answer."""
        request = wire.read(datagram)
        if request is None or not wire.request_authenticator_is_right(request, self._secret):
            return None
        if request.ma_at and not wire.message_authenticator_is_right(request, self._secret, bytes(16)):
            return None
        stamp = request.first(55)
        if stamp is None or abs(int.from_bytes(stamp) - clock.now().timestamp()) > _SKEW:
            return None
        if self._random.random() < self.faults.loss:
            self.log.append("lost a request")
            return None
        known = self._answered.get(request.raw)
        if known is None:
            known = self._answered[request.raw] = self._perform(request)
        return known

    def _perform(self, request: Packet) -> bytes:
        asks: dict[int, tuple[int, int, Callable[[Packet, StandInSession], None]]] = {
            wire.DISCONNECT_REQUEST: (wire.DISCONNECT_ACK, wire.DISCONNECT_NAK, self._drop),
            wire.COA_REQUEST: (wire.COA_ACK, wire.COA_NAK, self._change),
        }
        ack, nak, perform = asks.get(request.code, (wire.COA_ACK, wire.COA_NAK, self._change))
        with self._lock:
            one = self.sessions.get(request.first(44) or b"")
        if self._random.random() < self.faults.nak:
            return self._nak(nak, request, self.faults.nak_code)
        if one is None or not _is_meant(request, one):
            return self._nak(nak, request, 503)
        perform(request, one)
        return wire.reply(ack, request, self._secret)

    def _nak(self, code: int, request: Packet, cause: int) -> bytes:
        self.log.append(f"NAK {cause}")
        return wire.reply(code, request, self._secret, pair(101, struct.pack(">I", cause)))

    def _drop(self, _request: Packet, one: StandInSession) -> None:
        with self._lock:
            self.sessions.pop(one.session_id, None)
            self._dropped.append(one)
        self.log.append(f"{one.login}: disconnected")

    def _change(self, request: Packet, one: StandInSession) -> None:
        identity = {1, 4, 8, 44, 55, 80, 95}
        named = [(key, value) for key, value in request.pairs if key not in identity]
        replaced = {_name(key, value) for key, value in named}
        kept = [one_pair for one_pair in _pairs(one.attributes) if _name(*one_pair) not in replaced]
        one.attributes = b"".join(pair(key, value) for key, value in [*kept, *named])
        one.changes += 1
        self.log.append(f"{one.login}: changed")

    def _redial_loop(self) -> None:
        """After the ACK: Accounting-Stop, and the subscriber's router dials again."""
        while not self._stopping.wait(0.02):
            with self._lock:
                waiting, self._dropped = self._dropped, []
            for one in waiting:
                self.account(one, 2)
                if self._redial and not self._stopping.is_set():
                    self.login(one.login, one.password, extra=one.extra)


def _is_meant(request: Packet, one: StandInSession) -> bool:
    """Whether every attribute that identifies a session is that session's (RFC 5176 section 3: they must all match)."""
    login, address = request.first(1), request.first(8)
    given = dict(_pairs(one.attributes)).get(8)
    return login in (None, one.login.encode()) and (address is None or given is None or address == given)


def _pairs(block: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at + 2 <= len(block):
        found.append((block[at], block[at + 2 : at + block[at + 1]]))
        at += block[at + 1]
    return found


def _name(kind: int, value: bytes) -> tuple[int, bytes]:
    return (kind, value[:5] if kind == wire.VENDOR_SPECIFIC else b"")
