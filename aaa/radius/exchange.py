"""A RADIUS client: one request, its verified reply. For the NAS stand-in, `trunkline radius test-login`, and tests."""

import hashlib
import secrets
import socket
import struct
import threading
import time

import msgspec

from aaa.radius import packet as wire
from aaa.radius.credentials import hide
from aaa.radius.packet import Packet, pair
from aaa.vendors.registry import text_of
from aaa.view.records import is_remote
from core import clock

_ADSL_FORUM = 3561


class Reply(msgspec.Struct, frozen=True):
    """A verified reply. `ma_first`: Message-Authenticator is its first attribute, as it has to be."""

    code: int
    packet: Packet
    ma_first: bool
    milliseconds: float

    @property
    def accepted(self) -> bool:
        """Whether it is an Access-Accept."""
        return self.code == wire.ACCESS_ACCEPT

    @property
    def attributes(self) -> list[str]:
        """`Name = value` of every attribute but Message-Authenticator."""
        return text_of(b"".join(pair(k, v) for k, v in self.packet.pairs if k != wire.MESSAGE_AUTHENTICATOR))


class RadiusClient:
    """Asks one server from one source address, which is what makes it a NAS to the server."""

    def __init__(
        self,
        server: str,
        auth_port: int,
        acct_port: int,
        secret: bytes,
        source: str = "127.0.0.1",
        patience: float = 1.0,
        attempts: int = 5,
    ) -> None:
        self._server, self._auth, self._acct = server, auth_port, acct_port
        self._secret, self._patience, self._attempts = secret, patience, attempts
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        self._port = socket.socket(family, socket.SOCK_DGRAM)
        self._port.bind((source, 0))
        self._turn = threading.Lock()

    def close(self) -> None:
        """Give the port back."""
        self._port.close()

    def login(
        self, login: str, password: str, chap: bool = False, attributes: bytes = b"", ppp: bool = True
    ) -> Reply | None:
        """Access-Request by PAP or CHAP; None when nobody answers."""
        authenticator = secrets.token_bytes(16)
        body = pair(1, login.encode()) + (pair(7, struct.pack(">I", 1)) if ppp else b"")
        if chap:
            answer = hashlib.md5(b"\x07" + password.encode() + authenticator, usedforsecurity=False).digest()
            body += pair(3, b"\x07" + answer)
        else:
            body += pair(2, hide(password.encode(), self._secret, authenticator))
        return self._ask(self._auth, wire.ACCESS_REQUEST, body + attributes, authenticator)

    def access(self, body: bytes, authenticator: bytes) -> Reply | None:
        """Access-Request with these attributes under this authenticator, for methods that ask in their own way."""
        return self._ask(self._auth, wire.ACCESS_REQUEST, body, authenticator)

    def account(self, body: bytes) -> Reply | None:
        """Accounting-Request with these attributes; None when it is not acknowledged."""
        return self._ask(self._acct, wire.ACCOUNTING_REQUEST, body, None)

    def status(self, accounting: bool = False) -> Reply | None:
        """Status-Server (RFC 5997)."""
        port = self._acct if accounting else self._auth
        return self._ask(port, wire.STATUS_SERVER, b"", secrets.token_bytes(16))

    def _ask(self, port: int, code: int, body: bytes, authenticator: bytes | None) -> Reply | None:
        request = wire.request(code, secrets.randbelow(256), self._secret, body, authenticator)
        begun = time.perf_counter()
        with self._turn:  # one question at a time: a thread must not read another's reply
            packet = self._exchange(request, port)
        if packet is None:
            return None
        first = bool(packet.pairs) and packet.pairs[0][0] == wire.MESSAGE_AUTHENTICATOR
        return Reply(packet.code, packet, first, round((time.perf_counter() - begun) * 1000, 3))

    def _exchange(self, request: bytes, port: int) -> Packet | None:
        for _attempt in range(self._attempts):
            self._port.sendto(request, (self._server, port))
            packet = self._receive(request)
            if packet is not None:
                return packet
        return None

    def _receive(self, request: bytes) -> Packet | None:
        deadline = clock.monotonic() + self._patience
        while (left := deadline - clock.monotonic()) > 0:
            self._port.settimeout(left)
            try:
                packet = wire.read(self._port.recv(65535))
            except (TimeoutError, ConnectionError):
                return None
            ours = packet is not None and packet.identifier == request[1]
            if packet and ours and wire.reply_is_right(packet, request[4:20], self._secret):
                return packet
        return None


def circuit_attribute(circuit: bytes) -> bytes:
    """Agent-Circuit-Id of RFC 4679 on the wire, or Agent-Remote-Id for a remote-id (`aaa.view.records.remote`)."""
    inner = pair(2, circuit[2:]) if is_remote(circuit) else pair(1, circuit)
    return pair(wire.VENDOR_SPECIFIC, _ADSL_FORUM.to_bytes(4) + inner)
