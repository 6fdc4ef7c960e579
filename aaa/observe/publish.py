"""From workers to whoever is asked for metrics: one small file a worker, replaced in one step every few seconds.

Workers are processes of their own and may be many; the process that answers `/metrics` reads what they left.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from aaa.observe.counts import Counts, Kind, Latency
from core import clock

FRESH = 30.0
"""Seconds after which a worker's file is history: it was stopped, or is gone."""


class Published(msgspec.Struct, frozen=True):
    """What a worker said last. `gauges` are values of the moment by name."""

    worker: str
    at: float
    outcomes: dict[Kind, list[tuple[str, str, int]]]
    dropped: dict[Kind, dict[str, int]]
    repeated: dict[Kind, int]
    latency: dict[Kind, Latency]
    gauges: dict[str, float]


def folder(home: Path) -> Path:
    """Where a node's workers leave their counts."""
    return home / "radius" / "metrics"


def publish(home: Path, worker: str, counts: Counts, gauges: Mapping[str, float]) -> None:
    """Leave the counts for others to read. Raises OSError."""
    said = Published(
        worker=worker,
        at=clock.now().timestamp(),
        outcomes={kind: [(*key, n) for key, n in list(by.items())] for kind, by in counts.outcomes.items()},
        dropped={kind: dict(by) for kind, by in counts.dropped.items()},
        repeated=dict(counts.repeated),
        latency=counts.latency,
        gauges=dict(gauges),
    )
    place = folder(home)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = place / f"{worker}.{os.getpid()}.partial"
    partial.write_bytes(msgspec.msgpack.encode(said))
    partial.replace(place / f"{worker}.counts")


def published(home: Path) -> list[Published]:
    """What the node's workers said in the last half minute, by name; a damaged file is passed over."""
    found = []
    now = clock.now().timestamp()
    for path in sorted(folder(home).glob("*.counts")):
        try:
            one = msgspec.msgpack.decode(path.read_bytes(), type=Published)
        except (OSError, msgspec.MsgspecError):
            continue
        if now - one.at <= FRESH:
            found.append(one)
    return found
