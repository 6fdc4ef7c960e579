"""PAP and CHAP as bytes (RFC 2865 sections 5.2 and 5.3)."""

import hmac

from aaa.radius.digests import md5_of


def reveal(hidden: bytes, secret: bytes, authenticator: bytes) -> bytes | None:
    """The password of a User-Password attribute; None unless it is 16 to 128 octets in sixteens."""
    size = len(hidden)
    if size == 16:  # nearly everybody's
        return _xor(hidden, md5_of(secret + authenticator)).rstrip(b"\x00")
    if size == 0 or size % 16 or size > 128:
        return None
    clear, last = b"", authenticator
    for at in range(0, size, 16):
        block = hidden[at : at + 16]
        clear += _xor(block, md5_of(secret + last))
        last = block
    return clear.rstrip(b"\x00")


def hide(password: bytes, secret: bytes, authenticator: bytes) -> bytes:
    """A User-Password attribute's value: padded with zeros to sixteens and hidden."""
    padded = password + bytes(-len(password) % 16 if password else 16)
    hidden, last = b"", authenticator
    for at in range(0, len(padded), 16):
        last = _xor(padded[at : at + 16], md5_of(secret + last))
        hidden += last
    return hidden


def hider(hidden: bytes, authenticator: bytes, secrets: tuple[bytes, ...]) -> bytes:
    """Which of a NAS's secrets hid a password: nothing but its look tells, and printable is right; else the first."""
    return next((one for one in secrets if _is_text(reveal(hidden, one, authenticator))), secrets[0])


def _is_text(octets: bytes | None) -> bool:
    try:
        return bool(octets) and octets is not None and octets.decode().isprintable()
    except UnicodeDecodeError:
        return False


def is_proven(
    password: bytes,
    hidden: bytes | None,
    chap: bytes | None,
    challenge: bytes,
    secret: bytes,
    authenticator: bytes,
) -> bool:
    """Whether a request shows that it knows this password: by CHAP where it has that, else by PAP."""
    if chap is not None:
        return chap_is_right(chap, challenge, password)
    given = reveal(hidden, secret, authenticator) if hidden is not None else None
    return given is not None and hmac.compare_digest(given, password)


def chap_is_right(answer: bytes, challenge: bytes, password: bytes) -> bool:
    """Whether CHAP-Password (identifier and 16 octets) answers the challenge for this password."""
    if len(answer) != 17:
        return False
    wanted = md5_of(answer[:1] + password + challenge)
    return hmac.compare_digest(wanted, answer[1:])


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(16)
