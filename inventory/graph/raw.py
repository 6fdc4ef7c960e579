"""A graph as a file gives it: nothing mended yet, every part with its line."""

from typing import Any

import msgspec

from core.errors import Terminal
from core.problems import Problem

MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 10_000
MAX_EDGES = 100_000
MAX_DEPTH = 32


class GraphNotReadable(Terminal):
    """A file is no graph that we can read; says where."""

    def __init__(self, path: str, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}: {why}" if line else f"{path}: {why}")
        self.path, self.line, self.why = path, line, why


class RawNode(msgspec.Struct, frozen=True):
    """A node: its id as text ("" where it has none), its attributes by lower-case name, its line."""

    key: str
    attributes: dict[str, Any]
    line: int


class RawEdge(msgspec.Struct, frozen=True):
    """An edge between two node ids ("" where an end is missing)."""

    source: str
    target: str
    attributes: dict[str, Any]
    line: int


class RawGraph(msgspec.Struct, frozen=True, kw_only=True):
    """A file's graph. `notes` are what the reader itself had to overlook."""

    path: str
    nodes: list[RawNode]
    edges: list[RawEdge]
    attributes: dict[str, Any] = {}
    directed: bool = False
    notes: list[Problem] = []


def note(path: str, line: int, code: str, message: str, hint: str = "") -> Problem:
    """Something mended or overlooked, with its place."""
    return Problem(f"graph.{code}", message, path, line, 1 if line else 0, "warning", hint)


def checked(graph: RawGraph) -> RawGraph:
    """The graph, when it has a node and is not larger than we plan networks for. Raises GraphNotReadable."""
    for what, count, most in (("nodes", len(graph.nodes), MAX_NODES), ("edges", len(graph.edges), MAX_EDGES)):
        if count > most:
            raise GraphNotReadable(
                graph.path, 0, f"{count} {what}; at most {most} are planned into one network"
            )
    if not graph.nodes:
        raise GraphNotReadable(graph.path, 0, "there is no node in this graph")
    return graph
