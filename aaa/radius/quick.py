"""The quick reading of an Access-Request: one pass that keeps only what a login needs.

It never judges. What is not a plain, whole Access-Request is None here, and the careful reader (`packet.read`) says
what it is; a test holds the two against each other, octet for octet.
"""

import msgspec

from aaa.radius.request import Asked, asked_of

_VENDOR, _PROXY_STATE, _MESSAGE_AUTHENTICATOR = 26, 33, 80
# By attribute: 0 is of no use to a login, 1 counts once (the first), 2 counts every time.
_ROLES = bytes(
    2
    if kind in (_VENDOR, _PROXY_STATE, _MESSAGE_AUTHENTICATOR)
    else int(kind in (1, 2, 3, 7, 24, 31, 60, 79, 87))
    for kind in range(256)
)


class Quick(msgspec.Struct):
    """A well-formed Access-Request. `ma_at`: offset of Message-Authenticator's value, 0 for none. `proxied`: its
    Proxy-State attributes as they came, to be echoed.
    """

    asked: Asked
    authenticator: bytes
    ma_at: int
    proxied: bytes


def read_quickly(datagram: bytes) -> Quick | None:
    """An Access-Request without padding, whose attributes are whole and have at most one Message-Authenticator."""
    length = len(datagram)
    if not _is_plain(datagram, length):
        return None
    found: dict[int, bytes] = {}
    vendor: list[bytes] = []
    proxied, at, ma_at, end = b"", 20, 0, length - 1
    while at < end:
        kind, span = datagram[at], datagram[at + 1]
        if span < 2:
            return None
        after = at + span
        if role := _ROLES[kind]:
            if role == 1:
                if kind not in found:
                    found[kind] = datagram[at + 2 : after]
            elif kind == _VENDOR:
                vendor.append(datagram[at + 2 : after])
            elif kind == _PROXY_STATE:
                proxied += datagram[at:after]
            else:
                ma_at = -1 if span != 18 or ma_at else at + 2
        at = after
    if at != length or ma_at < 0:
        return None
    authenticator = datagram[4:20]
    return Quick(asked_of(found, vendor, authenticator), authenticator, ma_at, proxied)


def _is_plain(datagram: bytes, length: int) -> bool:
    return 20 <= length <= 4096 and datagram[0] == 1 and datagram[2] << 8 | datagram[3] == length
