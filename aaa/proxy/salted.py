"""Attributes hidden with salt: Tunnel-Password (RFC 2868 section 3.5), MS-MPPE keys (RFC 2548 section 2.4.2).

They are hidden under a secret and a Request Authenticator, and a proxy has other ones on each side.
"""

from hashlib import md5

TUNNEL_PASSWORD = 69
MICROSOFT = 311
MPPE_KEYS = (16, 17)
CHAP_KEYS = 12
"""MS-CHAP-MPPE-Keys (RFC 2548 section 2.4.1): hidden like a password, without salt."""


def moved(value: bytes, old: tuple[bytes, bytes], new: tuple[bytes, bytes]) -> bytes | None:
    """Salt and string, hidden anew; `old` and `new` are (secret, Request Authenticator). None: it is damaged.

    The salt stays: it has to be unique within one packet alone, and there it is.
    """
    salt, hidden = value[:2], value[2:]
    if len(salt) < 2 or not hidden or len(hidden) % 16:
        return None
    return salt + _hidden(_clear(hidden, salt, *old), salt, *new)


def moved_tagged(value: bytes, old: tuple[bytes, bytes], new: tuple[bytes, bytes]) -> bytes | None:
    """The same behind a tag's octet."""
    again = moved(value[1:], old, new)
    return None if again is None else value[:1] + again


def moved_plain(value: bytes, old: tuple[bytes, bytes], new: tuple[bytes, bytes]) -> bytes | None:
    """The same without a salt."""
    return _hidden(_clear(value, b"", *old), b"", *new) if value and len(value) % 16 == 0 else None


def _clear(hidden: bytes, salt: bytes, secret: bytes, authenticator: bytes) -> bytes:
    found, last = b"", authenticator + salt
    for at in range(0, len(hidden), 16):
        block = hidden[at : at + 16]
        found += _xor(block, md5(secret + last, usedforsecurity=False).digest())
        last = block
    return found


def _hidden(clear: bytes, salt: bytes, secret: bytes, authenticator: bytes) -> bytes:
    found, last = b"", authenticator + salt
    for at in range(0, len(clear), 16):
        last = _xor(clear[at : at + 16], md5(secret + last, usedforsecurity=False).digest())
        found += last
    return found


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(16)
