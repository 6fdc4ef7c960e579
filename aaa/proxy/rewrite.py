"""One leg's packet into the other's: requests for another server, its replies for the NAS. Pure but for nonces.

RFC 2865 section 2.3 (proxy), 5.33 (Proxy-State); RFC 2866 section 5.2 (Acct-Delay-Time); RFC 3579 section 3.2.
"""

import os
from hashlib import md5

from aaa.proxy import salted
from aaa.radius import packet as wire
from aaa.radius.credentials import hide, reveal
from aaa.radius.packet import Packet, pair, vendor_pairs

_USER_NAME, _PASSWORD, _CHAP, _CHALLENGE, _DELAY = 1, 2, 3, 60, 41
Signed = tuple[bytes, bytes]
"""(datagram, its Request Authenticator)."""


def access_request(
    packet: Packet, nas_secret: bytes, secret: bytes, identifier: int, proxy_state: bytes, strip: bool = False
) -> Signed | None:
    """An Access-Request as another server is to see it; None when it cannot be passed on.

    A new Request Authenticator, the password hidden anew, CHAP-Challenge where the authenticator was the challenge,
    our Proxy-State last, Message-Authenticator first. Whatever else the NAS said stays as it is and in its order.
    """
    authenticator = os.urandom(16)
    body = bytearray()
    kinds = set()
    for kind, value in packet.pairs:
        kinds.add(kind)
        if kind == wire.MESSAGE_AUTHENTICATOR:
            continue
        if kind == _PASSWORD:
            clear = reveal(value, nas_secret, packet.authenticator)
            if clear is None:
                return None
            value = hide(clear, secret, authenticator)
        elif kind == _USER_NAME and strip:
            value = without_realm(value)
        body += pair(kind, value)
    if _CHAP in kinds and _CHALLENGE not in kinds:
        body += pair(_CHALLENGE, packet.authenticator)
    body += pair(wire.PROXY_STATE, proxy_state)
    if 38 + len(body) > wire.MAX_LENGTH:
        return None
    return (
        wire.request(wire.ACCESS_REQUEST, identifier, secret, bytes(body), authenticator),
        authenticator,
    )


def accounting_request(
    packet: Packet, secret: bytes, identifier: int, proxy_state: bytes, delay: int = 0, strip: bool = False
) -> Signed | None:
    """An Accounting-Request for another server, `delay` seconds after it came to us; None when it got too long."""
    body = bytearray()
    delayed = False
    for kind, value in packet.pairs:
        if kind == wire.MESSAGE_AUTHENTICATOR:
            continue
        if kind == _DELAY and len(value) == 4:
            value = min(int.from_bytes(value) + delay, 0xFFFFFFFF).to_bytes(4)
            delayed = True
        elif kind == _USER_NAME and strip:
            value = without_realm(value)
        body += pair(kind, value)
    if delay and not delayed:
        body += pair(_DELAY, delay.to_bytes(4))
    body += pair(wire.PROXY_STATE, proxy_state)
    if 38 + len(body) > wire.MAX_LENGTH:
        return None
    if packet.ma_at:
        made = wire.request(wire.ACCOUNTING_REQUEST, identifier, secret, bytes(body))
    else:  # RFC 2869 section 5.19 knows no Message-Authenticator here: we add none to what had none
        made = _plain(identifier, secret, bytes(body))
    return made, made[4:20]


def status_request(secret: bytes, identifier: int) -> Signed:
    """Status-Server (RFC 5997)."""
    authenticator = os.urandom(16)
    return wire.request(wire.STATUS_SERVER, identifier, secret, b"", authenticator), authenticator


def reply_block(reply: Packet, theirs: tuple[bytes, bytes], ours: tuple[bytes, bytes]) -> bytes | None:
    """A reply's attributes for the NAS, without Message-Authenticator and Proxy-State: those are made anew.

    `theirs` and `ours` are (secret, Request Authenticator) of the two legs: salted keys are hidden under ours. None:
    a key is damaged.
    """
    block = bytearray()
    for kind, value in reply.pairs:
        if kind in (wire.MESSAGE_AUTHENTICATOR, wire.PROXY_STATE):
            continue
        if kind == salted.TUNNEL_PASSWORD:
            again = salted.moved_tagged(value, theirs, ours)
        elif kind == wire.VENDOR_SPECIFIC and value[:4] == salted.MICROSOFT.to_bytes(4):
            again = _microsoft(value, theirs, ours)
        else:
            again = value
        if again is None:
            return None
        block += pair(kind, again)
    return bytes(block)


def without_realm(login: bytes) -> bytes:
    """`user@realm` -> `user`; what has no realm, or nothing before it, stays."""
    return login.rpartition(b"@")[0] or login


def _microsoft(value: bytes, theirs: tuple[bytes, bytes], ours: tuple[bytes, bytes]) -> bytes | None:
    again = bytearray(value[:4])
    for _vendor, kind, inner in vendor_pairs(value):
        move = _MOVES.get(kind)
        found = move(inner, theirs, ours) if move else inner
        if found is None:
            return None
        again += pair(kind, found)
    return bytes(again) if len(again) == len(value) else value


_MOVES = {**dict.fromkeys(salted.MPPE_KEYS, salted.moved), salted.CHAP_KEYS: salted.moved_plain}


def _plain(identifier: int, secret: bytes, body: bytes) -> bytes:
    length = 20 + len(body)
    head = bytes((wire.ACCOUNTING_REQUEST, identifier, length >> 8, length & 255))
    return head + md5(head + bytes(16) + body + secret, usedforsecurity=False).digest() + body
