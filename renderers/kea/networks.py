"""What a Kea server is told, decided from the device's model: plain values for the template.

A shared network for every BNG, because a subscriber's address must be of the part of the BNG that it came through;
BNGs that have the same prefixes (a standby) share one. A subnet for every prefix, open only to members of its pool's
client class: a reservation says which class, and so which pool (Kea has no pools per reservation).
"""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from inventory.model import DeviceModel, DhcpSide, PoolPart
from renderers.contract import CannotRender
from renderers.kea.names import class_of

LEASE, GARDEN_LEASE = 300, 60
_SHORTEST, _LONGEST = 4, 604800
_HOOKS = "/usr/lib/x86_64-linux-gnu/kea/hooks"


class Subnet(msgspec.Struct, frozen=True, kw_only=True):
    """A prefix of a pool. `number` is Kea's id: the prefix itself as an integer, so that leases keep their subnet."""

    number: int
    prefix: str
    pool: str
    gateway: str
    ranges: tuple[str, ...]
    dns: tuple[str, ...]
    lease: int
    garden: bool
    open: bool = False
    """Unknown circuits may have an address of it, too."""

    @property
    def client_class(self) -> str:
        """Whose subnet it is."""
        return class_of(self.pool)

    @property
    def pool_class(self) -> str:
        """Who may have an address of it where the subnet is open: only after the subnet is chosen does Kea know who is
        unknown, so the subnet itself lets everybody in.
        """
        return f"tl.open-{self.pool}"


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What one BNG, or BNGs with the same prefixes, relay for."""

    name: str
    relays: tuple[str, ...]
    subnets: tuple[Subnet, ...]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the template names."""

    name: str
    interfaces: tuple[str, ...]
    hooks: str
    lease: int
    networks: tuple[Network, ...]
    classes: tuple[str, ...]
    opened: tuple[Subnet, ...]
    """An open subnet of each pool: its class is made of its pool's and of who is unknown."""


def server_of(model: DeviceModel) -> Server:
    """Follow the model. Raises CannotRender for an intent that does not say enough."""
    if not model.dhcp:
        raise CannotRender(model.id, "no edge names it under `dhcp`: it would serve nobody")
    leases = _seconds(model, "lease", LEASE), _seconds(model, "garden-lease", GARDEN_LEASE)
    opened = _unknown(model) == "garden"
    networks = tuple(_network(model, group, leases, opened) for group in _groups(model.dhcp))
    every = [subnet for network in networks for subnet in network.subnets]
    return Server(
        name=model.id,
        interfaces=tuple(str(model.device.options.get("listen", "*")).replace(",", " ").split()),
        hooks=str(model.device.options.get("hooks", _HOOKS)),
        lease=leases[0],
        networks=networks,
        classes=tuple(sorted({subnet.client_class for subnet in every})),
        opened=tuple({subnet.pool: subnet for subnet in every if subnet.open}.values()),
    )


def _groups(sides: Iterable[DhcpSide]) -> list[list[DhcpSide]]:
    """The sides of a BNG together, and with those of BNGs that have a prefix of it."""
    groups: list[list[DhcpSide]] = []
    for side in sides:
        mine = [group for group in groups if any(_together(side, other) for other in group)]
        groups = [group for group in groups if group not in mine]
        groups.append([*(other for group in mine for other in group), side])
    return sorted(groups, key=lambda group: min(side.bng for side in group))


def _together(one: DhcpSide, other: DhcpSide) -> bool:
    return one.bng == other.bng or bool(_prefixes(one) & _prefixes(other))


def _prefixes(side: DhcpSide) -> set[str]:
    return {prefix for part in side.pools for prefix in part.prefixes}


def _network(model: DeviceModel, group: list[DhcpSide], leases: tuple[int, int], opened: bool) -> Network:
    subnets = {s.number: s for side in reversed(group) for s in _subnets(model, side, leases, opened)}
    ordered = tuple(subnets[number] for number in sorted(subnets))
    if not ordered:
        raise CannotRender(model.id, f"{group[0].bng} has no IPv4 prefix of edge {group[0].edge_id}'s pools")
    relays = [address for side in group for address in side.relays] + [s.gateway for s in ordered]
    return Network(
        name="+".join(sorted({side.bng for side in group})),
        relays=tuple(dict.fromkeys(relays)),
        subnets=ordered,
    )


def _subnets(model: DeviceModel, side: DhcpSide, leases: tuple[int, int], opened: bool) -> Iterator[Subnet]:
    resolvers = tuple(str(one) for one in side.edge.dns if ipaddress.ip_address(one).version == 4)
    garden_dns = tuple(str(model.device.options.get("garden-dns", "")).replace(",", " ").split())
    for part in side.pools:
        garden = part.use == "garden"
        for prefix in part.prefixes:
            network = ipaddress.IPv4Network(prefix)
            gateway = _gateway(part, network)
            yield Subnet(
                number=int(network.network_address),
                prefix=str(network),
                pool=part.pool,
                gateway=gateway,
                ranges=tuple(_ranges(network, gateway)) if part.allocate == "nas" else (),
                dns=(garden_dns or resolvers) if garden else resolvers,
                lease=leases[1] if garden else leases[0],
                garden=garden,
                open=garden and opened,
            )


def _gateway(part: PoolPart, network: ipaddress.IPv4Network) -> str:
    """The pool's own gateway where it is of the prefix, else the prefix's first address."""
    if part.gateway is not None and ipaddress.ip_address(part.gateway) in network:
        return str(part.gateway)
    return str(network[0] if network.prefixlen >= 31 else network[1])


def _ranges(network: ipaddress.IPv4Network, gateway: str) -> Iterator[str]:
    """All addresses but the network's own, its broadcast and the gateway, as `first-last`."""
    if network.prefixlen >= 31:
        return
    first, last, middle = int(network[1]), int(network[-2]), int(ipaddress.IPv4Address(gateway))
    for low, high in ((first, middle - 1), (middle + 1, last)):
        if low <= high:
            yield f"{ipaddress.IPv4Address(low)}-{ipaddress.IPv4Address(high)}"


def _unknown(model: DeviceModel) -> str:
    said = str(model.device.options.get("unknown", "nothing"))
    if said not in ("nothing", "garden"):
        raise CannotRender(model.id, f"options unknown is '{said}'; it is nothing or garden")
    return said


def _seconds(model: DeviceModel, option: str, default: int) -> int:
    said = model.device.options.get(option, default)
    if isinstance(said, bool) or not isinstance(said, int) or not _SHORTEST <= said <= _LONGEST:
        why = f"options {option} is {said}; it is a number of seconds, {_SHORTEST} to {_LONGEST}"
        raise CannotRender(model.id, why)
    return said
