"""MS-CHAP in an Access-Request (RFC 2548 section 2.1 and 2.3): the login of a PPP session with keys for MPPE."""

from collections.abc import Callable

import msgspec

from aaa.mschap.keys import (
    MICROSOFT,
    first_version_keys,
    key_attributes,
    microsoft,
    mschap_keys,
    policy_attributes,
)
from aaa.mschap.proof import authenticator_response, first_version_is_right, response_is_right
from aaa.radius import packet as wire
from aaa.radius.authenticate import Authenticator, Verdict
from aaa.radius.deferred import Answer, Ask, Respond
from aaa.radius.nases import NasEntry
from aaa.radius.packet import Packet, vendor_pairs

_CHALLENGE, _FIRST, _SECOND, _ERROR, _SUCCESS = 11, 1, 25, 2, 26
Settled = Callable[[str, NasEntry, Verdict], None]
"""Told of every decision: (login, NAS, verdict)."""


class Sent(msgspec.Struct, frozen=True):
    """What an Access-Request says of MS-CHAP; `version` 0 when it is damaged."""

    version: int = 0
    identifier: int = 0
    challenge: bytes = b""
    peer: bytes = b""
    response: bytes = b""


def read(packet: Packet) -> Sent:
    """MS-CHAP-Challenge with MS-CHAP2-Response, or with MS-CHAP-Response and an NT response in it."""
    found: dict[int, bytes] = {}
    for value in packet.all(wire.VENDOR_SPECIFIC):
        for vendor, kind, inner in vendor_pairs(value):
            if vendor == MICROSOFT:
                found.setdefault(kind, inner)
    challenge, second, first = found.get(_CHALLENGE, b""), found.get(_SECOND, b""), found.get(_FIRST, b"")
    if len(second) == 50 and len(challenge) == 16:
        return Sent(2, second[0], challenge, second[2:18], second[26:50])
    if len(first) == 50 and len(challenge) == 8 and first[1] & 1:
        return Sent(1, first[0], challenge, b"", first[26:50])
    return Sent()


class MsChap:
    """Answers logins by MS-CHAPv2, and by MS-CHAPv1 where the NAS still offers it."""

    def __init__(self, authenticator: Authenticator, settled: Settled) -> None:
        self._authenticator, self._settled = authenticator, settled

    def handle(self, ask: Ask, respond: Respond) -> None:
        """One request, one answer."""
        sent = read(ask.packet)
        asked = ask.asked
        if asked is None or not sent.version:
            respond(None)
            return
        password = b""

        def proof(stored: bytes) -> bool:
            nonlocal password
            password = stored
            return _is_right(sent, asked.login.encode(), stored)

        verdict = self._authenticator.decide(ask.packet, asked, ask.nas, ask.secret, proof)
        self._settled(asked.login or asked.calling, ask.nas, verdict)
        if verdict.accepted:
            block = verdict.block + _proven(sent, asked.login.encode(), password, ask)
            respond(Answer(wire.reply(wire.ACCESS_ACCEPT, ask.packet, ask.secret, block)))
        else:
            reply = wire.reply(wire.ACCESS_REJECT, ask.packet, ask.secret, microsoft(_ERROR, refusal(sent)))
            respond(Answer(reply, delayed=True))


def refusal(sent: Sent) -> bytes:
    """MS-CHAP-Error: 691 whatever the reason is, no second try. The reason is for support, never for the caller."""
    text = b"E=691 R=0"
    if sent.version == 2:
        text += b" C=" + sent.challenge.hex().upper().encode() + b" V=3 M=Authentication failed"
    return bytes((sent.identifier,)) + text


def _is_right(sent: Sent, login: bytes, password: bytes) -> bool:
    if sent.version == 1:
        return first_version_is_right(sent.challenge, password, sent.response)
    return response_is_right(sent.challenge, sent.peer, login, password, sent.response)


def _proven(sent: Sent, login: bytes, password: bytes, ask: Ask) -> bytes:
    """Our own proof to the peer, and the keys."""
    authenticator = ask.packet.authenticator
    if sent.version == 1:
        return first_version_keys(password, ask.secret, authenticator) + policy_attributes()
    told = authenticator_response(sent.challenge, sent.peer, login, password, sent.response)
    send, receive = mschap_keys(password, sent.response)
    return (
        microsoft(_SUCCESS, bytes((sent.identifier,)) + told)
        + key_attributes(send, receive, ask.secret, authenticator)
        + policy_attributes()
    )
