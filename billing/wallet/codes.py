"""Codes of vouchers that are worth money: 75 random bits and a check character, kept only as a keyed hash.

`K7QF-2MWX-9TBN-4HDA`: the last character is Luhn's check over 32 letters. It finds every single wrong character and
nearly every swap of neighbours, so that a slip of the hand is told from a guess.
"""

import hmac
import secrets
from hashlib import sha256
from pathlib import Path

from aaa.limits.codes import Codes

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_RANDOM, _GROUP = 15, 4
LENGTH = _RANDOM + 1


def new_code() -> str:
    """A new code as it is printed."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    letters += check(letters)
    return "-".join(letters[at : at + _GROUP] for at in range(0, LENGTH, _GROUP))


def check(letters: str) -> str:
    """The check character of letters: Luhn modulo 32."""
    size, total = len(_ALPHABET), 0
    for place, letter in enumerate(reversed(letters)):
        value = _ALPHABET.index(letter) * (2 if place % 2 == 0 else 1)
        total += value // size + value % size
    return _ALPHABET[-total % size]


def normal(code: str) -> str:
    """As people type it: small letters, blanks and other dashes are the same; "" for what cannot be a code."""
    letters = "".join(one for one in code.upper() if one not in "- \u2013\u2010\u00a0")
    whole = len(letters) == LENGTH and set(letters) <= set(_ALPHABET)
    return letters if whole and hmac.compare_digest(check(letters[:-1]), letters[-1]) else ""


class Hasher:
    """HMAC-SHA-256 under the installation's `voucher.key`: without it the table tells nothing about codes.

    Who guesses cannot choose the hash that is looked up, so the index gives nothing away by its speed.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, home: Path) -> "Hasher":
        """With the key of this installation, made on first use (mode 0600). Raises KeyNotUsable."""
        return cls(Codes.of(home).key)

    def digest(self, letters: str) -> str:
        """The hash of a code in its normal form."""
        return hmac.new(self._key, b"wallet:" + letters.encode(), sha256).hexdigest()

    def place(self, what: str, text: str) -> str:
        """The hash of an address or an account, to count failures by: the table does not say whose they are."""
        return hmac.new(self._key, f"{what}:{text}".encode(), sha256).hexdigest()
