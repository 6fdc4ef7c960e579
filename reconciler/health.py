"""Health of a device around a commit: what it had before, what it lost after."""

import time
from typing import Any

from core import clock
from drivers.contract import Driver, Neighbour, Observation
from inventory.model import DeviceModel
from reconciler import device_io

_POLL = 1.0
SETTLE = 45.0
"""Seconds that a neighbour may take to come back (OSPF dead interval 40 s) before it counts as lost."""


def wanted(model: DeviceModel) -> frozenset[str]:
    """The words by which a device names the neighbours that its intent still has: ports with OSPF, BGP addresses."""
    ports = {port.name for port in model.ports if port.ospf is not None and not port.ospf.passive}
    routing = model.routing
    if routing is None:
        return frozenset(ports)
    inside = {address for peer in routing.ibgp for address in (peer.v4, peer.v6) if address is not None}
    return frozenset(ports | inside | {peer.address for peer in routing.ebgp})


def baseline(observation: Observation, names: frozenset[str] | None = None) -> dict[str, Any]:
    """What must still be there after the commit: neighbours that are up, counts of ONUs, stations, sessions.

    `names` (from `wanted`): a neighbour that the intent gave up may go.
    """
    return {
        "neighbours": sorted(_name(n) for n in observation.neighbours or () if n.up and _is_wanted(n, names)),
        "onus": sum(onu.online for onu in observation.onus or ()),
        "stations": observation.stations or 0,
        "sessions": len(observation.sessions or ()),
    }


def lost(before: dict[str, Any], observation: Observation) -> list[str]:
    """What is missing now, in words; empty means healthy.

    Counts may shrink by a fifth: subscribers come and go by themselves.
    """
    after = baseline(observation)
    names = [f"neighbour {name}" for name in before.get("neighbours", ()) if name not in after["neighbours"]]
    counts = [
        f"{before[what] - after[what]} of {before[what]} {what}"
        for what in ("onus", "stations", "sessions")
        if after[what] < before.get(what, 0) * 0.8
    ]
    return names + counts


def watch(before: dict[str, Any], driver: Driver, soak: float) -> list[str]:
    """Watch for `soak` seconds that nothing is lost; what is lost may take some time to come back.

    Returns what is still missing, at once where there was nothing to lose.
    """
    if not any(before.values()):
        return []
    end, settled = clock.monotonic() + soak, clock.monotonic() + soak + SETTLE
    while True:
        missing = lost(before, device_io.observe(driver))
        moment = clock.monotonic()
        if (not missing and moment >= end) or moment >= settled:
            return missing
        time.sleep(min(_POLL, max(0.05, end - moment)))


def _is_wanted(neighbour: Neighbour, names: frozenset[str] | None) -> bool:
    return names is None or not names.isdisjoint(neighbour.neighbour.split())


def _name(neighbour: Neighbour) -> str:
    return f"{neighbour.protocol} {neighbour.neighbour}"
