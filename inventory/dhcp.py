"""What a DHCP server serves: the edges that name it, and the BNGs that relay to it (RFC 3046)."""

from collections.abc import Iterator

from intents.device.schema import Device
from intents.edge.schema import Edge
from intents.reader import Reader
from inventory.model import DhcpSide
from inventory.references import referring
from inventory.subscribers import pool_parts


def dhcp_of(reader: Reader, device_id: str) -> tuple[DhcpSide, ...]:
    """Every edge that the server serves, once for each of its BNGs, ordered by edge."""
    return tuple(
        _side(reader, edge_id, edge, bng.device)
        for edge_id, edge in referring(reader, "device", device_id, "edge")
        if device_id in edge.dhcp
        for bng in edge.bngs
    )


def _side(reader: Reader, edge_id: str, edge: Edge, bng_id: str) -> DhcpSide:
    parts = tuple(part for part in pool_parts(reader, edge, bng_id) if part.family == "ipv4")
    return DhcpSide(
        edge_id=edge_id,
        edge=edge,
        bng=bng_id,
        relays=tuple(dict.fromkeys(_relays(reader.get("device", bng_id)))),
        pools=parts,
    )


def _relays(bng: Device | None) -> Iterator[str]:
    """What a BNG relays from beside the gateways of its pools: its loopback, and the gateway of its sessions."""
    if bng is None:
        return
    if bng.bng is not None and bng.bng.gateway is not None:
        yield str(bng.bng.gateway)
    if bng.loopback is not None and bng.loopback.v4 is not None:
        yield str(bng.loopback.v4).split("/")[0]
