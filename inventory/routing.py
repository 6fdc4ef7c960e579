"""The routing of a device: who its neighbours are and what passes between them."""

import ipaddress
from collections.abc import Iterator

from intents.config.schema import Config
from intents.device.routing import Ebgp, Routing
from intents.device.schema import Device
from intents.reader import Reader
from intents.service.schema import Handoff, Service
from inventory.model import EbgpNeighbour, EdgeSide, IbgpNeighbour, RoutingModel, SecretRef, StaticRoute
from inventory.references import referring


def routing_of(
    reader: Reader, device_id: str, device: Device, config: Config | None, edges: tuple[EdgeSide, ...]
) -> RoutingModel | None:
    """The resolved routing; None where the device's intent has no routing."""
    routing = device.routing
    if routing is None:
        return None
    return RoutingModel(
        asn=(config.operator.asn or 0) if config else 0,
        router_id=_bare(device.loopback.v4 if device.loopback else None) or "",
        area=str(routing.ospf.area) if routing.ospf else None,
        ibgp=tuple(_ibgp(reader, device_id, routing)),
        reflector=bool(routing.ibgp and routing.ibgp.reflector),
        cluster=routing.ibgp.cluster if routing.ibgp else None,
        ebgp=tuple(_ebgp(reader, device_id, routing)),
        statics=tuple(_statics(reader, device_id, routing)),
        aggregates=_aggregates(edges),
    )


def _ibgp(reader: Reader, device_id: str, routing: Routing) -> Iterator[IbgpNeighbour]:
    if routing.ibgp is None:
        return
    peers: dict[str, bool] = dict.fromkeys((*routing.ibgp.rr, *routing.ibgp.mesh), False)
    for other_id, other in referring(reader, "device", device_id, "device"):
        ibgp = other.routing.ibgp if other.routing else None
        if ibgp and other_id not in peers and device_id in (*ibgp.rr, *ibgp.mesh):
            peers[other_id] = routing.ibgp.reflector and device_id in ibgp.rr and not ibgp.reflector
    for peer in sorted(peers):
        other = reader.get("device", peer)
        if (
            peer != device_id
            and other is not None
            and other.loopback is not None
            and other.state != "planned"
        ):
            yield IbgpNeighbour(peer, _bare(other.loopback.v4), _bare(other.loopback.v6), peers[peer])


def _ebgp(reader: Reader, device_id: str, routing: Routing) -> Iterator[EbgpNeighbour]:
    path = f"network/devices/{device_id}.yaml"
    for peer in routing.ebgp:
        yield _declared_peer(path, peer)
    for service_id, service in referring(reader, "device", device_id, "service"):
        for handoff in service.handoffs:
            if handoff.router == device_id and service.bgp is not None and service.state == "active":
                yield from _customer_peers(service_id, service, handoff)


def _declared_peer(path: str, peer: Ebgp) -> EbgpNeighbour:
    secret = SecretRef(peer.secret, path, "routing.ebgp.secret") if peer.secret else None
    return EbgpNeighbour(
        address=peer.address, asn=peer.asn, description=peer.description or "", secret=secret,
        accept=tuple(peer.accept), announce=tuple(peer.announce), send="listed",
        max_v4=peer.max.v4 if peer.max else None, max_v6=peer.max.v6 if peer.max else None,
    )  # fmt: skip


def _customer_peers(service_id: str, service: Service, handoff: Handoff) -> Iterator[EbgpNeighbour]:
    from intents.kinds import path_of  # only where a customer has BGP

    bgp = service.bgp
    if bgp is None:
        return
    secret = SecretRef(bgp.secret, path_of("service", service_id), "bgp.secret") if bgp.secret else None
    for them in (handoff.v4.them if handoff.v4 else None, handoff.v6.them if handoff.v6 else None):
        if them is not None:
            yield EbgpNeighbour(
                address=_bare(them) or "", asn=bgp.asn, description=f"{service.customer} {service_id}",
                secret=secret, accept=tuple(bgp.prefixes), announce=(), send=bgp.send,
                max_v4=bgp.max.v4 if bgp.max else None, max_v6=bgp.max.v6 if bgp.max else None,
                service=service_id, backup=handoff.role == "backup",
            )  # fmt: skip


def _statics(reader: Reader, device_id: str, routing: Routing) -> Iterator[StaticRoute]:
    for route in routing.statics:
        yield StaticRoute(route.prefix, route.via, route.port, route.discard, route.distance)
    for _, service in referring(reader, "device", device_id, "service"):
        if service.state == "active":
            for handoff in service.handoffs:
                if handoff.router == device_id:
                    yield from _service_statics(service, handoff)


def _service_statics(service: Service, handoff: Handoff) -> Iterator[StaticRoute]:
    distance = 200 if handoff.role == "backup" else None
    for route in service.routes:
        six = ipaddress.ip_network(route.prefix).version == 6
        ends = handoff.v6 if six else handoff.v4
        via = route.via or (_bare(ends.them) if ends else None)
        if via is not None:
            yield StaticRoute(route.prefix, via, None, False, distance)


def _aggregates(edges: tuple[EdgeSide, ...]) -> tuple[str, ...]:
    found = {
        prefix for edge in edges for part in edge.pools if part.use != "garden" for prefix in part.prefixes
    } | {prefix for edge in edges for part in edge.pools for prefix in part.nat_public}
    return tuple(sorted(found, key=_order))


def _order(prefix: str) -> tuple[int, int, int]:
    network = ipaddress.ip_network(prefix)
    return (network.version, int(network.network_address), network.prefixlen)


def _bare(address: str | None) -> str | None:
    return None if address is None else str(address).split("/")[0]
