"""Identifiers: sortable ids for our rows and the shard path of an intent's id."""

import hashlib
import os
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters that sort by creation time (48 bits of ms, 80 random bits; ULID layout)."""
    return f"{prefix}_{_text(time.time_ns() // 1_000_000, 40)}{_random(70)}"


def new_ids(prefix: str, count: int) -> list[str]:
    """Several of one moment, in order: of each 1024 the last ten bits count, and are not random."""
    moment = f"{prefix}_{_text(time.time_ns() // 1_000_000, 40)}"
    begun = sorted(moment + _random(60) for _ in range(0, count, len(_PAIRS)))
    return [one + last for one in begun for last in _PAIRS[:count]][:count]


def _random(top: int) -> str:
    """The same of random bits."""
    return _text(int.from_bytes(os.urandom(10)) >> 70 - top, top)


def _text(value: int, top: int) -> str:
    """Five bits a character, from the bit `top` down."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(top, -1, -10)])


def shard(identifier: str) -> str:
    """`aa/bb`: the first four hex digits of SHA-256 of the id; keeps Git trees small."""
    digest = hashlib.sha256(identifier.encode()).hexdigest()
    return f"{digest[:2]}/{digest[2:4]}"
