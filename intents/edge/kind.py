"""Edges as a kind: they refer to BNGs and pools."""

from collections.abc import Iterator

from intents.edge.schema import Edge
from intents.kind import Complaint, Kind, Reference

POOL_USES = ("cgnat", "public", "pd", "wan6", "garden")


def references(_id: str, edge: Edge) -> Iterator[Reference]:
    """Its BNGs, DHCP servers and pools."""
    for index, bng in enumerate(edge.bngs):
        yield Reference("device", bng.device, ("bngs", index, "device"))
    for index, server in enumerate(edge.dhcp):
        yield Reference("device", server, ("dhcp", index))
    for use in POOL_USES:
        pool = getattr(edge.pools, use)
        if pool is not None:
            yield Reference("pool", pool, ("pools", use))


def complaints(edge: Edge) -> Iterator[Complaint]:
    """Redundancy needs two BNGs, and one BNG stands there once."""
    if not edge.bngs:
        yield Complaint("edge.bngs", ("bngs",), "an edge needs a BNG")
    if edge.redundancy != "none" and len(edge.bngs) < 2:
        yield Complaint("edge.redundancy", ("redundancy",), f"redundancy {edge.redundancy} needs two BNGs")
    seen: set[tuple[str, str]] = set()
    for index, bng in enumerate(edge.bngs):
        if (bng.device, bng.port) in seen:
            yield Complaint("edge.bngs", ("bngs", index), f"{bng.device} {bng.port} is in the list twice")
        seen.add((bng.device, bng.port))
    if edge.dhcp and "ipoe" not in edge.methods:
        yield Complaint("edge.dhcp", ("dhcp",), "a DHCP server serves IPoE, and methods has no ipoe")


KIND = Kind(
    name="edge",
    struct=Edge,
    pattern="network/edges/{id}.yaml",
    plural="edges",
    references=references,
    complaints=complaints,
)
