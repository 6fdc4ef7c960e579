"""Layouts: what attributes, in which order and of which lengths, stand in a packet.

A NAS sends the same layout again and again: what was learned of one such packet unpacks the next at once, in place of
attribute by attribute. What a layout is good for is judged when it is learned, by the careful rules of `record_of`.
"""

import struct
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from aaa.accounting.quick import read_quickly

_STATUS, _CLASS, _LOGIN, _DELAY, _ID, _SECONDS, _PORT = 40, 25, 1, 41, 44, 46, 5
_COUNTED = (42, 43, 52, 53)
_ADDRESSES = (8, 97, 123, 168)
_CAUSE, _CALLING, _PORT_ID, _VENDOR = 49, 31, 87, 26
_RARE = (50, 241)
_WHOSE = (_STATUS, _CLASS, _LOGIN)
_OF_COUNTED = (_ID, _DELAY, *_ADDRESSES, _SECONDS, *_COUNTED, _CAUSE)
_OF_BEGUN = (_ID, _DELAY, *_ADDRESSES, _SECONDS, *_COUNTED, _LOGIN, _CALLING, _PORT, _PORT_ID)
_USED = frozenset((*_WHOSE, *_OF_COUNTED, *_OF_BEGUN))
_KNOWN = 4000
_ALIKE = 2
"""Layouts that are kept of one length with Class at one place."""

Told = tuple[Any, ...]


class Layout:
    """One layout. `ma_at` as of `read_quickly`. `counted` takes the values of an Interim or Stop from what `unpack`
    gave, `begun` those of a Start; None where such a record is not plain enough.
    """

    def __init__(self, datagram: bytes, found: Mapping[int, bytes], ma_at: int) -> None:
        shape, expected, headers, places = ["!BxH16x"], [datagram[0], len(datagram)], [0, 1], {}
        at, count = 20, 2
        while at < len(datagram):
            kind, span = datagram[at], datagram[at + 1]
            expected.append(kind << 8 | span)
            headers.append(count)
            count += 1
            if kind in _USED and kind not in places:
                places[kind] = count
                count += 1
                shape.append(f"H{span - 2}s")
            else:
                shape.append(f"H{span - 2}x")
            at += span

        def values(*kinds: int) -> Callable[[Told], Told]:
            return itemgetter(*(places.get(kind, count) for kind in kinds))

        self.ma_at = ma_at
        self.unpack = struct.Struct(
            "".join(shape) + "0s"
        ).unpack  # the last, empty one stands for all that is absent
        self.headers, self.expected = itemgetter(*headers), tuple(expected)
        self.whose = values(*_WHOSE)
        sizes = {kind: len(value) for kind, value in found.items()}
        plain = _is_plain(sizes)
        counts = plain and all(sizes.get(kind) == 4 for kind in (_SECONDS, *_COUNTED))
        self.counted = values(*_OF_COUNTED) if counts else None
        self.begun = values(*_OF_BEGUN) if plain and _VENDOR not in sizes else None
        self.gigawords = 52 in sizes or 53 in sizes


def _is_plain(sizes: Mapping[int, int]) -> bool:
    """Whether what a record tells is there in its right length, or not at all."""
    numbers = (_DELAY, _SECONDS, *_COUNTED, _PORT, _CAUSE, 8)
    return (
        sizes.get(_STATUS) == 4
        and _ID in sizes
        and all(sizes.get(kind, 4) == 4 for kind in numbers)
        and sizes.get(168, 16) == 16
        and all(2 <= sizes.get(kind, 2) <= 18 for kind in (97, 123))
        and not any(kind in sizes for kind in _RARE)
    )


class Layouts:
    """The layouts of a worker. `find` costs a look into a dictionary and one comparison."""

    def __init__(self) -> None:
        self._known: dict[int, list[Layout]] = {}
        self._count = 0

    def find(self, datagram: bytes) -> tuple[Layout, Told] | None:
        """The layout of a datagram and what it unpacks there; None for one that was not learned."""
        for layout in self._known.get(_key(datagram), ()):
            told = layout.unpack(datagram)
            if layout.headers(told) == layout.expected:
                return layout, told
        return None

    def learn(self, datagram: bytes) -> None:
        """Remember the layout of a packet that was rightly signed."""
        alike = self._known.get(_key(datagram), ())
        quick = read_quickly(datagram) if len(alike) < _ALIKE and self._count < _KNOWN else None
        if quick is None or self.find(datagram) is not None:
            return
        self._known[_key(datagram)] = [*alike, Layout(datagram, *quick)]
        self._count += 1


def _key(datagram: bytes) -> int:
    return len(datagram) << 12 | datagram.find(b"TL1:", 20)
