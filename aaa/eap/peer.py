"""PeapPeer: a PEAP/MSCHAPv2 client over RADIUS, for tests and measurements, never for production.

It checks what a real one checks: our certificate against a CA, our proof of the password, both results, and that the
keys in the Access-Accept are its own.
"""

import os
import secrets
from collections.abc import Callable
from hashlib import md5
from pathlib import Path

import msgspec
from OpenSSL import SSL

from aaa.eap import fragments
from aaa.eap import message as eap
from aaa.mschap.proof import authenticator_response, nt_response
from aaa.radius import packet as wire
from aaa.radius.exchange import RadiusClient, Reply
from aaa.radius.packet import Packet, pair, vendor_pairs

_MTU = 1000
NextClient = Callable[[], RadiusClient]
"""Gives the client that sends the next request: another one comes from another port."""


class Ended(msgspec.Struct, frozen=True):
    """How a login ended. `challenges`: round trips before the end; `keys`: both sides have the same."""

    accepted: bool
    challenges: int
    keys: bool = False
    failure: bool = False
    """An EAP-Failure came with the Access-Reject."""


class PeapPeer:
    """One client; `login` may be called again, and then resumes when it may."""

    def __init__(self, ca: Path, login: str, password: str, secret: bytes, resume: bool = False) -> None:
        self._login, self._password, self._secret = login.encode(), password.encode(), secret
        self._context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        self._context.set_max_proto_version(SSL.TLS1_2_VERSION)
        self._context.load_verify_locations(str(ca))
        self._context.set_verify(SSL.VERIFY_PEER, lambda *given: bool(given[-1]))
        self._resume = resume
        self._session: SSL.Session | None = None

    def login(self, client: NextClient) -> Ended:
        """A whole login; raises TimeoutError when nobody answers."""
        self._begin()
        message, state = self._response(1, eap.IDENTITY, b"anonymous@example.net"), b""
        for challenges in range(64):
            authenticator = secrets.token_bytes(16)
            reply = client().access(self._body(message, state), authenticator)
            if reply is None:
                raise TimeoutError("no answer")
            if reply.code != wire.ACCESS_CHALLENGE:
                return self._end(reply, challenges, authenticator)
            state = reply.packet.first(24) or b""
            message = self._answer(reply.packet)
        raise TimeoutError("no end")

    def _begin(self) -> None:
        self._tls = SSL.Connection(self._context, None)
        self._tls.set_connect_state()
        if self._resume and self._session is not None:
            self._tls.set_session(self._session)
        self._stands, self._out, self._in = False, fragments.Outgoing(), fragments.Incoming()
        self._proof = b""

    def _body(self, message: bytes, state: bytes) -> bytes:
        body = pair(1, b"anonymous@example.net") + pair(12, _MTU.to_bytes(4)) + eap.attributes(message)
        return body + (pair(24, state) if state else b"")

    @staticmethod
    def _response(identifier: int, kind: int, data: bytes) -> bytes:
        return eap.write(eap.RESPONSE, identifier, kind, data)

    def _answer(self, packet: Packet) -> bytes:
        request = eap.read(eap.joined(packet))
        if request is None or request.kind != eap.PEAP:
            raise ValueError("no PEAP request")
        return self._response(request.identifier, eap.PEAP, self._data(request.data))

    def _data(self, data: bytes) -> bytes:
        if self._out.waits and len(data) == 1:
            return self._out.next(_MTU)
        message = self._in.take(data)
        if message is None:
            return b"\0"
        clear = self._feed(message)
        if clear:
            self._tls.send(self._inside(clear))
        return self._out.begin(self._read(self._tls.bio_read), _MTU)

    def _feed(self, message: bytes) -> bytes:
        if message:
            self._tls.bio_write(message)
        try:
            if not self._stands:
                self._tls.do_handshake()
                self._stands = True
        except SSL.WantReadError:
            return b""
        return self._read(self._tls.recv)

    @staticmethod
    def _read(more: Callable[[int], bytes]) -> bytes:
        found = b""
        try:
            while True:
                found += more(16384)
        except SSL.WantReadError:
            return found

    def _inside(self, clear: bytes) -> bytes:
        """PEAPv0: a request without its header, but for the result."""
        if clear == bytes((eap.IDENTITY,)):
            return bytes((eap.IDENTITY,)) + self._login
        if clear[0] != eap.MSCHAPV2:
            return self._response(clear[1], eap.EXTENSIONS, clear[5:11])
        if clear[1] == 1:
            return self._mschap(clear)
        if clear[1] == 3 and not clear[5:].startswith(self._proof):
            raise ValueError("the server does not know the password")
        return bytes((eap.MSCHAPV2, clear[1]))

    def _mschap(self, clear: bytes) -> bytes:
        ours, peer = clear[6:22], os.urandom(16)
        response = nt_response(ours, peer, self._login, self._password)
        self._proof = authenticator_response(ours, peer, self._login, self._password, response)
        value = peer + bytes(8) + response + b"\0"
        length = (5 + len(value) + len(self._login)).to_bytes(2)
        return bytes((eap.MSCHAPV2, 2, clear[2])) + length + bytes((len(value),)) + value + self._login

    def _end(self, reply: Reply, challenges: int, authenticator: bytes) -> Ended:
        raw = eap.joined(reply.packet)
        if not reply.accepted:
            return Ended(False, challenges, failure=raw[:1] == bytes((eap.FAILURE,)))
        self._session = self._tls.get_session()
        self._tls.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        msk = self._tls.export_keying_material(b"client EAP encryption", 64)
        told = {kind: value for one in reply.packet.all(26) for _vendor, kind, value in vendor_pairs(one)}
        keys = [revealed(told.get(kind, b""), self._secret, authenticator) for kind in (17, 16)]
        return Ended(True, challenges, keys == [msk[:32], msk[32:]])


def revealed(value: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """A hidden key in clear, as a NAS reads it (RFC 2548 section 2.4.2)."""
    hidden, clear, last = value[2:], b"", authenticator + value[:2]
    for at in range(0, len(hidden), 16):
        stream = md5(secret + last, usedforsecurity=False).digest()
        last = hidden[at : at + 16]
        clear += bytes(one ^ other for one, other in zip(last, stream, strict=True))
    return clear[1 : 1 + clear[0]] if clear else b""
