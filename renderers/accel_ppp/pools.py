"""Pools in accel-ppp's words: IPv4 ranges within a /24, IPv6 prefixes cut to a length ([ip-pool], [ipv6-pool])."""

import ipaddress
from collections.abc import Iterator

import msgspec

from inventory.model import DeviceModel, PoolPart
from renderers.contract import CannotRender

MOST_BITS = 24
"""accel-ppp keeps a bit (1.14.0: a structure) per prefix and refuses pools of more than 2^24."""


class Range(msgspec.Struct, frozen=True):
    """Addresses of one pool: `x.x.x.a-b`, as its parser wants them, or `x.x.x.x/32` for one alone."""

    pool: str
    addresses: str


class Prefixes(msgspec.Struct, frozen=True):
    """An IPv6 prefix from which subscribers get prefixes of `length`; `delegated` by DHCPv6 or announced."""

    pool: str
    prefix: str
    length: int
    delegated: bool


class Gateway(msgspec.Struct, frozen=True):
    """The BNG's own address in a subscriber prefix, told to DHCP clients."""

    address: str
    length: int


def gateways_of(parts: list[PoolPart]) -> tuple[Gateway, ...]:
    """One per IPv4 prefix: the part's own where it lies in there, otherwise the prefix' first address."""
    found = []
    for part in parts:
        for prefix in part.prefixes:
            network = ipaddress.IPv4Network(prefix)
            own = part.gateway and ipaddress.IPv4Address(part.gateway) in network
            first = network[1] if network.num_addresses > 1 else network[0]
            found.append(Gateway(str(part.gateway if own else first), network.prefixlen))
    return tuple(dict.fromkeys(found))


def ranges_of(parts: list[PoolPart], taken: set[str]) -> Iterator[Range]:
    """What the BNG gives out: never `taken`, never .0 or .255, which some subscribers' equipment cannot live with."""
    for part in parts:
        for prefix in part.prefixes if part.allocate == "nas" else ():
            for block in _blocks(ipaddress.IPv4Network(prefix)):
                yield from (Range(part.pool, run) for run in _runs(block, taken))


def _blocks(network: ipaddress.IPv4Network) -> Iterator[ipaddress.IPv4Network]:
    if network.prefixlen >= 24:
        yield network
    else:
        yield from network.subnets(new_prefix=24)


def _runs(block: ipaddress.IPv4Network, taken: set[str]) -> Iterator[str]:
    base = str(block[0]).rpartition(".")[0]
    lasts = [address.packed[3] for address in block if str(address) not in taken]
    usable = [last for last in lasts if last not in (0, 255)]
    start = previous = None
    for last in [*usable, None]:
        if start is not None and previous is not None and (last is None or last != previous + 1):
            yield f"{base}.{start}/32" if start == previous else f"{base}.{start}-{previous}"
            start = None
        start = last if start is None else start
        previous = last


def prefixes_of(model: DeviceModel, parts: list[PoolPart]) -> Iterator[Prefixes]:
    """The IPv6 pools. Raises CannotRender for one that accel-ppp would refuse or that says no length."""
    for part in parts:
        length = part.length or (64 if part.family == "wan6" else None)
        if length is None:
            raise CannotRender(model.id, f"pool {part.pool} says no length of what it delegates")
        for prefix in part.prefixes if part.allocate == "nas" else ():
            bits = length - ipaddress.IPv6Network(prefix).prefixlen
            if not 0 <= bits <= MOST_BITS:
                why = f"{prefix} of pool {part.pool} has 2^{bits} prefixes of /{length}; accel-ppp takes up to 2^24"
                raise CannotRender(model.id, why)
            yield Prefixes(part.pool, prefix, length, part.family == "pd")
