"""Who speaks iBGP with whom: everybody with everybody in a small network, route reflectors in a bigger one."""

from intents.device.routing import Ibgp
from inventory.graph.graph import Edge, Node, parts

LARGEST_MESH = 8
"""More routers than this get two reflectors (RFC 4456)."""


def ibgp_of(nodes: list[Node], edges: list[Edge]) -> dict[str, Ibgp]:
    """iBGP by node id, for every connected part by itself; a router alone has none."""
    near: dict[str, set[str]] = {node.id: set() for node in nodes}
    for edge in edges:
        near[edge.a].add(edge.b)
        near[edge.b].add(edge.a)
    by_id = {node.id: node for node in nodes}
    found: dict[str, Ibgp] = {}
    for part in parts(list(by_id), [(edge.a, edge.b) for edge in edges]):
        if len(part) > LARGEST_MESH:
            found |= _reflected(part, pick([by_id[node] for node in part], near))
        elif len(part) > 1:
            found |= {node: Ibgp(mesh=tuple(other for other in part if other != node)) for node in part}
    return found


def pick(part: list[Node], near: dict[str, set[str]]) -> tuple[str, str]:
    """The two best-connected routers, at two places wherever there are two."""
    ranked = sorted(part, key=lambda node: -len(near[node.id]))
    first = ranked[0]
    elsewhere = [node for node in ranked[1:] if (node.lat, node.lon) != (first.lat, first.lon)]
    return first.id, (elsewhere or ranked[1:])[0].id


def _reflected(part: list[str], reflectors: tuple[str, str]) -> dict[str, Ibgp]:
    first, second = reflectors
    found = {node: Ibgp(rr=reflectors) for node in part if node not in reflectors}
    return found | {first: Ibgp(reflector=True, mesh=(second,)), second: Ibgp(reflector=True, mesh=(first,))}
