"""XML to a small tree, by local names. No DTD and no entity is ever read: a file that has one is refused."""

import xml.parsers.expat as expat
from collections.abc import Iterator
from typing import Any

import msgspec

from billing.bank.errors import StatementNotReadable

MAX_BYTES = 64 * 1024 * 1024
_MAX_DEPTH = 64


class Node(msgspec.Struct):
    """An element: its local name, text, attributes, children, and its line in the file."""

    name: str
    line: int
    attributes: dict[str, str] = {}
    children: list["Node"] = []
    text: str = ""

    def all(self, path: str) -> Iterator["Node"]:
        """Elements by a path of local names: `NtryDtls/TxDtls`."""
        first, _, rest = path.partition("/")
        for child in self.children:
            if child.name == first:
                yield from child.all(rest) if rest else (child,)

    def first(self, *paths: str) -> "Node | None":
        """The first element of the first path that has one."""
        return next((found for path in paths for found in self.all(path)), None)

    def said(self, *paths: str) -> str:
        """The text of the first element of the first path that has one with a text."""
        return next((one.text.strip() for path in paths for one in self.all(path) if one.text.strip()), "")


def parse(raw: bytes, path: str) -> Node:
    """The root of an XML file. Raises StatementNotReadable."""
    if len(raw) > MAX_BYTES:
        raise StatementNotReadable(
            path, 1, f"it has more than {MAX_BYTES} bytes; ask the bank for smaller files"
        )
    reading = _Reading(path)
    try:
        reading.parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise StatementNotReadable(path, error.lineno, f"no XML: {expat.ErrorString(error.code)}") from error
    except (LookupError, ValueError) as error:  # an encoding that Python has not
        raise StatementNotReadable(path, reading.line, str(error)) from error
    return reading.stack[0].children[0]


class _Reading:
    def __init__(self, path: str) -> None:
        self.path = path
        self.stack = [Node("", 0, {}, [])]
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.SkippedEntityHandler = self._refuse

    @property
    def line(self) -> int:
        return int(self.parser.CurrentLineNumber)

    def _refuse(self, *_about: Any) -> None:
        raise StatementNotReadable(
            self.path, self.line, "it has a DTD or an entity; no bank sends that, it is not read"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.stack) > _MAX_DEPTH:
            raise StatementNotReadable(self.path, self.line, f"nested more than {_MAX_DEPTH} levels deep")
        node = Node(name.rpartition(" ")[2], self.line, dict(attributes), [])
        self.stack[-1].children.append(node)
        self.stack.append(node)

    def _end(self, _name: str) -> None:
        self.stack.pop()

    def _text(self, data: str) -> None:
        self.stack[-1].text += data
