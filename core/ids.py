"""Identifiers: sortable ids for our rows and the shard path of an intent's id."""

import hashlib
import os
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters that sort by creation time (48 bits of ms, 80 random bits; ULID layout)."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    text = "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])
    return f"{prefix}_{text}"


def shard(identifier: str) -> str:
    """`aa/bb`: the first four hex digits of SHA-256 of the id; keeps Git trees small."""
    digest = hashlib.sha256(identifier.encode()).hexdigest()
    return f"{digest[:2]}/{digest[2:4]}"
