"""From workers to whoever is asked for metrics: one small file a worker, replaced in one step every few seconds.

Workers are processes of their own and may be many; the process that answers `/metrics` reads what they left. Labels are
bounded sets (NASes of the view, outcomes, reasons), never subscribers.
"""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from aaa.observe.latency import Kind, Latency
from core import clock

FRESH = 30.0
"""Seconds after which a worker's file is history: it was stopped, or is gone."""
OTHER = "other"
"""Stands for the NASes beyond MOST_NASES with the fewest answers: a mistake must not fill a monitoring system."""
MOST_NASES = 2000

Outcomes = Mapping[tuple[str, str], int]
"""(NAS, outcome) -> count."""


class Published(msgspec.Struct, frozen=True):
    """What a worker said last. `gauges` are values of the moment by name."""

    worker: str
    at: float
    logins: list[tuple[str, str, int]]
    records: list[tuple[str, str, int]]
    dropped: dict[str, int]
    repeated: int
    latency: dict[Kind, Latency]
    gauges: dict[str, float]
    dropped_of: list[tuple[str, str, int]] = []
    """(NAS, reason, count): of `dropped`, what came from NASes of the view."""
    addresses: list[tuple[str, str, int]] = []
    """(pool, state, count) of the addresses that the worker gives itself."""


def folder(home: Path) -> Path:
    """Where a node's workers leave their counts."""
    return home / "radius" / "metrics"


def publish(home: Path, said: Published) -> None:
    """Leave the counts for others to read. Raises OSError."""
    place = folder(home)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = place / f"{said.worker}.{os.getpid()}.partial"
    partial.write_bytes(msgspec.msgpack.encode(said))
    partial.replace(place / f"{said.worker}.counts")


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


def bounded(outcomes: Outcomes) -> list[tuple[str, str, int]]:
    """(NAS, outcome, count), with at most MOST_NASES names and OTHER."""
    counted = dict(outcomes)  # the answering threads go on counting
    totals: Counter[str] = Counter()
    for (nas, _outcome), count in counted.items():
        totals[nas] += count
    known = {nas for nas, _count in totals.most_common(MOST_NASES)}
    told: Counter[tuple[str, str]] = Counter()
    for (nas, outcome), count in counted.items():
        told[nas if nas in known else OTHER, outcome] += count
    return sorted((nas, outcome, count) for (nas, outcome), count in told.items())
