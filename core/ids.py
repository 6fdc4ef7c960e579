"""Identifiers: sortable ids for our rows and the shard path of an intent's id."""

import hashlib
import os
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_ROOM = len(_PAIRS)
_last = 0
_lock = threading.Lock()


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters that sort by creation time (48 bits of ms, 80 random bits; ULID layout).

    Ids of one process sort in the order in which they were made, also within a millisecond and when the clock is set
    back: what is ordered by id is in that order again when the same work is done again.
    """
    return f"{prefix}_{_text(_greater(1), 0)}"


def new_ids(prefix: str, count: int) -> list[str]:
    """Several of one moment, in order: of each 1024 the last ten bits count, and are not random."""
    found: list[str] = []
    for begun in range(0, count, _ROOM):
        head = f"{prefix}_{_text(_greater(_ROOM), 10)}"
        found += [head + last for last in _PAIRS[: count - begun]]
    return found


def _greater(room: int) -> int:
    """A multiple of `room` that is greater than every number given before, as are the `room` numbers from it on.

    Where the moment's own number is not greater, the next is a random distance away: a forked process has the same
    last one.
    """
    global _last
    random = int.from_bytes(os.urandom(10))
    moment = time.time_ns() // 1_000_000 << 80
    with _lock:
        number = moment | random
        if number <= _last:
            number = _last + 1 + (random >> 20)
        number += -number % room
        _last = number + room - 1
    return number


def _text(value: int, low: int) -> str:
    """Five bits a character, of 130 bits down to the bit `low`."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, low - 1, -10)])


def _unlocked() -> None:
    """A process that was forked while a thread held the lock has nobody who lets it go."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_unlocked)


def shard(identifier: str) -> str:
    """`aa/bb`: the first four hex digits of SHA-256 of the id; keeps Git trees small."""
    digest = hashlib.sha256(identifier.encode()).hexdigest()
    return f"{digest[:2]}/{digest[2:4]}"
