"""Which services and NASes a changed document touches, and what of it decides their records. Pure."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from aaa.view.pools import pools_named_by
from intents.reader import Reader

# Who of the referrers of a kind depends on it for AAA. A BNG's edge: only through what `projection` shows.
_FOLLOW = {
    "plan": {"service"},
    "line": {"service"},
    "link": {"line"},
    "device": {"line", "edge"},
    "edge": {"device", "link"},
    "pool": {"edge"},
    "site": {"device"},
}
# Whose change touches a pool's own record: the quarantine stands in trunkline.yaml, the interims in BNGs of its edges.
_OF_POOLS: dict[str, Callable[[Reader, str], set[str]]] = {
    "pool": lambda _reader, one: {one},
    "edge": lambda reader, one: pools_named_by(edge) if (edge := reader.get("edge", one)) else set(),
    "config": lambda reader, _one: set(reader.ids("pool")),
}
PROJECTED = ("plan", "device", "edge", "pool", "link", "site")


class Affected(msgspec.Struct):
    """Services, devices (NASes) and radio lines to compile again, and whether trunkline.yaml's realms."""

    services: set[str] = msgspec.field(default_factory=set)
    devices: set[str] = msgspec.field(default_factory=set)
    lines: set[str] = msgspec.field(default_factory=set)
    config: bool = False
    pools: set[str] = msgspec.field(default_factory=set)
    """Pools whose addresses nodes give: their own record."""


def affected(
    reader: Reader, changes: Iterable[tuple[str, str]], unchanged: Iterable[tuple[str, str]]
) -> Affected:
    """Follow references from changed (kind, id) to services. Documents in `unchanged` look changed, but nothing
    that AAA needs of them did.
    """
    found, skip = Affected(), set(unchanged)
    waiting = list(changes)
    named = set(waiting)
    seen: set[tuple[str, str]] = set()
    while waiting:
        kind, identifier = waiting.pop()
        if (kind, identifier) in seen:
            continue
        seen.add((kind, identifier))
        if kind == "service":
            found.services.add(identifier)
        elif kind == "hold":
            found.services.add(identifier.rpartition(".")[0])
        elif kind == "device":
            found.devices.add(identifier)
        elif kind == "line" and ((kind, identifier) in named or _is_radio(reader, identifier)):
            # A line that changed itself may have been a radio line until now.
            found.lines.add(identifier)
        elif kind == "config":
            found.config = True
        if kind in _OF_POOLS:
            # An edge that changed itself, or is gone, may have named other pools until now.
            moved = kind == "edge" and (kind, identifier) in named - skip
            found.pools |= set(reader.ids("pool")) if moved else _OF_POOLS[kind](reader, identifier)
        if (kind, identifier) not in skip and kind in _FOLLOW:
            waiting += [pair for pair in reader.referrers(kind, identifier) if pair[0] in _FOLLOW[kind]]
    return found


def _is_radio(reader: Reader, line_id: str) -> bool:
    line = reader.get("line", line_id)
    return line is not None and line.type == "radio"


def projection(reader: Reader, kind: str, identifier: str) -> bytes:
    """Digest of what a document decides in other documents' records."""
    value = reader.get(kind, identifier)
    return hashlib.sha256(repr(None if value is None else _PARTS[kind](value)).encode()).digest()


def _device(device: Any) -> object:
    nas = None
    if device.nas is not None and device.state != "retired":
        nas = device.nas.vendor, device.nas.interim, device.nas.hotspot
    olt = None if device.olt is None else (device.olt.edge, device.olt.circuit_id)
    return nas, olt, None if device.ap is None else (device.ap.edge, _sectors(device.ap)), device.site


def _sectors(ap: Any) -> object:
    return [(name, sector.svlan, sector.auth) for name, sector in sorted(ap.sectors.items())]


def _edge(edge: Any) -> object:
    pools = edge.pools
    page = edge.garden.url if edge.garden is not None else None
    used = pools.cgnat, pools.public, pools.pd, pools.wan6, pools.garden
    return [bng.device for bng in edge.bngs], *used, edge.vrf, page


def _plan(plan: Any) -> object:
    rate = plan.rate and (int(plan.rate.down), int(plan.rate.up))
    then = plan.fair_use and (int(plan.fair_use.then.down), int(plan.fair_use.then.up))
    return rate, bool(plan.schedule), then, plan.prepaid and plan.prepaid.exhausted


_PARTS: dict[str, Any] = {
    "plan": _plan,
    "device": _device,
    "edge": _edge,
    # Records name a pool that NASes allocate from; what is in it is the BNG's matter.
    "pool": lambda pool: pool.allocate,
    "link": lambda link: getattr(link, "edge", None),
    "site": lambda site: site.timezone,
}
