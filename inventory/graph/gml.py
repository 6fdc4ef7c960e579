"""GML (Himsolt, "GML: A portable Graph File Format", 1996): nested `key value` lists.

Read as it is found in the wild: numbers in quotes, text without quotes, HTML entities, any key twice.
"""

import html
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from inventory.graph.raw import MAX_DEPTH, GraphNotReadable, RawEdge, RawGraph, RawNode, note

_TOKEN = re.compile(
    r'(?P<comment>^[ \t]*#[^\n]*)|(?P<blank>\s+)|(?P<open>\[)|(?P<close>\])|"(?P<string>[^"]*)"|(?P<word>[^\s\[\]"]+)'
    r'|(?P<odd>")',
    re.MULTILINE,
)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")


class Pair(NamedTuple):
    """A key, its value (text, number, or a list of pairs), and the key's line."""

    key: str
    value: Any
    line: int


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def parse(text: str, path: str) -> RawGraph:
    """The first graph of a GML text. Raises GraphNotReadable."""
    top = _Parser(text.replace("\r\n", "\n").replace("\r", "\n"), path).pairs()
    graphs = [pair for pair in top if pair.key.lower() == "graph" and isinstance(pair.value, list)]
    if not graphs:
        raise GraphNotReadable(path, 1, "there is no `graph [ … ]` in this file")
    inside: list[Pair] = graphs[0].value
    lists = [pair for pair in inside if isinstance(pair.value, list)]
    notes = [
        note(path, pair.line, "graph-twice", "a second graph in the file was left out") for pair in graphs[1:]
    ]
    about = _attributes(inside)
    return RawGraph(
        path=path,
        nodes=[_node(pair) for pair in lists if pair.key.lower() == "node"],
        edges=[_edge(pair) for pair in lists if pair.key.lower() == "edge"],
        attributes=about,
        directed=str(about.get("directed", 0)) == "1",
        notes=notes,
    )


def _node(pair: Pair) -> RawNode:
    about = _attributes(pair.value)
    return RawNode(key_text(about.pop("id", "")), about, pair.line)


def _edge(pair: Pair) -> RawEdge:
    about = _attributes(pair.value)
    ends = [key_text(about.pop(end, "")) for end in ("source", "target")]
    return RawEdge(ends[0], ends[1], about, pair.line)


def key_text(value: Any) -> str:
    """An id as text: `5`, `5.0` and `"5"` are one id."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _attributes(pairs: list[Pair]) -> dict[str, Any]:
    """Plain values by lower-case key; of a key that is there twice the first counts."""
    found: dict[str, Any] = {}
    for pair in pairs:
        if not isinstance(pair.value, list):
            found.setdefault(pair.key.lower(), pair.value)
    return found


class _Parser:
    def __init__(self, text: str, path: str) -> None:
        self._path = path
        self._text = text

    def pairs(self) -> list[Pair]:
        """Every pair at the top of the file."""
        lists: list[list[Pair]] = [[]]
        open_at: list[Pair] = []
        key: _Token | None = None
        for token in self._tokens():
            if key is None:
                if token.kind != "close":
                    key = self._key(token)
                    continue
                if not open_at:
                    raise GraphNotReadable(self._path, token.line, "a `]` without its `[`")
                open_at.pop()
                lists.pop()
            elif token.kind == "open":
                self._deeper(open_at, token)
                below: list[Pair] = []
                pair = Pair(key.text, below, key.line)
                lists[-1].append(pair)
                lists.append(below)
                open_at.append(pair)
                key = None
            elif token.kind == "close":
                raise GraphNotReadable(self._path, key.line, f"`{key.text[:40]}` has no value")
            else:
                lists[-1].append(Pair(key.text, _value(token), key.line))
                key = None
        if key is not None:
            raise GraphNotReadable(self._path, key.line, f"`{key.text[:40]}` has no value")
        if open_at:
            last = open_at[-1]
            raise GraphNotReadable(self._path, last.line, f"`{last.key} [` begins here and never ends")
        return lists[0]

    def _key(self, token: _Token) -> _Token:
        if token.kind != "word" or not _KEY.fullmatch(token.text):
            said = "".join(char if char.isprintable() else " " for char in token.text[:40])
            told = {"open": "[", "string": f'"{said}"'}.get(token.kind, said)
            raise GraphNotReadable(self._path, token.line, f"expected a key such as `node`, found {told}")
        return token

    def _deeper(self, open_at: list[Pair], token: _Token) -> None:
        if len(open_at) >= MAX_DEPTH:
            raise GraphNotReadable(self._path, token.line, f"nested more than {MAX_DEPTH} levels deep")

    def _tokens(self) -> Iterator[_Token]:
        line = 1
        for found in _TOKEN.finditer(self._text):
            kind, text = str(found.lastgroup), found[str(found.lastgroup)]
            if kind == "odd":
                raise GraphNotReadable(self._path, line, "a text in quotes begins here and never ends")
            if kind not in ("blank", "comment"):
                yield _Token(kind, text, line)
            line += found[0].count("\n")


def _value(token: _Token) -> Any:
    if token.kind == "word" and _NUMBER.fullmatch(token.text):
        number = float(token.text)
        return int(token.text) if re.fullmatch(r"[-+]?[0-9]+", token.text) else number
    return html.unescape(token.text)
