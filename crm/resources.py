"""What a new service needs from the network: ONU id, C-VLAN, delegated prefix, fixed address.

Candidates that a file already claims are left out; the reservation in SQL keeps two orders apart. Both are of the
activation's own transaction; the committer still arbitrates when a person's pull request claims the same.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, cast

import msgspec
from sqlalchemy.engine import Connection

from core.ids import shard
from crm.access import Access, Existing, Gpon, Handoff, Options, Radio
from crm.errors import NotOrderable
from intents import claims
from intents.kind import Claim
from intents.reader import Reader
from inventory.allocation import reserve


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The access side of an order, looked up: the access, its edge, and the VLANs that its services get."""

    access: Access
    edge: Any
    svlan: int | None = None
    cvlans: Any = None
    split: int = 0
    managed: bool = False
    """Whether we write subscriber objects to the access device: then it confirms the activation."""
    circuit: bool = False
    """Whether the access node names the circuit, so that a login can be bound to it."""


class Reserved(msgspec.Struct, frozen=True, kw_only=True):
    """What was reserved."""

    onu: int | None = None
    cvlan: int | None = None
    prefix: str | None = None
    address: str | None = None


def place_of(reader: Reader, access: Access) -> Place:
    """Look up where an order ends. Raises NotOrderable, naming what is missing."""
    match access:
        case Existing():
            return _existing(reader, access)
        case Gpon():
            return _gpon(reader, access)
        case Radio():
            node = _device(reader, access.ap, "ap")
            sector = node.ap.sectors.get(access.sector)
            if sector is None:
                raise NotOrderable(f"access on {access.ap}", f"it has no sector '{access.sector}'")
            return Place(access=access, edge=reader.get("edge", node.ap.edge), svlan=sector.svlan)
        case Handoff():
            link = reader.get("link", access.link)
            if link is None or link.type != "handoff":
                raise NotOrderable(f"access on {access.link}", "there is no such handoff link")
            return Place(access=access, edge=reader.get("edge", link.edge or ""))


def reserve_for(
    conn: Connection, reader: Reader, place: Place, line: str, service: str, options: Options, kind: str
) -> Reserved:
    """Reserve everything for a service and, where it is new, its line. Raises NothingLeft, NotOrderable."""
    onu = cvlan = prefix = address = None
    if isinstance(place.access, Gpon):
        onu = _onu(conn, reader, place.access, place.split, line)
    if kind == "internet" and place.svlan is not None and place.cvlans:
        cvlan = _cvlan(conn, reader, place, service)
    if kind == "internet" and options.delegate:
        prefix = _prefix(conn, reader, place, service)
    if kind == "internet" and options.ipv4 == "fixed":
        address = _address(conn, reader, place, service)
    return Reserved(onu=onu, cvlan=cvlan, prefix=prefix, address=address)


def _gpon(reader: Reader, access: Gpon) -> Place:
    node = _device(reader, access.olt, "olt")
    pon = node.olt.pons.get(access.pon)
    if pon is None:
        raise NotOrderable(f"access on {access.olt}", f"it has no PON '{access.pon}'")
    return Place(
        access=access,
        edge=reader.get("edge", node.olt.edge),
        svlan=pon.svlan,
        cvlans=pon.cvlans,
        split=pon.split,
        managed=node.manage != "observe",
        circuit=bool(node.olt.circuit_id),
    )


def _existing(reader: Reader, access: Existing) -> Place:
    line = reader.get("line", access.line)
    if line is None or line.state == "ceased":
        raise NotOrderable(f"a service on line {access.line}", "there is no such line in use")
    asked: Access
    if line.type == "gpon":
        asked = Gpon(olt=line.olt, pon=line.pon, serial=line.serial or "")
    elif line.type == "radio":
        asked = Radio(ap=line.ap, sector=line.sector, mac="")
    else:
        asked = Handoff(link=line.link, svlan=line.svlan)
    return msgspec.structs.replace(place_of(reader, asked), access=access)


def _device(reader: Reader, device: str, role: str) -> Any:
    found = reader.get("device", device)
    if found is None or getattr(found, role) is None:
        raise NotOrderable(f"access on {device}", f"there is no such {role.upper()}")
    return found


def _onu(conn: Connection, reader: Reader, access: Gpon, split: int, line: str) -> int:
    scope = f"onu:{access.olt}/{access.pon}"
    ids = (claims.exactly(scope, f"{onu:04d}", ()) for onu in range(split))
    return int(reserve(conn, scope, line, (str(int(claim.low)) for claim in _free(reader, ids))))


def _cvlan(conn: Connection, reader: Reader, place: Place, service: str) -> int:
    low_highs: Iterable[tuple[int, int]] = place.cvlans
    tags = chain.from_iterable(range(low, high + 1) for low, high in low_highs)
    candidates = (claims.vlan("cvlan", place.svlan, tag, ()) for tag in tags)
    wanted = (str(int(claim.low.split(".")[1])) for claim in _free(reader, candidates))
    return int(reserve(conn, f"cvlan:{place.svlan}", service, wanted))


def _prefix(conn: Connection, reader: Reader, place: Place, service: str) -> str | None:
    """A delegated prefix, where the edge's pool is one that intents allocate from."""
    name = place.edge.pools.pd if place.edge is not None else None
    pool = reader.get("pool", name) if name else None
    if pool is None or pool.allocate != "intent" or pool.length is None:
        return None
    networks = _subnets([str(prefix) for prefix in pool.prefixes], pool.length, service)
    wanted = (network for network in networks if _is_free(reader, claims.prefix("fixed", network, ())))
    return reserve(conn, f"pool:{name}", service, wanted)


def _address(conn: Connection, reader: Reader, place: Place, service: str) -> str:
    name = place.edge.pools.public if place.edge is not None else None
    pool = reader.get("pool", name) if name else None
    if pool is None or pool.allocate != "intent":
        raise NotOrderable("a fixed address", "the edge has no public pool with 'allocate: intent'")
    hosts = chain.from_iterable(ipaddress.ip_network(str(prefix)).hosts() for prefix in pool.prefixes)
    taken = str(pool.gateway or "")
    wanted = (
        str(host)
        for host in hosts
        if str(host) != taken and _is_free(reader, claims.address("fixed", str(host), ()))
    )
    return reserve(conn, f"pool:{name}", service, wanted)


def _subnets(prefixes: Iterable[str], length: int, service: str) -> Iterator[str]:
    """All prefixes of a length, from a place that the service's id decides: nobody searches through those given."""
    for prefix in prefixes:
        whole = ipaddress.ip_network(prefix)
        count = 2 ** (length - whole.prefixlen)
        first = int(shard(service).replace("/", ""), 16) * count // 65_536
        step = whole.num_addresses // count
        for number in range(count):
            base = int(whole.network_address) + (first + number) % count * step
            yield f"{ipaddress.ip_address(base)}/{length}"


def _free(reader: Reader, wanted: Iterable[Claim]) -> Iterator[Claim]:
    return (claim for claim in wanted if _is_free(reader, claim))


def _is_free(reader: Reader, claim: Claim) -> bool:
    return (
        next(iter(cast(Iterable[Any], reader.claims_overlapping(claim.scope, claim.low, claim.high))), None)
        is None
    )
