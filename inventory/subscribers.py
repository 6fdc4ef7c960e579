"""The subscriber side: the edges that a BNG terminates, what RADIUS knows of a NAS, what restricts a service."""

from collections.abc import Iterator
from typing import Any

import msgspec

from intents.config.schema import Config
from intents.device.schema import Device
from intents.edge.schema import Edge
from intents.line.schema import Line
from intents.plan.schema import RatePair
from intents.pool.schema import Pool
from intents.reader import Reader
from intents.service.schema import Service
from inventory.access import attachment, edge_of_line
from inventory.model import EdgeSide, NasEntry, PoolPart, RadiusEntry, SecretRef, ServiceOnLine
from inventory.references import referring

_SEVERITY = {"throttle": 1, "walled-garden": 2, "block": 3}


class Restriction(msgspec.Struct, frozen=True):
    """What the holds of a service amount to: effect "" | throttle | walled-garden | block, and their reasons.

    `down` and `up` (bit/s) are set when a throttle applies.
    """

    effect: str = ""
    reasons: tuple[str, ...] = ()
    down: int | None = None
    up: int | None = None


def restriction_of(reader: Reader, service_id: str) -> Restriction:
    """The strictest hold wins: block > walled-garden > throttle; throttles combine by the minimum."""
    holds = list(referring(reader, "service", service_id, "hold"))
    if not holds:
        return Restriction()
    effect = max((hold.effect for _, hold in holds), key=_SEVERITY.__getitem__)
    rates: list[RatePair] = [
        hold.rate for _, hold in holds if hold.effect == "throttle" and hold.rate is not None
    ]
    return Restriction(
        effect=effect,
        reasons=tuple(hold_id.rpartition(".")[2] for hold_id, _ in holds),
        down=min((int(rate.down) for rate in rates), default=None),
        up=min((int(rate.up) for rate in rates), default=None),
    )


def services_on(reader: Reader, line_id: str) -> tuple[ServiceOnLine, ...]:
    """The services of a line that are not ceased, with what restricts them."""
    return tuple(
        _on_line(reader, service_id, service)
        for service_id, service in referring(reader, "line", line_id, "service")
        if service.state == "active"
    )


def _on_line(reader: Reader, service_id: str, service: Service) -> ServiceOnLine:
    effect = restriction_of(reader, service_id).effect
    if service.session is None or service.session.method != "ipoe":
        return ServiceOnLine(service_id, service, effect)
    place = attachment(reader, service)
    pools = tuple(pool_parts(reader, place.edge)) if place.edge is not None else ()
    return ServiceOnLine(service_id, service, effect, place, pools)


def devices_of_line(reader: Reader, line: Line) -> tuple[str, ...]:
    """The devices that hold subscriber objects of a line (lane 2): its OLT, and the DHCP servers of its edge."""
    edge_id = edge_of_line(reader, line)
    edge = reader.get("edge", edge_id) if edge_id else None
    olt = getattr(line, "olt", None)
    return tuple(dict.fromkeys([*([olt] if olt else []), *(edge.dhcp if edge is not None else ())]))


def lines_of_change(reader: Reader, kind: str, identifier: str) -> Iterator[str]:
    """The lines whose subscriber objects a changed document may touch.

    What stands above a line (its node, edge or pools) decides only what a DHCP server of the edge holds of it.
    """
    if kind == "line":
        yield identifier
    elif kind in ("service", "hold"):
        service = reader.get("service", identifier.rpartition(".")[0] if kind == "hold" else identifier)
        if service is not None and service.line:
            yield service.line
    else:
        yield from _lines_below(reader, kind, identifier)


_BELOW = {"pool": ("edge",), "edge": ("device", "link"), "device": ("line",), "link": ("line",)}


def _lines_below(reader: Reader, kind: str, identifier: str) -> Iterator[str]:
    if kind == "edge" and not getattr(reader.get("edge", identifier), "dhcp", ()):
        return
    if kind in ("device", "link") and not _has_dhcp(reader, kind, identifier):
        return
    for below in _BELOW.get(kind, ()):
        for _, found in reader.referrers(kind, identifier, below):
            if below == "line":
                yield found
            else:
                yield from _lines_below(reader, below, found)


def _has_dhcp(reader: Reader, kind: str, identifier: str) -> bool:
    """Whether the edge of an OLT, an AP or a handover has a DHCP server."""
    node = reader.get(kind, identifier)
    place = node if kind == "link" else getattr(node, "olt", None) or getattr(node, "ap", None)
    edge_id = getattr(place, "edge", None)
    edge = reader.get("edge", edge_id) if edge_id else None
    return bool(edge is not None and edge.dhcp)


def edges_of(reader: Reader, device_id: str) -> tuple[EdgeSide, ...]:
    """The edges whose BNG the device is, with its parts of their pools."""
    return tuple(
        _edge_side(reader, edge_id, edge, bng, device_id)
        for edge_id, edge in referring(reader, "device", device_id, "edge")
        for bng in edge.bngs
        if bng.device == device_id
    )


def _edge_side(reader: Reader, edge_id: str, edge: Edge, bng: Any, device_id: str) -> EdgeSide:
    return EdgeSide(
        edge_id=edge_id,
        edge=edge,
        port=bng.port,
        priority=bng.priority,
        peers=tuple((other.device, other.priority) for other in edge.bngs if other.device != device_id),
        pools=tuple(pool_parts(reader, edge, device_id)),
    )


def pool_parts(reader: Reader, edge: Edge, device_id: str = "") -> list[PoolPart]:
    """A BNG's parts of the edge's pools; without one the whole pools."""
    parts = []
    for use in ("cgnat", "public", "garden", "pd", "wan6"):
        pool_id = getattr(edge.pools, use)
        pool: Pool | None = reader.get("pool", pool_id) if pool_id else None
        if pool is not None:
            parts.append(_part(pool_id, use, pool, device_id))
    return parts


def _part(pool_id: str, use: str, pool: Pool, device_id: str) -> PoolPart:
    return PoolPart(
        pool=pool_id,
        use=use,
        family=pool.family,
        allocate=pool.allocate,
        prefixes=_prefixes(pool, device_id),
        length=pool.length,
        gateway=pool.gateway,
        nat_public=tuple(pool.nat.public) if pool.nat else (),
        nat_ports=pool.nat.ports if pool.nat else 1024,
    )


def _prefixes(pool: Pool, device_id: str) -> tuple[str, ...]:
    if device_id or not pool.split:
        return tuple(pool.split.get(device_id, () if pool.split else pool.prefixes))
    return tuple(prefix for part in pool.split.values() for prefix in part)


def nas_of(device_id: str, device: Device, config: Config | None) -> NasEntry | None:
    """The device as RADIUS sees it; None where it is no NAS."""
    nas = device.nas
    if nas is None:
        return None
    path = f"network/devices/{device_id}.yaml"
    servers = config.aaa.servers if config else ()
    return NasEntry(
        vendor=nas.vendor,
        sources=tuple(nas.sources),
        secrets=tuple(SecretRef(text, path, "nas.secrets") for text in nas.secrets),
        message_authenticator=nas.message_authenticator,
        legacy=nas.legacy,
        interim=nas.interim,
        coa_port=nas.coa.port if nas.coa else None,
        coa_rate=nas.coa.rate if nas.coa else 0,
        servers=tuple(
            RadiusEntry(address, server.auth_port, server.acct_port)
            for server in servers
            for address in (server.address, server.also)
            if address is not None
        ),
    )
