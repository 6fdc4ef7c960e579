"""Pools as a kind: they claim address space and refer to the BNGs that have a part."""

import ipaddress
from collections.abc import Iterator

from intents import claims as spelling
from intents.kind import Claim, Complaint, Field, Kind, Reference
from intents.pool.schema import Pool


def references(_id: str, pool: Pool) -> Iterator[Reference]:
    """The devices that have a part."""
    for device in pool.split:
        yield Reference("device", device, ("split", device))


def prefixes(pool: Pool) -> Iterator[tuple[str, Field]]:
    """Every prefix that subscribers get addresses from, and where it stands."""
    for index, prefix in enumerate(pool.prefixes):
        yield prefix, ("prefixes", index)
    for device, parts in pool.split.items():
        for index, prefix in enumerate(parts):
            yield prefix, ("split", device, index)


def claims(_id: str, pool: Pool) -> Iterator[Claim]:
    """Its address space, and the public side of its NAT."""
    for prefix, field in prefixes(pool):
        if not _inside_own(pool, prefix, field):
            yield spelling.prefix("pool", prefix, field)
    for index, prefix in enumerate(pool.nat.public if pool.nat else ()):
        yield spelling.prefix("pool", prefix, ("nat", "public", index))


def _inside_own(pool: Pool, prefix: str, field: Field) -> bool:
    if field[0] != "split":
        return False
    return any(_covers(own, prefix) for own in pool.prefixes)


def _covers(outer: str, inner: str) -> bool:
    one, other = ipaddress.ip_network(outer), ipaddress.ip_network(inner)
    return one.version == other.version and other.subnet_of(one)  # type: ignore[arg-type]


def complaints(pool: Pool) -> Iterator[Complaint]:
    """Prefixes of the right family, not one in another, and parts inside the whole."""
    spaces = list(prefixes(pool))
    if not spaces:
        yield Complaint("pool.empty", (), "a pool needs `prefixes` or `split`")
    version = 4 if pool.family == "ipv4" else 6
    for prefix, field in spaces:
        if ipaddress.ip_network(prefix).version != version:
            yield Complaint("pool.family", field, f"{prefix} is not of family {pool.family}")
    if pool.family == "pd" and pool.length is None:
        yield Complaint("pool.length", ("family",), "a pool of delegated prefixes needs `length`, such as 56")
    yield from _too_long(pool)
    yield from _twice(spaces)


def _too_long(pool: Pool) -> Iterator[Complaint]:
    for prefix, _field in prefixes(pool):
        if pool.length is not None and pool.length < ipaddress.ip_network(prefix).prefixlen:
            yield Complaint("pool.length", ("length",), f"a /{pool.length} does not fit in {prefix}")


def _twice(spaces: list[tuple[str, Field]]) -> Iterator[Complaint]:
    for position, (prefix, field) in enumerate(spaces):
        for earlier, other in spaces[:position]:
            if field[0] == other[0] and (_covers(earlier, prefix) or _covers(prefix, earlier)):
                yield Complaint("pool.overlap", field, f"{prefix} overlaps {earlier} in this pool")


KIND = Kind(
    name="pool",
    struct=Pool,
    pattern="network/pools/{id}.yaml",
    plural="pools",
    references=references,
    claims=claims,
    complaints=complaints,
)
