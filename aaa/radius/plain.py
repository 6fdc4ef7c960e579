"""The quick reading of an Access-Request: one pass that keeps what a plain PAP or CHAP login consists of.

It never judges. What there is more to is None here, and the careful reader (`packet.read`) takes it.
"""

from aaa.radius.packet import ACCESS_REQUEST, MAX_LENGTH

LOGIN, PASSWORD, CHAP, _VENDOR, CHALLENGE, _SIGNED = 1, 2, 3, 26, 60, 80
_READ, _NOT_OURS = 1, 2
_ROLES = bytearray(256)
"""By attribute: 0 is nothing to a plain login, `_READ` is looked at, `_NOT_OURS` (State, Proxy-State, EAP) ends it."""
for _kind in (LOGIN, PASSWORD, CHAP, _VENDOR, CHALLENGE, _SIGNED):
    _ROLES[_kind] = _READ
for _kind in (24, 33, 79):
    _ROLES[_kind] = _NOT_OURS
_MICROSOFT = b"\0\0\x01\x37"


def read_plainly(datagram: bytes) -> tuple[dict[int, bytes], int] | None:
    """Login, password, CHAP answer and challenge of a whole Access-Request, by attribute, and the offset of
    Message-Authenticator's value (0: none). None: there is more to it.
    """
    length = len(datagram)
    if not (
        20 <= length <= MAX_LENGTH
        and datagram[0] == ACCESS_REQUEST
        and datagram[2] << 8 | datagram[3] == length
    ):
        return None
    found: dict[int, bytes] = {}
    roles, at, ma_at, end = _ROLES, 20, 0, length - 1
    while at < end:
        span = datagram[at + 1]
        if span < 2:
            return None
        if role := roles[kind := datagram[at]]:
            if role == _NOT_OURS or kind in found:
                return None
            if kind == _SIGNED:
                ma_at = -1 if span != 18 or ma_at else at + 2
            elif kind != _VENDOR:
                found[kind] = datagram[at + 2 : at + span]
            elif datagram[at + 2 : at + 6] == _MICROSOFT:
                return None
        at += span
    return (found, ma_at) if at == length and ma_at >= 0 else None
