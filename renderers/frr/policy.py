"""What passes between us and a neighbour in another AS, as prefix-lists and route-maps (RFC 8212: else nothing)."""

import ipaddress

import msgspec

from inventory.model import EbgpNeighbour
from renderers.frr.escape import name

_BACKUP_IN = ("set local-preference 50",)  # RFC 4271 5.1.5: everybody here prefers the primary (default 100)
_BACKUP_OUT = ("set metric 100",)  # RFC 4271 5.1.4: asks the neighbour to prefer the session without a metric
_EVERYTHING = {4: "0.0.0.0/0 le 32", 6: "::/0 le 128"}


class PrefixList(msgspec.Struct, frozen=True):
    """Named prefixes of one family; `entries` as FRR writes them after `permit`. Empty: nothing passes.

    `sets` is what the route-map of that name does to them.
    """

    name: str
    family: str
    entries: tuple[str, ...]
    sets: tuple[str, ...] = ()


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """An eBGP neighbour, ready for the template. `family` is FRR's word: ip | ipv6."""

    address: str
    asn: int
    description: str
    password: str
    family: str
    originate_default: bool
    maximum: int | None
    accepts: PrefixList
    announces: PrefixList


def peer_of(neighbour: EbgpNeighbour, password: str) -> Peer:
    """A session carries the family of its own address."""
    version = ipaddress.ip_address(neighbour.address).version
    stem = name(f"{neighbour.service or f'AS{neighbour.asn}'}-{neighbour.address}")
    family = "ip" if version == 4 else "ipv6"
    return Peer(
        address=neighbour.address,
        asn=neighbour.asn,
        description=neighbour.description,
        password=password,
        family=family,
        originate_default=neighbour.send == "default",
        maximum=neighbour.max_v4 if version == 4 else neighbour.max_v6,
        accepts=PrefixList(
            f"{stem}-in",
            family,
            of_version(neighbour.accept, version),
            _BACKUP_IN if neighbour.backup else (),
        ),
        announces=PrefixList(
            f"{stem}-out", family, _announced(neighbour, version), _BACKUP_OUT if neighbour.backup else ()
        ),
    )


def _announced(neighbour: EbgpNeighbour, version: int) -> tuple[str, ...]:
    if neighbour.send == "full":
        return (_EVERYTHING[version],)
    if neighbour.send == "default":
        return ("0.0.0.0/0" if version == 4 else "::/0",)
    return of_version(neighbour.announce, version) if neighbour.send == "listed" else ()


def of_version(prefixes: tuple[str, ...], version: int) -> tuple[str, ...]:
    """The prefixes of one family, in order, each once."""
    networks = {ipaddress.ip_network(str(prefix)) for prefix in prefixes}
    return tuple(str(net) for net in sorted((n for n in networks if n.version == version), key=_order))


def _order(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[int, int]:
    return int(network.network_address), network.prefixlen
