"""A mended graph: every node has an id, a name and (where anything is known) coordinates; every edge two nodes."""

from collections.abc import Iterator

import msgspec

from core.problems import Problem


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node. `id` can be an intent's id; `internal` False: another operator's; degrees are WGS 84."""

    id: str
    name: str
    lat: float | None = None
    lon: float | None = None
    internal: bool = True


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """An edge between two node ids; capacity in bit/s, None where nobody says."""

    a: str
    b: str
    capacity: int | None = None


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """A graph ready for planning; `notes` say what was mended, each with its place in the file."""

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    notes: tuple[Problem, ...] = ()


def parts(nodes: list[str], edges: list[tuple[str, str]]) -> list[list[str]]:
    """The connected parts, the largest first; nodes keep their order."""
    near: dict[str, set[str]] = {node: set() for node in nodes}
    for a, b in edges:
        near[a].add(b)
        near[b].add(a)
    seen: set[str] = set()
    order = {node: place for place, node in enumerate(nodes)}
    found = [sorted(_reach(node, near, seen), key=order.__getitem__) for node in nodes if node not in seen]
    return sorted(found, key=len, reverse=True)


def _reach(start: str, near: dict[str, set[str]], seen: set[str]) -> Iterator[str]:
    waiting = [start]
    seen.add(start)
    while waiting:
        node = waiting.pop()
        yield node
        fresh = near[node] - seen
        seen |= fresh
        waiting.extend(fresh)
