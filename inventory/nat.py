"""Carrier-grade NAT by rule: which public address and ports an inside address has (RFC 7422). Pure arithmetic.

The rule: every public address has the ports from 1024 on in blocks of `ports`, as many as fit. The pool's prefixes are
counted through address by address, in their written order, and get block after block, address after address of the
public prefixes. A pool with `split` counts each BNG's part (by device id) on its own and begins it at a new public
address, so that a public address is only ever at one BNG.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network

import msgspec

from intents.pool.schema import Pool

FIRST_PORT = 1024
_PORTS = 65536


class Outside(msgspec.Struct, frozen=True):
    """What an inside address has: a public address and its ports, both ends included."""

    address: str
    first: int
    last: int


def outside(pool: Pool, inside: str) -> Outside | None:
    """Where an inside address comes out; None when the pool has no deterministic NAT, or no room for it."""
    address = IPv4Address(inside)
    for prefixes, base in _parts(pool):
        place = _index(prefixes, address)
        if place is not None:
            return _outside(pool, base, place)
    return None


def inside(pool: Pool, public: str, port: int) -> str | None:
    """Whose a public address and port is: the inside address; None when nobody has that port."""
    place = _index(_public(pool), IPv4Address(public))
    if place is None or port < FIRST_PORT:
        return None
    blocks, ports = _blocks(pool), _nat_ports(pool)
    block = (port - FIRST_PORT) // ports
    if block >= blocks:
        return None
    for prefixes, base in reversed(list(_parts(pool))):
        if place >= base:
            found = _at(prefixes, (place - base) * blocks + block)
            return None if found is None else str(found)
    return None


def needed(pool: Pool) -> tuple[int, int]:
    """(public addresses that the rule needs, public addresses that the pool has); (0, 0) without the rule."""
    if not is_deterministic(pool):
        return 0, 0
    parts = list(_parts(pool))
    prefixes, base = parts[-1] if parts else ([], 0)
    return base + _addresses(prefixes, _blocks(pool)), sum(one.num_addresses for one in _public(pool))


def is_deterministic(pool: Pool) -> bool:
    """Whether the rule holds for this pool."""
    return pool.nat is not None and pool.nat.mode == "deterministic" and pool.family == "ipv4"


def is_public_of(pool: Pool, address: str) -> bool:
    """Whether an address is one of the public ones that the pool's NAT uses."""
    return _index(_public(pool), IPv4Address(address)) is not None


def _outside(pool: Pool, base: int, place: int) -> Outside | None:
    blocks, ports = _blocks(pool), _nat_ports(pool)
    address = _at(_public(pool), base + place // blocks)
    if address is None:
        return None
    first = FIRST_PORT + place % blocks * ports
    return Outside(str(address), first, first + ports - 1)


def _parts(pool: Pool) -> Iterator[tuple[list[IPv4Network], int]]:
    """(inside prefixes, number of their first public address) of each part."""
    if not is_deterministic(pool):
        return
    base, blocks = 0, _blocks(pool)
    for part in [pool.split[device] for device in sorted(pool.split)] or [pool.prefixes]:
        prefixes = [IPv4Network(prefix) for prefix in part]
        yield prefixes, base
        base += _addresses(prefixes, blocks)


def _addresses(prefixes: Sequence[IPv4Network], blocks: int) -> int:
    return -(-sum(prefix.num_addresses for prefix in prefixes) // blocks)


def _blocks(pool: Pool) -> int:
    return max(1, (_PORTS - FIRST_PORT) // _nat_ports(pool))


def _nat_ports(pool: Pool) -> int:
    return min(pool.nat.ports if pool.nat else _PORTS, _PORTS - FIRST_PORT)


def _public(pool: Pool) -> list[IPv4Network]:
    return [IPv4Network(prefix) for prefix in (pool.nat.public if pool.nat else ())]


def _index(prefixes: Sequence[IPv4Network], address: IPv4Address) -> int | None:
    before = 0
    for prefix in prefixes:
        if address in prefix:
            return before + int(address) - int(prefix.network_address)
        before += prefix.num_addresses
    return None


def _at(prefixes: Sequence[IPv4Network], place: int) -> IPv4Address | None:
    for prefix in prefixes:
        if place < prefix.num_addresses:
            return prefix[place]
        place -= prefix.num_addresses
    return None
