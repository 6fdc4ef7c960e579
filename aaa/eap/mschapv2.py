"""EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2), the server's side. Its state is a few octets: it fits into State."""

import os
from typing import Literal

import msgspec

from aaa.eap.judge import Decide
from aaa.mschap.keys import mschap_keys
from aaa.mschap.proof import authenticator_response, response_is_right, without_domain
from aaa.radius.authenticate import Verdict

_CHALLENGE, _RESPONSE, _SUCCESS, _FAILURE = 1, 2, 3, 4
_NAME = b"trunkline"


class Exchange(msgspec.Struct, frozen=True, array_like=True):
    """How far one exchange is; `keys` are receive and send, once the password is proven."""

    challenge: bytes
    stage: Literal["challenge", "success", "failure"] = "challenge"
    keys: bytes = b""


class Step(msgspec.Struct, frozen=True):
    """What comes next: `request` is the type data to send, b"" when the exchange is over."""

    exchange: Exchange
    request: bytes = b""
    verdict: Verdict | None = None


def begin(identifier: int) -> Step:
    """A challenge. `identifier` is the EAP packet's."""
    exchange = Exchange(os.urandom(16))
    return Step(exchange, _packet(_CHALLENGE, identifier, b"\x10" + exchange.challenge + _NAME))


def take(exchange: Exchange, login: str, identifier: int, data: bytes, decide: Decide) -> Step:
    """The peer's response: a verdict comes with the answer to the challenge, the end with its acknowledgement."""
    if exchange.stage != "challenge" or data[:1] != bytes((_RESPONSE,)):
        done = exchange.stage == "success" and data[:1] == bytes((_SUCCESS,))
        return Step(exchange if done else msgspec.structs.replace(exchange, stage="failure"))
    sent = _read(data)
    if sent is None or without_domain(sent[2]) != without_domain(login.encode()):
        return _refused(exchange, identifier, Verdict(b"", "wrong-credentials", detail="another name inside"))
    peer, response, name = sent
    stored = b""

    def proof(password: bytes) -> bool:
        nonlocal stored
        stored = password
        return response_is_right(exchange.challenge, peer, name, password, response)

    verdict = decide(login, proof)
    if not verdict.accepted:
        return _refused(exchange, identifier, verdict)
    told = authenticator_response(exchange.challenge, peer, name, stored, response) + b" M=OK"
    send, receive = mschap_keys(stored, response)
    proven = msgspec.structs.replace(exchange, stage="success", keys=receive + send)
    return Step(proven, _packet(_SUCCESS, data[1], told), verdict)


def msk_of(exchange: Exchange) -> bytes:
    """The master session key without a tunnel: receive key, send key, zeros."""
    return exchange.keys.ljust(64, b"\0")


def _refused(exchange: Exchange, identifier: int, verdict: Verdict) -> Step:
    """Error 691 whatever the reason is: it is for support, never for the caller. No second try."""
    told = b"E=691 R=0 C=" + os.urandom(16).hex().upper().encode() + b" V=3 M=Authentication failed"
    failed = msgspec.structs.replace(exchange, stage="failure")
    return Step(failed, _packet(_FAILURE, identifier, told), verdict)


def _packet(code: int, identifier: int, body: bytes) -> bytes:
    return bytes((code, identifier)) + (len(body) + 4).to_bytes(2) + body


def _read(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Peer challenge, NT response, name; None for what has another form."""
    length = int.from_bytes(data[2:4])
    if len(data) < 54 or data[4] != 49 or not 54 <= length <= len(data):
        return None
    return data[5:21], data[29:53], data[54:length]
