"""From a mended graph to intents: a site and a router for every node, a link for every edge, OSPF and iBGP."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from intents.device.routing import Ibgp, Ospf, Routing
from intents.device.schema import Device, Loopback, Manage, Management
from intents.link.schema import Link, LinkEnd, LinkMetric
from intents.scalars import Rate
from intents.site.schema import Location, Site
from inventory.graph import addressing
from inventory.graph.capacity import metric_of
from inventory.graph.graph import Edge, Graph, Node
from inventory.graph.names import unique
from inventory.graph.reflectors import ibgp_of

Documents = dict[tuple[str, str], Any]
"""Values by (kind, id)."""


class PlanOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How routers are written; OSPF times in seconds."""

    platform: str = "frr"
    manage: Manage = "observe"
    hello: int = 10
    dead: int = 40


def plan_network(graph: Graph, options: PlanOptions = PlanOptions()) -> Documents:  # noqa: B008 - it is frozen
    """Sites, devices and links by (kind, id). Deterministic; every node gives a site and a device of its id."""
    own = {node.id for node in graph.nodes if node.internal}
    inner = [edge for edge in graph.edges if edge.a in own and edge.b in own]
    ibgp = ibgp_of([node for node in graph.nodes if node.internal], inner)
    documents: Documents = {}
    for number, node in enumerate(graph.nodes, 1):
        documents["site", node.id] = _site(node)
        documents["device", node.id] = _device(number, node, ibgp.get(node.id), options)
    return documents | dict(_links(graph.edges, own))


def _site(node: Node) -> Site:
    place = None if node.lat is None or node.lon is None else Location(lat=node.lat, lon=node.lon)
    return Site(name=node.name, location=place)


def _device(number: int, node: Node, ibgp: Ibgp | None, options: PlanOptions) -> Device:
    if not node.internal:
        return Device(site=node.id, role="router", platform=options.platform, state="planned")
    v4, v6 = addressing.loopback(number)
    return Device(
        site=node.id,
        role="router",
        platform=options.platform,
        manage=options.manage,
        management=Management(address=addressing.management(number)),
        loopback=Loopback(v4=v4, v6=v6),
        routing=Routing(ospf=Ospf(hello=options.hello, dead=options.dead), ibgp=ibgp),
    )


def _links(edges: tuple[Edge, ...], own: set[str]) -> Iterator[tuple[tuple[str, str], Link]]:
    ports: Counter[str] = Counter()
    taken: dict[str, int] = {}
    for number, edge in enumerate(edges):
        ends = []
        for device, (v4, v6) in zip((edge.a, edge.b), addressing.link(number), strict=True):
            ends.append(LinkEnd(device=device, port=f"eth{ports[device]}", v4=v4, v6=v6))
            ports[device] += 1
        name = unique(f"{edge.a}--{edge.b}", taken, "--")
        yield ("link", name), _link(edge, (ends[0], ends[1]), own)


def _link(edge: Edge, ends: tuple[LinkEnd, LinkEnd], own: set[str]) -> Link:
    capacity = None if edge.capacity is None else Rate(edge.capacity)
    if edge.a in own and edge.b in own:
        metric = LinkMetric(ospf=metric_of(edge.capacity))
        return Link(type="routed", ends=ends, metric=metric, capacity=capacity)
    outside = edge.b if edge.a in own else edge.a
    return Link(type="handoff", ends=ends, state="planned", partner=outside, capacity=capacity)
