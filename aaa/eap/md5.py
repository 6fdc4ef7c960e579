"""EAP-MD5 (RFC 3748 section 5.4): CHAP in EAP. No keys, no proof of ours: for wired ports, and only when asked for."""

import os

from aaa.radius.credentials import chap_is_right


def begin() -> tuple[bytes, bytes]:
    """(challenge, type data to send)."""
    challenge = os.urandom(16)
    return challenge, b"\x10" + challenge


def is_right(identifier: int, challenge: bytes, data: bytes, password: bytes) -> bool:
    """Whether the response's type data answers the challenge. No password is never proven."""
    if len(data) < 17 or data[0] != 16 or not password:
        return False
    return chap_is_right(bytes((identifier,)) + data[1:17], challenge, password)
