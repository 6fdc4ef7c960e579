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
}
# Whose change touches a pool's own record: the quarantine stands in trunkline.yaml, the interims in BNGs of its edges.
_OF_POOLS: dict[str, Callable[[Reader, str], set[str]]] = {
    "pool": lambda _reader, one: {one},
    "edge": lambda reader, one: pools_named_by(edge) if (edge := reader.get("edge", one)) else set(),
    "config": lambda reader, _one: set(reader.ids("pool")),
}
PROJECTED = ("plan", "device", "edge", "pool", "link")


class Affected(msgspec.Struct):
    """Services and devices (NASes) to compile again."""

    services: set[str] = msgspec.field(default_factory=set)
    devices: set[str] = msgspec.field(default_factory=set)
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
        elif kind in _OF_POOLS:
            found.pools |= _OF_POOLS[kind](reader, identifier)
        if (kind, identifier) not in skip and kind in _FOLLOW:
            waiting += [pair for pair in reader.referrers(kind, identifier) if pair[0] in _FOLLOW[kind]]
    return found


def projection(reader: Reader, kind: str, identifier: str) -> bytes:
    """Digest of what a document decides in other documents' records."""
    value = reader.get(kind, identifier)
    return hashlib.sha256(repr(None if value is None else _PARTS[kind](value)).encode()).digest()


def _device(device: Any) -> object:
    nas = None if device.nas is None or device.state == "retired" else (device.nas.vendor, device.nas.interim)
    olt = None if device.olt is None else (device.olt.edge, device.olt.circuit_id)
    return nas, olt, None if device.ap is None else device.ap.edge


def _edge(edge: Any) -> object:
    pools = edge.pools
    return [bng.device for bng in edge.bngs], pools.cgnat, pools.public, pools.pd, pools.wan6, pools.garden


_PARTS: dict[str, Any] = {
    "plan": lambda plan: plan.rate and (int(plan.rate.down), int(plan.rate.up)),
    "device": _device,
    "edge": _edge,
    # Records name a pool that NASes allocate from; what is in it is the BNG's matter.
    "pool": lambda pool: pool.allocate,
    "link": lambda link: getattr(link, "edge", None),
}
