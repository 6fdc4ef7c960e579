"""Codes of vouchers: made at random, printed once, kept only as a keyed hash."""

import hmac
import secrets
from functools import cache
from hashlib import sha256
from pathlib import Path

from aaa.view.seal import read_key

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without 0, 1, I and O, which people mix up: 32 characters, five bits each."""
_LENGTH, _GROUP = 12, 4
KEY_LENGTH = 32


def new_code() -> str:
    """`K7QF-2MWX-9TBN`: 60 random bits. A million valid codes are hit once in 10^12 guesses."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(letters[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def normal(code: str) -> str:
    """As people type it: small letters, blanks and other dashes are the same code; "" for what is no code."""
    letters = code.upper().replace("-", "").replace(" ", "").replace("\u2013", "")
    return letters if len(letters) == _LENGTH and set(letters) <= set(_ALPHABET) else ""


class Codes:
    """The keyed hash (HMAC-SHA-256) under `<home>/voucher.key`, which every node has, as it has `view.key`."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    @classmethod
    def of(cls, home: Path) -> "Codes":
        """The key of this installation, made on first use (mode 0600). Raises KeyNotUsable."""
        return _codes(read_key(home / "voucher.key", KEY_LENGTH))

    def digest(self, code: str) -> bytes | None:
        """The hash of a code as people type it; None for what is no code."""
        letters = normal(code)
        return hmac.digest(self.key, letters.encode(), sha256) if letters else None


@cache
def _codes(key: bytes) -> Codes:
    return Codes(key)
