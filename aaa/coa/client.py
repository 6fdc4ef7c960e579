"""The dynamic authorization client (RFC 5176): one request, identical bytes on every retransmission, a true outcome."""

import secrets
import socket
import threading
import time
from collections import defaultdict
from typing import Literal

import msgspec

from aaa.radius import packet as wire
from aaa.radius.nases import NasEntry
from core import clock

Result = Literal["acked", "nak", "timeout", "no-session", "unreachable"]
NO_SESSION = 503
# RFC 5176 section 3.6, and RFC 5176's registry.
ERROR_CAUSES = {
    201: "residual session context removed", 202: "invalid EAP packet", 401: "unsupported attribute",
    402: "missing attribute", 403: "NAS identification mismatch", 404: "invalid request",
    405: "unsupported service", 406: "unsupported extension", 407: "invalid attribute value",
    501: "administratively prohibited", 502: "request not routable", 503: "session context not found",
    504: "session context not removable", 505: "other proxy processing error", 506: "resources unavailable",
    507: "request initiated", 508: "multiple session selection unsupported",
}  # fmt: skip
_WAITS = (0.5, 1.0, 2.0)


class Outcome(msgspec.Struct, frozen=True):
    """What the NAS said. `code` is the Error-Cause of a NAK (0: it gave none)."""

    result: Result
    code: int = 0
    milliseconds: int = 0
    attempts: int = 1

    @property
    def done(self) -> bool:
        """Whether no session is left on the old policy: acknowledged, or the NAS knows no such session."""
        return self.result in ("acked", "no-session")

    @property
    def meaning(self) -> str:
        """The outcome in words."""
        return f"{self.result} ({ERROR_CAUSES.get(self.code, self.code)})" if self.code else self.result


class Pace:
    """At most `rate` requests a second to each NAS; waits its turn."""

    def __init__(self) -> None:
        self._next: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def wait(self, nas: NasEntry) -> None:
        """Return when the NAS may get another request."""
        with self._lock:
            now = clock.monotonic()
            turn = max(now, self._next[nas.source])
            self._next[nas.source] = turn + 1 / nas.coa_rate
        time.sleep(max(0.0, turn - now))


def disconnect(nas: NasEntry, identity: bytes, *, waits: tuple[float, ...] = _WAITS) -> Outcome:
    """Disconnect-Request for the session that `identity` (attributes on the wire) names."""
    return _ask(wire.DISCONNECT_REQUEST, nas, identity, waits)


def change(
    nas: NasEntry, identity: bytes, attributes: bytes, *, waits: tuple[float, ...] = _WAITS
) -> Outcome:
    """CoA-Request: identity of the session, and the attributes that it should have from now on."""
    return _ask(wire.COA_REQUEST, nas, identity + attributes, waits)


def identity_of(nas: NasEntry, acct_session_id: bytes, login: str = "", framed_address: str = "") -> bytes:
    """NAS and session identification (RFC 5176 section 3): the session by Acct-Session-Id, the rest to be sure."""
    address = nas.source
    found = b""
    if ":" not in address and not address.startswith("@"):  # `@`: it comes by RadSec, from any address
        found = wire.pair(4, socket.inet_pton(socket.AF_INET, address))
    found += wire.pair(95, socket.inet_pton(socket.AF_INET6, address)) if ":" in address else b""
    if login:
        found += wire.pair(1, login.encode()[:253])
    if framed_address:
        found += wire.pair(8, socket.inet_pton(socket.AF_INET, framed_address))
    return found + wire.pair(44, acct_session_id)


def _ask(code: int, nas: NasEntry, body: bytes, waits: tuple[float, ...]) -> Outcome:
    stamp = wire.pair(55, int(clock.now().timestamp()).to_bytes(4))
    identifier = secrets.randbelow(256)
    # Signed once: a retransmission is the same octets, Event-Timestamp too (RFC 5176 section 2.3).
    request = wire.request(code, identifier, nas.secrets[0], body + stamp)
    begun = clock.monotonic()
    if nas.source.startswith("@"):
        return Outcome("unreachable")  # RadSec: RFC 8559 (CoA back over its connection) is not built
    family = socket.AF_INET6 if ":" in nas.source else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as port:
        try:
            port.connect((nas.source, nas.coa_port))
            outcome = _exchange(port, request, nas.secrets[0], waits)
        except OSError:
            outcome = Outcome("unreachable")
    return msgspec.structs.replace(outcome, milliseconds=int((clock.monotonic() - begun) * 1000))


def _exchange(port: socket.socket, request: bytes, secret: bytes, waits: tuple[float, ...]) -> Outcome:
    refused = 0
    for attempt, patience in enumerate(waits, start=1):
        try:
            port.send(request)
            reply = _reply(port, request, secret, patience)
        except ConnectionRefusedError:
            # Nobody listens there now; a daemon that restarts will.
            refused += 1
            time.sleep(min(patience, 0.2))
            continue
        if reply is not None:
            return msgspec.structs.replace(_read(reply), attempts=attempt)
    return Outcome("unreachable" if refused == len(waits) else "timeout", attempts=len(waits))


def _reply(port: socket.socket, request: bytes, secret: bytes, patience: float) -> wire.Packet | None:
    deadline = clock.monotonic() + patience
    while (left := deadline - clock.monotonic()) > 0:
        port.settimeout(left)
        try:
            reply = wire.read(port.recv(65535))
        except TimeoutError:
            return None
        if reply and reply.identifier == request[1] and wire.reply_is_right(reply, request[4:20], secret):
            return reply
    return None


def _read(reply: wire.Packet) -> Outcome:
    cause = reply.first(101)
    code = int.from_bytes(cause) if cause is not None and len(cause) == 4 else 0
    if reply.code in (wire.COA_ACK, wire.DISCONNECT_ACK):
        return Outcome("acked")
    return Outcome("no-session" if code == NO_SESSION else "nak", code)
