"""The quick reading of an Accounting-Request: one pass that keeps only what a record needs.

It never judges. What is not a plain, whole Accounting-Request is None here, and the careful reader says what it is; a
test holds the two against each other.
"""

import hmac

from aaa.accounting.record import PREFIXES
from aaa.radius.digests import hmac_md5, md5_of

_ZERO = bytes(16)
_CODE = 4
_FIRST, _SIGNED, _RARE, _ONCE = 1, 2, 3, 4
_VENDOR, _PROXY_STATE, _MESSAGE_AUTHENTICATOR, _EXTENDED = 26, 33, 80, 241
_ROLES = bytearray(256)
"""By attribute: 0 tells a record nothing; of `_FIRST` the first one counts; `_RARE`, and `_ONCE` that is
there again, are left to the careful reader.
"""
for _kind in (1, 5, 8, 25, _VENDOR, 31, 40, 41, 42, 43, 44, 46, 49, 50, 52, 53, 87, 97, 123, 168):
    _ROLES[_kind] = _ONCE if _kind in PREFIXES else _FIRST
_ROLES[_MESSAGE_AUTHENTICATOR], _ROLES[_PROXY_STATE], _ROLES[_EXTENDED] = _SIGNED, _RARE, _RARE
_START = b"\0\0\0\1"


def read_quickly(datagram: bytes) -> tuple[dict[int, bytes], int] | None:
    """First values by attribute, and the offset of Message-Authenticator's value (0: none)."""
    length = len(datagram)
    if not (20 <= length <= 4096 and datagram[0] == _CODE and datagram[2] << 8 | datagram[3] == length):
        return None
    found: dict[int, bytes] = {}
    roles, at, ma_at, end = _ROLES, 20, 0, length - 1
    while at < end:
        kind, span = datagram[at], datagram[at + 1]
        if span < 2:
            return None
        after = at + span
        if role := roles[kind]:
            if role == _FIRST:
                found.setdefault(kind, datagram[at + 2 : after])
            elif role == _SIGNED:
                ma_at = -1 if span != 18 or ma_at else at + 2
            elif role == _RARE or kind in found:
                return None
            else:
                found[kind] = datagram[at + 2 : after]
        at = after
    if at != length or ma_at < 0:
        return None
    if _VENDOR in found and found.get(40) == _START:  # it may say where the session begins
        return None
    return found, ma_at


def signer(datagram: bytes, ma_at: int, secrets: tuple[bytes, ...]) -> bytes | None:
    """The secret that signed the request (RFC 2866 section 3, RFC 5080 section 2.2.2); None when it is doubtful."""
    begun, rest = datagram[:4] + _ZERO, datagram[20:]
    for secret in secrets:
        if hmac.compare_digest(md5_of(begun + rest + secret), datagram[4:20]):
            if not ma_at:
                return secret
            mac = hmac_md5(secret, begun + datagram[20:ma_at] + _ZERO + datagram[ma_at + 16 :])
            return secret if hmac.compare_digest(mac, datagram[ma_at : ma_at + 16]) else None
    return None
