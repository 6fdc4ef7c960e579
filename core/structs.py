"""Structures are made ready before threads read them.

msgspec 0.22 learns the fields of a Struct when something is first read into one. Another thread that reads into the
same Struct at that moment finds half of it, and the process dies of a segmentation fault. Whoever starts threads calls
`make_ready` first.
"""

import threading
from collections.abc import Iterator

import msgspec

_ready: set[type[msgspec.Struct]] = set()
_lock = threading.Lock()


def make_ready() -> None:
    """Let msgspec learn every Struct that is imported and that it does not know. Again: it costs a millisecond."""
    with _lock:
        for one in [*_below(msgspec.Struct)]:
            if one not in _ready:
                _learn(one)
                _ready.add(one)


def _below(struct: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for one in struct.__subclasses__():
        yield one
        yield from _below(one)


def _learn(struct: type) -> None:
    try:
        msgspec.json.Decoder(struct)
    except (TypeError, NameError):
        return  # nothing is ever read into it: a field is no data, or is known to type checkers only
