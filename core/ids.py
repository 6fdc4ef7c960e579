"""Identifiers: sortable ids for our rows and the shard path of an intent's id."""

import hashlib
import os
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters that sort by creation time (48 bits of ms, 80 random bits; ULID layout)."""
    return new_ids(prefix, 1)[0]


def new_ids(prefix: str, count: int) -> list[str]:
    """Several of one moment."""
    moment = f"{prefix}_{_text(time.time_ns() // 1_000_000, 40)}"
    random = os.urandom(10 * count)
    return [moment + _text(int.from_bytes(random[at : at + 10]), 70) for at in range(0, len(random), 10)]


def _text(value: int, top: int) -> str:
    """Five bits a character, from the bit `top` down."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(top, -1, -10)])


def shard(identifier: str) -> str:
    """`aa/bb`: the first four hex digits of SHA-256 of the id; keeps Git trees small."""
    digest = hashlib.sha256(identifier.encode()).hexdigest()
    return f"{digest[:2]}/{digest[2:4]}"
