"""Pools as a kind: they claim address space and refer to the BNGs that have a part."""

import ipaddress
from collections.abc import Iterator

from intents import claims as spelling
from intents.kind import Claim, Complaint, Field, Kind, Reference
from intents.pool.schema import Pool
from intents.spans import Span, Spans


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
    """Its address space, and the public side of its NAT; a part of `split` inside the whole counts once."""
    whole = Spans(_claimed(prefix, field) for prefix, field in prefixes(pool) if field[0] == "prefixes")
    for prefix, field in prefixes(pool):
        claim = spelling.prefix("pool", prefix, field)
        inside = (
            span.low <= claim.low and claim.high <= span.high
            for span in whole.overlapping(claim.low, claim.high)
        )
        if field[0] == "prefixes" or not any(inside):
            yield claim
    for index, prefix in enumerate(pool.nat.public if pool.nat else ()):
        yield spelling.prefix("pool", prefix, ("nat", "public", index))


def _claimed(prefix: str, field: Field) -> Span:
    claim = spelling.prefix("pool", prefix, field)
    return Span(claim.low, claim.high, claim.scope, prefix, field)


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
    """Prefixes nest or are apart, so in order of their beginnings each need only be held against the widest before."""
    widest: dict[tuple[str, str], Span] = {}
    for span in sorted(_claimed(prefix, field) for prefix, field in spaces):
        group = (span.kind, str(span.field[0]))
        before = widest.get(group)
        if before is not None and span.low <= before.high:
            yield Complaint("pool.overlap", span.field, f"{span.id} overlaps {before.id} in this pool")
        if before is None or span.high > before.high:
            widest[group] = span


KIND = Kind(
    name="pool",
    struct=Pool,
    pattern="network/pools/{id}.yaml",
    plural="pools",
    references=references,
    claims=claims,
    complaints=complaints,
)
