"""RADIUS packets as bytes: the hot path's codec (RFC 2865 section 3, RFC 2866, RFC 3579 section 3.2).

Nothing here raises for what a stranger sent: `read` answers None for every malformed packet, and the caller drops.
"""

import hmac
import struct

import msgspec

from aaa.radius.digests import hmac_md5, md5_of

ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT = 1, 2, 3
ACCOUNTING_REQUEST, ACCOUNTING_RESPONSE = 4, 5
ACCESS_CHALLENGE, STATUS_SERVER = 11, 12
DISCONNECT_REQUEST, DISCONNECT_ACK, DISCONNECT_NAK = 40, 41, 42
COA_REQUEST, COA_ACK, COA_NAK = 43, 44, 45

PROXY_STATE, MESSAGE_AUTHENTICATOR, VENDOR_SPECIFIC = 33, 80, 26
MAX_LENGTH = 4096
_ZERO = bytes(16)
_MA_ZERO = b"\x50\x12" + _ZERO
_head = struct.Struct(">BBH").pack


class Packet(msgspec.Struct):
    """A well-formed packet. `pairs` are (type, value) in their order; `raw` ends at Length (padding is gone)."""

    code: int
    identifier: int
    authenticator: bytes
    pairs: list[tuple[int, bytes]]
    raw: bytes
    ma_at: int
    """Offset of Message-Authenticator's value in `raw`; 0: absent; -1: there, but of a wrong length or twice."""

    def first(self, kind: int) -> bytes | None:
        """The first value of an attribute, or None."""
        for key, value in self.pairs:
            if key == kind:
                return value
        return None

    def all(self, kind: int) -> list[bytes]:
        """Every value of an attribute, in order."""
        return [value for key, value in self.pairs if key == kind]


def read(datagram: bytes) -> Packet | None:
    """Parse a datagram; None when RFC 2865 says to drop it (length, overrunning or too short attributes)."""
    size = len(datagram)
    if size < 20:
        return None
    length = datagram[2] << 8 | datagram[3]
    if length < 20 or length > MAX_LENGTH or length > size:
        return None
    pairs: list[tuple[int, bytes]] = []
    at, ma_at = 20, 0
    while at < length:
        if at + 2 > length:
            return None
        kind, span = datagram[at], datagram[at + 1]
        after = at + span
        if span < 2 or after > length:
            return None
        if kind == MESSAGE_AUTHENTICATOR:
            ma_at = -1 if span != 18 or ma_at else at + 2
        pairs.append((kind, datagram[at + 2 : after]))
        at = after
    return Packet(datagram[0], datagram[1], datagram[4:20], pairs, datagram[:length], ma_at)


def vendor_pairs(value: bytes) -> list[tuple[int, int, bytes]]:
    """(vendor, type, value) of one Vendor-Specific attribute in the usual form; [] when it has another form."""
    if len(value) < 6:
        return []
    vendor, at, found = int.from_bytes(value[:4]), 4, []
    while at + 2 <= len(value):
        span = value[at + 1]
        if span < 2 or at + span > len(value):
            return []
        found.append((vendor, value[at], value[at + 2 : at + span]))
        at += span
    return found if at == len(value) else []


def message_authenticator_is_right(packet: Packet, secret: bytes, vector: bytes | None = None) -> bool:
    """Whether the packet's Message-Authenticator is the HMAC-MD5 of RFC 3579; False when absent or damaged.

    `vector` stands in the authenticator's place: sixteen zeros for accounting, CoA and Disconnect requests,
    the request's authenticator for replies.
    """
    at = packet.ma_at
    if at <= 0:
        return False
    raw = packet.raw
    body = raw[:4] + (vector or packet.authenticator) + raw[20:at] + _ZERO + raw[at + 16 :]
    return hmac.compare_digest(hmac_md5(secret, body), raw[at : at + 16])


def is_signed(raw: bytes, at: int, secret: bytes) -> bool:
    """Whether the Message-Authenticator whose value is at `at` of an Access-Request is right."""
    mac = hmac_md5(secret, raw[:at] + _ZERO + raw[at + 16 :])
    return hmac.compare_digest(mac, raw[at : at + 16])


def request_authenticator_is_right(packet: Packet, secret: bytes) -> bool:
    """Whether an Accounting-, CoA- or Disconnect-Request is signed with the secret (RFC 2866 section 3)."""
    raw = packet.raw
    wanted = md5_of(raw[:4] + _ZERO + raw[20:] + secret)
    return hmac.compare_digest(wanted, packet.authenticator)


def reply_is_right(reply: Packet, request: Packet | bytes, secret: bytes) -> bool:
    """Whether a reply is signed for this request (its Packet or Request Authenticator); MA too when present."""
    asked = request if isinstance(request, bytes) else request.authenticator
    raw = reply.raw
    wanted = md5_of(raw[:4] + asked + raw[20:] + secret)
    if not hmac.compare_digest(wanted, reply.authenticator):
        return False
    return reply.ma_at == 0 or message_authenticator_is_right(reply, secret, asked)


def reply(code: int, request: Packet, secret: bytes, block: bytes = b"", sign: bool = True) -> bytes:
    """A signed reply: Message-Authenticator first (RFC 3579; forged MD5 replies), attributes, then Proxy-State."""
    body = block + b"".join(pair(PROXY_STATE, value) for kind, value in request.pairs if kind == PROXY_STATE)
    return sealed(code, request.identifier, request.authenticator, secret, body, sign)


def sealed(code: int, identifier: int, asked: bytes, secret: bytes, body: bytes, sign: bool = True) -> bytes:
    """Reply bytes over the request's authenticator `asked`; `sign` puts Message-Authenticator in front."""
    head = _head(code, identifier, len(body) + (38 if sign else 20))
    if sign:
        body = b"\x50\x12" + hmac_md5(secret, head + asked + _MA_ZERO + body) + body
    return head + md5_of(head + asked + body + secret) + body


def request(
    code: int, identifier: int, secret: bytes, body: bytes, authenticator: bytes | None = None
) -> bytes:
    """A request with Message-Authenticator first. Without `authenticator` it is signed like accounting and CoA."""
    head = _head(code, identifier, 38 + len(body))
    mac = hmac_md5(secret, head + (authenticator or _ZERO) + _MA_ZERO + body)
    body = b"\x50\x12" + mac + body
    if authenticator is None:
        authenticator = md5_of(head + _ZERO + body + secret)
    return head + authenticator + body


def pair(kind: int, value: bytes) -> bytes:
    """One attribute on the wire; the caller keeps the value within 253 octets."""
    return bytes((kind, len(value) + 2)) + value
