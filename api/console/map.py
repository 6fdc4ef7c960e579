"""The map of the network: sites (or devices, where one site is all there is) and the links between them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from api.console.layout import HEIGHT, WIDTH, Place, Spot, lay_out
from api.devices.condition import WORST_FIRST, Tone
from api.devices.view import DeviceState
from intents.link.schema import Link
from intents.reader import Reader
from intents.site.schema import Site


class Node(NamedTuple):
    """A site or device on the map. `says` is its text for who points at it or listens."""

    id: str
    href: str
    spot: Spot
    tone: Tone
    says: str
    members: int


class Edge(NamedTuple):
    """One or more links between two nodes."""

    one: Spot
    other: Spot
    tone: str
    says: str


class Picture(NamedTuple):
    """Everything that is drawn."""

    width: float
    height: float
    nodes: list[Node]
    edges: list[Edge]


def picture(reader: Reader, devices: Sequence[DeviceState]) -> Picture:
    """The map of the indexed network."""
    sites: dict[str, Site] = dict(reader.all("site"))
    used = sorted({one.site for one in devices})
    by_site = len(used) > 1
    group = {one.id: one.site if by_site else one.id for one in devices}
    places = (
        tuple(_place(name, sites.get(name)) for name in used)
        if by_site
        else tuple(Place(one.id, one.id) for one in devices)
    )
    spots = lay_out(places)
    members: dict[str, list[DeviceState]] = {}
    for one in devices:
        members.setdefault(group[one.id], []).append(one)
    nodes = [_node(place, spots[place.id], members[place.id], by_site) for place in places]
    tones = {node.id: node.tone for node in nodes}
    links = [link for _, link in reader.all("link")]
    access = _access(reader, devices)
    return Picture(
        WIDTH, HEIGHT, nodes, [*_access_edges(access, group, spots), *_edges(links, group, spots, tones)]
    )


def worst(devices: Iterable[DeviceState]) -> Tone:
    """The tone that deserves attention first."""
    tones = {one.tone for one in devices}
    return next((tone for tone in WORST_FIRST if tone in tones), "off")


def _place(name: str, site: Site | None) -> Place:
    where = site.location if site is not None else None
    label = name if site is None else str(site.name)
    return Place(name, label, where.lat, where.lon) if where else Place(name, label)


def _node(place: Place, spot: Spot, members: list[DeviceState], by_site: bool) -> Node:
    states = ", ".join(f"{one.id} {one.label}" for one in members)
    href = f"#site-{place.id}" if by_site and len(members) > 1 else f"/devices/{members[0].id}"
    return Node(place.id, href, spot, worst(members), f"{place.label}: {states}", len(members))


def _edges(
    links: Iterable[Link], group: dict[str, str], spots: dict[str, Spot], tones: dict[str, Tone]
) -> list[Edge]:
    pairs: dict[tuple[str, str], list[Link]] = {}
    for link in links:
        ends = sorted({group[end.device] for end in link.ends if end.device in group})
        if len(ends) == 2:
            pairs.setdefault((ends[0], ends[1]), []).append(link)
    return [_edge(one, other, found, spots, tones) for (one, other), found in sorted(pairs.items())]


def _access(reader: Reader, devices: Sequence[DeviceState]) -> list[tuple[str, str]]:
    """(OLT or AP, BNG) pairs: an access area has no link files, its edge names who terminates it."""
    edges = dict(reader.all("edge"))
    found = []
    for one in devices:
        device = reader.get("device", one.id) if one.role in ("olt", "ap") else None
        part = None if device is None else device.olt or device.ap
        edge = None if part is None else edges.get(part.edge)
        found += [(one.id, bng.device) for bng in (edge.bngs if edge else ())]
    return found


def _access_edges(
    pairs: Iterable[tuple[str, str]], group: dict[str, str], spots: dict[str, Spot]
) -> list[Edge]:
    ends = {(group[one], group[other]) for one, other in pairs if other in group}
    return [
        Edge(spots[one], spots[other], "access", f"access of {one} by {other}")
        for one, other in sorted(ends)
        if one != other
    ]


def _edge(one: str, other: str, links: list[Link], spots: dict[str, Spot], tones: dict[str, Tone]) -> Edge:
    planned = all(link.state != "active" for link in links)
    tone = "planned" if planned else "bad" if "bad" in (tones[one], tones[other]) else "up"
    many = f", {len(links)} links" if len(links) > 1 else ""
    return Edge(
        spots[one], spots[other], tone, f"{spots[one].label or one} to {spots[other].label or other}{many}"
    )
