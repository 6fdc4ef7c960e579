"""EAP's replies in RADIUS (RFC 3579 section 2.6): challenge, accept with keys, reject. Message-Authenticator always."""

from aaa.eap import message as eap
from aaa.eap.judge import Done
from aaa.mschap.keys import key_attributes
from aaa.radius import packet as wire
from aaa.radius.deferred import Answer, Ask
from aaa.radius.packet import pair

_USER_NAME, _STATE = 1, 24


def challenge(ask: Ask, request: bytes, state: bytes = b"") -> Answer:
    """Access-Challenge with the next EAP-Request."""
    body = (pair(_STATE, state) if state else b"") + eap.attributes(request)
    return Answer(wire.reply(wire.ACCESS_CHALLENGE, ask.packet, ask.secret, body))


def ended(ask: Ask, identifier: int, done: Done) -> Answer:
    """Access-Accept with EAP-Success, or Access-Reject with EAP-Failure."""
    if not done.verdict.accepted:
        return rejected(ask, identifier)
    block = done.verdict.block + _named(ask, done.login)
    if done.msk:
        # The first half is the peer's sending key, so it is what the NAS receives with (RFC 5216 section 2.3).
        block += key_attributes(done.msk[32:64], done.msk[:32], ask.secret, ask.packet.authenticator)
    block += eap.attributes(eap.ended(eap.SUCCESS, identifier))
    return Answer(wire.reply(wire.ACCESS_ACCEPT, ask.packet, ask.secret, block))


def rejected(ask: Ask, identifier: int, delayed: bool = True) -> Answer:
    """Access-Reject with EAP-Failure, so that the client knows that it is over, and may start again."""
    body = eap.attributes(eap.ended(eap.FAILURE, identifier))
    return Answer(wire.reply(wire.ACCESS_REJECT, ask.packet, ask.secret, body), delayed=delayed)


def _named(ask: Ask, login: str) -> bytes:
    """User-Name of who it really is, for the NAS's accounting; an anonymous outer identity says nothing."""
    outer = ask.asked.login if ask.asked else ""
    return pair(_USER_NAME, login.encode()[:253]) if login != outer else b""
