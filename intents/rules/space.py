"""Address space: pools, prefixes of links and interfaces, fixed addresses."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from intents import kinds
from intents.checks import Finding, Scope, check
from intents.kind import Claim
from intents.reader import Claimed, Reader
from intents.rules.unique import others

_SPACES = ("pool", "net", "fixed")


@check("space")
def space(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """Every claim of addresses against the three kinds of claims."""
    for kind in ("pool", "link", "device", "service"):
        for identifier, value in scope.of(reader, kind):
            for claim in kinds.KINDS[kind].claims(identifier, value):
                if claim.scope[:-1] in _SPACES:
                    yield from _against(reader, scope, Claimed(kind, identifier, claim.field), claim)


def _against(reader: Reader, scope: Scope, own: Claimed, claim: Claim) -> Iterator[Finding]:
    mine, family = claim.scope[:-1], claim.scope[-1]
    for theirs in _SPACES:
        for other in others(reader, scope, own, claim._replace(scope=f"{theirs}{family}")):
            found = _collision(reader, (mine, own), (theirs, other))
            if found is not None:
                code, message = found
                yield Finding(code, own.kind, own.id, claim.field, message, others=(other[:2],))


def _collision(
    reader: Reader, mine: tuple[str, Claimed], theirs: tuple[str, Claimed]
) -> tuple[str, str] | None:
    own, other = mine[1], theirs[1]
    name = f"{other.kind} {other.id}"
    match sorted((mine[0], theirs[0])):
        case ["pool", "pool"]:
            return "pool.overlap", f"overlaps {name}"
        case ["net", "pool"]:
            pool = own if mine[0] == "pool" else other
            return None if _infrastructure(reader, pool) else ("pool.overlap", f"overlaps {name}")
        case ["net", "net"]:
            return None if _one_segment(reader, own, other) else ("prefix.overlap", f"overlaps {name}")
        case ["fixed", "fixed"]:
            return "fixed.twice", f"{name} has this address already"
        case ["fixed", "net"]:
            return "fixed.prefix", f"lies in the prefix of {name}" if mine[
                0
            ] == "fixed" else f"covers that of {name}"
    pool = own if mine[0] == "pool" else other
    if not _dynamic(reader, pool):
        return None
    return "fixed.pool", _fixed_sentence(name, mine[0], reader.get("pool", pool.id))


def _fixed_sentence(name: str, mine: str, pool: Any) -> str:
    if mine == "fixed":
        return f"lies in {name}, which gives addresses by itself (allocate: {pool.allocate})"
    return f"{name} has a fixed address in this pool, which gives addresses by itself (allocate: {pool.allocate})"


def _infrastructure(reader: Reader, owner: Claimed) -> bool:
    pool = reader.get("pool", owner.id)
    return pool is not None and pool.use == "infrastructure"


def _dynamic(reader: Reader, owner: Claimed) -> bool:
    pool = reader.get("pool", owner.id)
    return pool is not None and (pool.allocate != "intent" or owner.field[:1] == ("nat",))


def _one_segment(reader: Reader, one: Claimed, other: Claimed) -> bool:
    """Ports of devices may share a segment: one network, two addresses."""
    if one.kind != "device" or other.kind != "device" or "loopback" in (one.field[0], other.field[0]):
        return False
    first, second = (ipaddress.ip_interface(_address(reader, owner)) for owner in (one, other))
    return first.network == second.network and first.ip != second.ip


def _address(reader: Reader, owner: Claimed) -> str:
    port = reader.get("device", owner.id).interfaces[owner.field[1]]
    return str(getattr(port, str(owner.field[2])))
