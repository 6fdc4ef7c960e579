"""network/links/<id>.yaml: what connects ports: routed, tagged transport, radio, or a wholesaler's handover."""

from typing import Annotated, Literal

from msgspec import Meta

from intents.device.routing import Metric
from intents.scalars import Id, Interface4, Interface6, Line, Mtu, Rate, Vlan, VlanSet, Word
from intents.structs import Intent


class LinkEnd(Intent, frozen=True, kw_only=True):
    """A port of a device; `svlan` when the link is one VLAN of it."""

    device: Id
    port: Word
    svlan: Vlan | None = None
    v4: Interface4 | None = None
    v6: Interface6 | None = None


class LinkMetric(Intent, frozen=True, kw_only=True):
    """Costs in both directions."""

    ospf: Metric | None = None


class Link(Intent, frozen=True, kw_only=True):
    """A link. `risk` names what fails together (ducts, fibres, sites)."""

    type: Literal["routed", "trunk", "radio", "handoff"]
    ends: Annotated[tuple[LinkEnd, ...], Meta(min_length=1, max_length=2, description="one or two ends")]
    state: Literal["planned", "active", "maintenance"] = "active"
    description: Line | None = None
    metric: LinkMetric = LinkMetric()
    capacity: Rate | None = None
    mtu: Mtu | None = None
    risk: tuple[Id, ...] = ()
    bfd: bool = False
    svlans: VlanSet | None = None
    partner: Id | None = None
    edge: Id | None = None
