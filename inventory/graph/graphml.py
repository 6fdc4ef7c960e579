"""GraphML (Brandes et al., graphdrawing.org): keys, nodes and edges, read with expat as events.

No DTD is ever loaded and no entity ever expanded: a file that declares one is refused.
"""

import html
import xml.parsers.expat as expat
from typing import Any

from inventory.graph.raw import MAX_DEPTH, GraphNotReadable, RawEdge, RawGraph, RawNode, note


def parse(raw: bytes, path: str) -> RawGraph:
    """The graph of a GraphML file. Raises GraphNotReadable."""
    return _Reading(path).read(raw)


class _Reading:
    """What was read so far; expat calls `_start`, `_end` and `_text`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.names: dict[str, str] = {}
        self.defaults: dict[str, dict[str, str]] = {"node": {}, "edge": {}, "graph": {}}
        self.graph = RawGraph(path=path, nodes=[], edges=[], attributes={}, notes=[])
        self.directed = False
        self.depth = 0
        self.owners: list[tuple[str, dict[str, Any]]] = []
        self.key: tuple[str, str] | None = None
        self.text: list[str] | None = None
        self.parser = self._parser()

    def _parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.SkippedEntityHandler = self._entity
        return parser

    def read(self, raw: bytes) -> RawGraph:
        try:
            self.parser.Parse(raw, True)
        except expat.ExpatError as error:
            raise GraphNotReadable(
                self.path, error.lineno, f"no XML: {expat.ErrorString(error.code)}"
            ) from error
        except (LookupError, ValueError) as error:  # an encoding that Python has not
            raise GraphNotReadable(self.path, self._line, str(error)) from error
        if not self.names and not self.graph.nodes and not self.graph.edges:
            raise GraphNotReadable(self.path, 1, "this XML has no GraphML nodes")
        return RawGraph(
            path=self.path,
            nodes=self.graph.nodes,
            edges=self.graph.edges,
            attributes=self.graph.attributes,
            directed=self.directed,
            notes=self.graph.notes,
        )

    @property
    def _line(self) -> int:
        return int(self.parser.CurrentLineNumber)

    def _doctype(self, _name: str, _system: str | None, _public: str | None, has_internal: bool) -> None:
        if has_internal:
            raise GraphNotReadable(
                self.path, self._line, "a DTD inside the file; take it out, it is never read"
            )

    def _entity(self, *about: Any) -> None:
        raise GraphNotReadable(self.path, self._line, f"entity '{about[0]}': entities are never expanded")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise GraphNotReadable(self.path, self._line, f"nested more than {MAX_DEPTH} levels deep")
        match tag.rpartition(":")[2]:
            case "key":
                name = attributes.get("attr.name") or attributes.get("id", "")
                self.names[attributes.get("id", "")] = name.lower()
                self.key = (attributes.get("for", "all"), name.lower())
            case "graph":
                self.directed |= attributes.get("edgedefault") == "directed"
                self.owners.append(("graph", self.graph.attributes))
            case "node":
                about: dict[str, Any] = {}
                self.graph.nodes.append(RawNode(attributes.get("id", "").strip(), about, self._line))
                self.owners.append(("node", about))
            case "edge":
                self._edge(attributes)
            case "hyperedge":
                message = "a hyperedge was left out; a link has two ends"
                self.graph.notes.append(note(self.path, self._line, "hyperedge", message))
                self.owners.append(("", {}))
            case "data" | "default":
                self.text = []
                if tag.rpartition(":")[2] == "data":
                    self.key = ("data", self.names.get(attributes.get("key", ""), attributes.get("key", "")))
            case "NodeLabel" | "EdgeLabel":  # yEd keeps its labels in its own elements
                self.text = []
                self.key = ("data", "label" if tag.endswith("NodeLabel") else "linklabel")

    def _edge(self, attributes: dict[str, str]) -> None:
        about: dict[str, Any] = {}
        if attributes.get("directed") is not None:
            about["directed"] = attributes["directed"]
        ends = [attributes.get(end, "").strip() for end in ("source", "target")]
        self.graph.edges.append(RawEdge(ends[0], ends[1], about, self._line))
        self.owners.append(("edge", about))

    def _characters(self, text: str) -> None:
        if self.text is not None:
            self.text.append(text)

    def _end(self, tag: str) -> None:
        self.depth -= 1
        match tag.rpartition(":")[2]:
            case "data" | "NodeLabel" | "EdgeLabel":
                self._take()
            case "default":
                self._default()
            case "key":
                self.key = None
            case "graph" | "node" | "edge" | "hyperedge":
                kind, about = self.owners.pop()
                for name, value in self.defaults.get(kind, {}).items():
                    about.setdefault(name, value)

    def _take(self) -> None:
        text = html.unescape("".join(self.text or ())).strip()
        if self.owners and self.key is not None and text:
            self.owners[-1][1].setdefault(self.key[1], text)
        self.text = None

    def _default(self) -> None:
        text = "".join(self.text or ()).strip()
        self.text = None
        if self.key is not None and text:
            wanted = (
                self.defaults if self.key[0] == "all" else {self.key[0]: self.defaults.get(self.key[0], {})}
            )
            for defaults in wanted.values():
                defaults[self.key[1]] = text
