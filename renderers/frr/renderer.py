"""FRRouting 8.x: a resolved device -> frr.conf, in the order in which FRR itself writes it. Pure."""

import ipaddress
from collections.abc import Iterator
from typing import Any

import msgspec

from inventory.model import DeviceModel, OspfPort, Port, RoutingModel, StaticRoute
from renderers.contract import CannotRender, Rendered, Secrets
from renderers.environment import environment, rendered
from renderers.frr import escape, policy

PLATFORM = "frr"
ROLES = frozenset({"router", "bng", "switch"})


class FrrPort(msgspec.Struct, frozen=True, kw_only=True):
    """An interface as the template prints it; `timers` when they are not FRR's own (RFC 2328: 10 and 40 s)."""

    name: str
    description: str
    mtu: int | None
    enabled: bool
    v4: tuple[str, ...]
    v6: tuple[str, ...]
    bfd: bool
    ospf: OspfPort | None
    timers: bool


class FrrIbgp(msgspec.Struct, frozen=True):
    """An iBGP session between two loopbacks of one family (FRR's word: ip | ipv6)."""

    device: str
    address: str
    source: str
    family: str
    client: bool


class Family(msgspec.Struct, frozen=True):
    """An address family of BGP: FRR's name, our word, what we originate."""

    frr: str
    word: str
    networks: tuple[str, ...]


def render(model: DeviceModel, secrets: Secrets) -> Rendered:
    """The whole configuration. Raises CannotRender where the intent asks for what FRR cannot do."""
    _check(model)
    routing = model.routing
    peers = _ebgp(model, secrets)
    return rendered(
        environment(PLATFORM, escape.text),
        "frr.conf.j2",
        model=model,
        area=routing.area if routing else "",
        routing=routing,
        bgp=bool(routing and routing.asn and (routing.ibgp or peers)),
        ports=[*map(_port, model.ports), *_loopback(model)],
        ibgp=list(_ibgp(model)),
        ebgp=peers,
        families=_families(routing),
        prefix_lists=[found for peer in peers for found in (peer.accepts, peer.announces)],
        statics=_statics(routing),
    )


def _check(model: DeviceModel) -> None:
    routing = model.routing
    if routing is None:
        return
    if not routing.router_id:
        raise CannotRender(model.id, "routing needs a router id: give the device loopback.v4")
    if (routing.ibgp or routing.ebgp) and not routing.asn:
        raise CannotRender(
            model.id, "BGP needs the operator's AS number: give operator.asn in trunkline.yaml"
        )
    for port in model.ports:
        if len(port.name) > 15 or "/" in port.name:  # IFNAMSIZ of Linux
            raise CannotRender(model.id, f"port {port.name} is no name of a Linux interface")


def _port(port: Port) -> FrrPort:
    ospf = port.ospf
    return FrrPort(
        name=port.name,
        description=port.description,
        mtu=port.mtu,
        enabled=port.enabled,
        v4=port.v4,
        v6=port.v6,
        bfd=port.bfd and bool(ospf and not ospf.passive),
        ospf=ospf,
        timers=ospf is not None and not ospf.passive and (ospf.hello, ospf.dead) != (10, 40),
    )


def _loopback(model: DeviceModel) -> Iterator[FrrPort]:
    v4, v6 = model.loopback_v4, model.loopback_v6
    if v4 is None and v6 is None:
        return
    area = model.routing.area if model.routing else None
    yield FrrPort(
        name="lo", description="", mtu=None, enabled=True, bfd=False, timers=False,
        v4=(v4,) if v4 else (), v6=(v6,) if v6 else (),
        ospf=OspfPort(cost=None, passive=True, hello=10, dead=40) if area else None,
    )  # fmt: skip


def _ibgp(model: DeviceModel) -> Iterator[FrrIbgp]:
    """A session per family: a lost IPv6 path must not take IPv4 routes away. Ours is the far end's source."""
    if model.routing is None:
        return
    for word, own in (("ip", model.loopback_v4), ("ipv6", model.loopback_v6)):
        for peer in model.routing.ibgp:
            address = peer.v4 if word == "ip" else peer.v6
            if own and address:
                yield FrrIbgp(peer.device, address, own.split("/")[0], word, peer.client)


def _ebgp(model: DeviceModel, secrets: Secrets) -> list[policy.Peer]:
    found = []
    for neighbour in model.routing.ebgp if model.routing else ():
        ref = neighbour.secret
        word = escape.password(model.id, secrets.open(ref.sealed, ref.path, ref.key)) if ref else ""
        found.append(policy.peer_of(neighbour, word))
    return sorted(found, key=lambda peer: _order(peer.address))


def _families(routing: RoutingModel | None) -> list[Family]:
    """What we originate: our parts of the pools and our static routes, but never a default route."""
    own = (*routing.aggregates, *(route.prefix for route in routing.statics)) if routing else ()
    real = tuple(prefix for prefix in own if not prefix.endswith("/0"))
    return [
        Family("ipv4", "ip", policy.of_version(real, 4)),
        Family("ipv6", "ipv6", policy.of_version(real, 6)),
    ]


def _statics(routing: RoutingModel | None) -> list[str]:
    """What we originate is also routed nowhere: what no subscriber uses must not loop."""
    if routing is None:
        return []
    own = [StaticRoute(prefix, None, None, True, None) for prefix in routing.aggregates]
    routes = sorted({*routing.statics, *own}, key=lambda route: (_order(route.prefix), str(route.via)))
    return [_static(route) for route in routes]


def _static(route: StaticRoute) -> str:
    word = "ipv6" if ":" in route.prefix else "ip"
    via = "blackhole" if route.discard else route.via or route.port
    return f"{word} route {route.prefix} {via}{f' {route.distance}' if route.distance else ''}"


def _order(text: str) -> Any:
    network = ipaddress.ip_network(str(text))
    return network.version, int(network.network_address), network.prefixlen
