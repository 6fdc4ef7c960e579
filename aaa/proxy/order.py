"""Order: who may go past whom. A session's records keep theirs; nothing of a NAS passes its Accounting-On or -Off."""

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import NamedTuple

from aaa.proxy.spool import Entry
from aaa.radius import packet as wire

_BARRIERS = (b"\0\0\0\7", b"\0\0\0\x08")
Placed = tuple[int, Entry]


class Lane(NamedTuple):
    """What goes one after the other: a session, or (None) what a NAS says of itself as a whole."""

    nas: str
    session: bytes | None


class Blocked:
    """The lanes that something stands in, as a pass over the spool finds them. Oldest first, or it means nothing."""

    def __init__(self) -> None:
        self._nases: set[str] = set()
        self._sessions: dict[str, set[bytes]] = {}

    def block(self, lane: Lane) -> None:
        """Something stands there. A barrier stands in the way of all that its NAS sent later."""
        if lane.session is None:
            self._nases.add(lane.nas)
        else:
            self._sessions.setdefault(lane.nas, set()).add(lane.session)

    def holds(self, lane: Lane) -> bool:
        """Whether what comes now in this lane has to wait. A barrier waits for every session of its NAS."""
        sessions = self._sessions.get(lane.nas, set())
        return lane.nas in self._nases or (
            bool(sessions) if lane.session is None else lane.session in sessions
        )


def lane_of(entry: Entry) -> Lane:
    """Accounting-On and -Off end what was before; records without a session's id share one lane of their NAS."""
    packet = wire.read(entry.packet)
    if packet is None:
        return Lane(entry.nas, b"")
    return Lane(entry.nas, None if packet.first(40) in _BARRIERS else packet.first(44) or b"")


def by_nas(entries: Sequence[Entry], gone: Collection[int]) -> list[list[dict[Lane, list[Placed]]]]:
    """A segment without what is gone from it: for each NAS its steps, one after the other; in a step, lanes that go
    side by side, each with its entries and their places.
    """
    found: dict[str, list[tuple[Lane, Placed]]] = {}
    for place, entry in enumerate(entries):
        if place not in gone:
            found.setdefault(entry.nas, []).append((lane_of(entry), (place, entry)))
    return [_steps(one) for one in found.values()]


def _steps(entries: list[tuple[Lane, Placed]]) -> list[dict[Lane, list[Placed]]]:
    steps = []
    for _barrier, some in groupby(entries, key=lambda one: one[0].session is None):
        lanes: dict[Lane, list[Placed]] = {}
        for lane, placed in some:
            lanes.setdefault(lane, []).append(placed)
        steps.append(lanes)
    return steps
