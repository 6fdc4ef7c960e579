"""Mend a graph as it is found: no node is lost, and everything that was changed is said with its place."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from core.problems import Problem
from inventory.graph import names, places
from inventory.graph.capacity import capacity_of
from inventory.graph.graph import Edge, Graph, Node, parts
from inventory.graph.raw import RawEdge, RawGraph, RawNode, note

_LABELS = ("label", "name", "nodelabel", "title", "city")
_OUTSIDE = ("0", "0.0", "false", "no")


def mend(raw: RawGraph) -> Graph:
    """The graph, every node kept; `notes` in the order of the file."""
    return _Mending(raw).graph()


class _Mending:
    def __init__(self, raw: RawGraph) -> None:
        self.raw = raw
        self.notes: list[Problem] = list(raw.notes)
        self.ids: dict[str, str] = {}
        self.lines: dict[str, int] = {}
        self.labels: dict[str, str] = {}
        self.about: dict[str, dict[str, Any]] = {}
        self._taken: dict[str, int] = {}
        self._named: dict[str, int] = {}

    def graph(self) -> Graph:
        for node in self.raw.nodes:
            self._add(node)
        edges = list(self._edges())
        self._parallel(edges)
        placed = self._places(edges)
        nodes = tuple(self._node(node, placed.get(node)) for node in self.labels)
        self._parts(nodes, edges)
        title = names.clean(self._about_graph("network") or self._about_graph("label"))
        return Graph(
            name=title,
            nodes=nodes,
            edges=tuple(edges),
            notes=tuple(sorted(self.notes, key=lambda one: (one.line, one.code))),
        )

    def _about_graph(self, key: str) -> str:
        return str(self.raw.attributes.get(key, ""))

    def _note(self, line: int, code: str, message: str, hint: str = "") -> None:
        self.notes.append(note(self.raw.path, line, code, message, hint))

    def _add(self, node: RawNode) -> str:
        """Give a node its id and name; returns the id."""
        label = next((text for key in _LABELS if (text := names.clean(node.attributes.get(key, "")))), "")
        wanted = label or f"Node {names.clean(node.key) or node.line}"
        name = names.unique(wanted, self._named, " ")
        identifier = names.unique(names.slug(name) or names.slug(f"node {node.key}") or "node", self._taken)
        self._notes_of(node, label, name, identifier)
        if node.key and node.key not in self.ids:
            self.ids[node.key] = identifier
        self.labels[identifier], self.lines[identifier] = name, node.line
        self.about[identifier] = node.attributes
        return identifier

    def _notes_of(self, node: RawNode, label: str, name: str, identifier: str) -> None:
        if not node.key:
            self._note(node.line, "id-missing", f"{identifier}: a node without an id; no edge can name it")
        elif node.key in self.ids:
            message = f"{identifier}: id {node.key[:40]} is there twice; edges that name it go to {self.ids[node.key]}"
            self._note(node.line, "id-twice", message)
        if not label:
            self._note(
                node.line, "label-missing", f"{identifier}: a node without a label; it is called {name}"
            )
        elif name != label:
            message = f"{identifier}: another node is called {label}; this one is called {name}"
            self._note(node.line, "label-twice", message)
        elif not names.slug(name):
            message = (
                f"{identifier}: {name} has no Latin spelling for an id; rename it before anything uses it"
            )
            self._note(node.line, "label-script", message)

    def _edges(self) -> Iterator[Edge]:
        there: Counter[tuple[str, str]] = Counter()
        for edge in self.raw.edges:
            if not edge.source or not edge.target:
                self._note(edge.line, "edge-end", "an edge without both ends was left out")
                continue
            a, b = self._end(edge, edge.source), self._end(edge, edge.target)
            if a == b:
                message = f"{a}: an edge from the node to itself was left out; a link joins two devices"
                self._note(edge.line, "self-loop", message)
            elif self._is_return(edge) and there[b, a] > 0:
                there[b, a] -= 1
                message = f"{a}: the edge back to {b} is the same link; it was left out"
                self._note(edge.line, "edge-back", message)
            else:
                there[a, b] += 1
                yield Edge(a=a, b=b, capacity=capacity_of(edge.attributes))

    def _end(self, edge: RawEdge, key: str) -> str:
        if key not in self.ids:
            identifier = self._add(RawNode(key, {}, edge.line))
            self._note(
                edge.line, "node-missing", f"{identifier}: an edge names node {key[:40]}, which was added"
            )
        return self.ids[key]

    def _is_return(self, edge: RawEdge) -> bool:
        return str(edge.attributes.get("directed", self.raw.directed)).lower() in ("true", "1")

    def _parallel(self, edges: list[Edge]) -> None:
        counts = Counter(tuple(sorted((edge.a, edge.b))) for edge in edges)
        for (a, b), count in sorted(counts.items()):
            if count > 1:
                message = f"{a}: {count} parallel edges to {b}; each is a link of its own"
                self._note(self.lines[a], "parallel", message)

    def _places(self, edges: list[Edge]) -> dict[str, places.Place]:
        near: dict[str, list[str]] = {node: [] for node in self.labels}
        for edge in edges:
            near[edge.a].append(edge.b)
            near[edge.b].append(edge.a)
        known = {node: place for node, about in self.about.items() if (place := places.place_of(about))}
        found = places.between(known, near)
        for node in self.labels:
            if node not in known:
                self._placed(node, found.get(node))
        return known | {node: place for node, (place, _) in found.items()}

    def _placed(self, node: str, found: tuple[places.Place, list[str]] | None) -> None:
        why = (
            "its coordinates are none of this world" if places.has_any(self.about[node]) else "no coordinates"
        )
        if found is None:
            where = "no node has any; add `location` to its site"
        else:
            (lat, lon), around = found
            where = f"put at {lat:g}, {lon:g}, amid "
            where += (
                f"{', '.join(around[:3])}{' …' if len(around) > 3 else ''}" if around else "all known nodes"
            )
        self._note(self.lines[node], "coordinates", f"{node}: {why}; {where}")

    def _node(self, node: str, place: places.Place | None) -> Node:
        about = self.about[node]
        internal = str(about.get("internal", 1)).strip().lower() not in _OUTSIDE
        if not internal:
            message = (
                f"{node}: another operator's (Internal 0); kept as a planned device with planned handoffs"
            )
            self._note(self.lines[node], "external", message)
        lat, lon = place or (None, None)
        return Node(id=node, name=self.labels[node], lat=lat, lon=lon, internal=internal)

    def _parts(self, nodes: tuple[Node, ...], edges: list[Edge]) -> None:
        own = {node.id: None for node in nodes if node.internal}
        inner = [(edge.a, edge.b) for edge in edges if edge.a in own and edge.b in own]
        for part in parts(list(own), inner)[1:]:
            told = f"{', '.join(part[:3])}{' …' if len(part) > 3 else ''}"
            message = (
                f"{part[0]}: nothing joins {told} to the rest; no route leads there and its BGP is its own"
            )
            self._note(self.lines[part[0]], "parts", message)
