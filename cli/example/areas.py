"""The two access areas, west and north of Perth: edges, pools, and the address space of each.

Ranges are those for examples: 203.0.113.0/24 (RFC 5737), 2001:db8::/32 (RFC 3849), and 100.64.0.0/10 (RFC 6598) behind
NAT.
"""

import msgspec

from cli.example.options import ExampleOptions
from intents.edge.schema import Edge, EdgeBng, EdgePools, Garden
from intents.pool.schema import Nat, Pool
from intents.scalars import Address, Prefix, VlanSet

DNS = (Address("198.51.100.53"), Address("2001:db8:53::53"))
PAGE = "198.51.100.80"


class Area(msgspec.Struct, frozen=True):
    """An access area: its edge's id, place in the address plan, and BNGs, the active one first."""

    edge: str
    index: int
    bngs: tuple[str, str]
    router: str
    svlan: int
    """Its first S-VLAN."""


AREAS = (
    Area("perth-west", 0, ("bng1", "bng2"), "perth1", 100),
    Area("perth-north", 1, ("bng2", "bng1"), "perth2", 1500),
)


def access_port(area: Area, bng: str) -> str:
    """eth1 where the BNG is the active one, eth3 where it stands by."""
    return "eth1" if bng == area.bngs[0] else "eth3"


def bngs_of(area: Area, options: ExampleOptions) -> tuple[str, ...]:
    """The BNGs that terminate an area."""
    return area.bngs if options.redundant else area.bngs[:1]


def edge_of(area: Area, svlans: list[int], options: ExampleOptions) -> Edge:
    """The edge; `svlans` are those of its PONs, sectors and shared VLANs."""
    bngs = bngs_of(area, options)
    return Edge(
        bngs=tuple(
            EdgeBng(device=bng, port=access_port(area, bng), priority=200 - 100 * rank)
            for rank, bng in enumerate(bngs)
        ),
        redundancy="active-standby" if len(bngs) > 1 else "none",
        methods=("pppoe", "ipoe"),
        svlans=VlanSet.parse(_ranges(svlans)) if options.vlans else None,
        pools=EdgePools(**{use: f"{area.edge}-{use}" for use in ("cgnat", "public", "pd", "wan6", "garden")}),
        dns=DNS,
        garden=Garden(page=Address(PAGE), url=options.garden_url, allow=(Prefix(f"{PAGE}/32"),)),
    )


def _ranges(vlans: list[int]) -> list[str]:
    found: list[list[int]] = []
    for vlan in sorted(set(vlans)):
        if found and vlan == found[-1][1] + 1:
            found[-1][1] = vlan
        else:
            found.append([vlan, vlan])
    return [f"{low}-{high}" for low, high in found]


def pools_of(area: Area, options: ExampleOptions) -> dict[str, Pool]:
    """The area's pools by id. What a NAS gives out is split between its BNGs; what intents fix belongs to the first."""
    n, bngs = area.index, bngs_of(area, options)
    public, homes = Prefix(f"203.0.113.{64 * n}/26"), Prefix(f"2001:db8:{0x4000 + 0x100 * n:x}::/40")
    return {
        f"{area.edge}-cgnat": Pool(
            family="ipv4", use="cgnat", allocate="nas",
            split={bng: (Prefix(f"100.{64 + 2 * n + rank}.0.0/16"),) for rank, bng in enumerate(bngs)},
            nat=Nat(public=(Prefix(f"203.0.113.{128 + 64 * n}/26"),)),
        ),
        f"{area.edge}-public": Pool(
            family="ipv4", use="public", allocate="intent",
            prefixes=(public,), split={bngs[0]: (public,)},
        ),
        f"{area.edge}-pd": Pool(
            family="pd", use="public", allocate="intent", length=56,
            prefixes=(homes,), split={bngs[0]: (homes,)},
        ),
        f"{area.edge}-wan6": Pool(
            family="wan6", use="public", allocate="nas", length=64,
            split={
                bng: (Prefix(f"2001:db8:{0x6000 + 0x100 * (2 * n + rank):x}::/44"),) for rank, bng in enumerate(bngs)
            },
        ),
        f"{area.edge}-garden": Pool(
            family="ipv4", use="garden", allocate="nas",
            split={bng: (Prefix(f"100.{124 + n}.{64 * rank}.0/18"),) for rank, bng in enumerate(bngs)},
        ),
    }  # fmt: skip


def fixed_v4(area: Area, number: int) -> str | None:
    """The area's fixed address `number` (from 0); None when the range is used up."""
    return f"203.0.113.{64 * area.index + 1 + number}" if number < 62 else None


def delegated(area: Area, number: int) -> str:
    """The area's delegated /56 `number` (from 0)."""
    return f"2001:db8:{0x4000 + 0x100 * area.index + (number >> 8):x}:{(number & 0xFF) << 8:x}::/56"
