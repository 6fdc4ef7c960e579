"""network/edges/<id>.yaml: who terminates an access area; services never name a BNG."""

from typing import Annotated, Literal

from msgspec import Meta

from intents.scalars import Address, Id, Line, Prefix, VlanSet, Word
from intents.structs import Intent


class EdgeBng(Intent, frozen=True, kw_only=True):
    """A BNG and the port that faces the access area; the highest priority is active."""

    device: Id
    port: Word
    priority: Annotated[int, Meta(ge=1, le=255, description="a priority, 1 to 255")] = 100


class EdgePools(Intent, frozen=True, kw_only=True):
    """Pools by use."""

    cgnat: Id | None = None
    public: Id | None = None
    pd: Id | None = None
    wan6: Id | None = None
    garden: Id | None = None


class Garden(Intent, frozen=True, kw_only=True):
    """The walled garden: the page that says why, and what stays reachable."""

    page: Address | None = None
    url: Line | None = None
    allow: tuple[Prefix, ...] = ()


class Edge(Intent, frozen=True, kw_only=True):
    """An access area's termination. `vrf`: the routing table that subscribers are put into, in the BNG's words (a
    name; on an AP the VLAN, on Nokia the service number); none: the BNG's own. `dhcp`: the DHCP servers that its
    IPoE subscribers' BNG relays to (option 82).
    """

    bngs: tuple[EdgeBng, ...]
    redundancy: Literal["none", "active-standby", "active-active"] = "none"
    methods: tuple[Literal["pppoe", "ipoe", "l2tp"], ...] = ("pppoe",)
    svlans: VlanSet | None = None
    pools: EdgePools = EdgePools()
    dns: tuple[Address, ...] = ()
    garden: Garden | None = None
    vrf: Word | None = None
    dhcp: tuple[Id, ...] = ()
