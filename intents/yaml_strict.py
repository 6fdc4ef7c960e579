"""Strict YAML 1.2 (core schema) on libyaml's events: one document, no aliases, anchors, tags or duplicate keys.

`parse` is the fast path: values, and a list of mistakes that is empty for a good file. `parse_nodes` also keeps
where every key and value stands. Size, depth and the number of nodes are bounded, so that no file can cost much.
"""

import functools
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_MISTAKES = 100

Scalar = None | bool | int | float | str


class Mark(NamedTuple):
    """A place that counts from 1."""

    line: int
    column: int


class Mistake(NamedTuple):
    """What is wrong with the text, and where."""

    code: str
    message: str
    mark: Mark
    hint: str = ""


class Node:
    """A value with its place; `keys` has the places of a mapping's keys; `broken` has been told already."""

    __slots__ = ("broken", "children", "keys", "mark", "value")

    def __init__(self, value: Any, mark: Mark, broken: bool = False) -> None:
        self.value = value
        self.mark = mark
        self.broken = broken
        self.children: dict[str | int, Node] = {}
        self.keys: dict[str, Mark] = {}


class Parsed(NamedTuple):
    """What a file says. `node` is None when nothing could be read."""

    node: Node | None
    mistakes: list[Mistake]


class _Bad(Exception):
    def __init__(self, mistake: Mistake) -> None:
        self.mistake = mistake


# The order of the alternatives is that of how often they occur; YAML 1.2.2, chapter 10.3.2.
_PLAIN = re.compile(
    r"(?P<int>[-+]?[0-9]{1,18})|(?P<null>null|Null|NULL|~|)|(?P<true>true|True|TRUE)|(?P<false>false|False|FALSE)"
    r"|0o(?P<octal>[0-7]{1,18})|0x(?P<hex>[0-9a-fA-F]{1,15})"
    r"|(?P<float>[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?)"
)


@functools.lru_cache(maxsize=4096)  # `active`, `gpon`, `fibre`: a large network says few words very often
def plain(text: str) -> Scalar:
    """The value of an unquoted scalar: `12`, `0o14`, `1.5`, `true`, `~`, or the text itself (`NO`, `10:20:30`).

    Infinity and not-a-number stay text; a whole number of more than 18 digits is a float.
    """
    found = _PLAIN.fullmatch(text)
    if found is None:
        return text
    match found.lastgroup:
        case "int":
            return int(text)
        case "octal":
            return int(found["octal"], 8)
        case "hex":
            return int(found["hex"], 16)
        case "float":
            number = float(text)
            return number if math.isfinite(number) else text
        case "true" | "false":
            return found.lastgroup == "true"
    return None


CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What no value may contain that could end in a device's configuration, newlines included."""


def decode(raw: bytes) -> tuple[str, list[Mistake]]:
    """The text of a file, and what forbids reading it further. One clear mistake for a file that is too big."""
    if len(raw) > MAX_BYTES:
        return "", [too_big(len(raw))]
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return "", [_not_utf8(raw, error)]
    return text, list(_characters(text)) if not text.isascii() or _SUSPICIOUS.search(text) else []


def too_big(size: int) -> Mistake:
    """The mistake of a file of so many bytes."""
    shown = f"{size / 1_000_000:.1f} MB" if size >= 1_000_000 else f"{size / 1024:.1f} KiB"
    message = f"the file has {shown}; an intent may have {MAX_BYTES // 1024} KiB"
    return Mistake("yaml.size", message, Mark(1, 1), "one thing, one file")


def _not_utf8(raw: bytes, error: UnicodeDecodeError) -> Mistake:
    before = raw[: error.start].decode()
    mark = Mark(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Mistake("yaml.utf8", "the file is UTF-16; intents are UTF-8", mark)
    return Mistake("yaml.utf8", f"byte 0x{raw[error.start]:02x} is not UTF-8", mark, "save the file as UTF-8")


# Control characters, line breaks that editors do not count, marks that turn the reading direction, BOM, surrogates.
_SUSPICIOUS = re.compile(
    "[\x00-\x08\t\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]|\r(?!\n)"
)


def _characters(text: str) -> Iterator[Mistake]:
    for number, found in enumerate(_SUSPICIOUS.finditer(text)):
        if number == MAX_MISTAKES:
            return
        start = found.start()
        mark = Mark(text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        if found[0] == "\t":
            yield Mistake("yaml.tab", "a tab", mark, "indent with blanks")
        elif found[0] == "\ufeff":
            yield Mistake("yaml.bom", "a byte order mark", mark, "save the file as UTF-8 without BOM")
        else:
            yield Mistake("yaml.control", f"control character U+{ord(found[0]):04X}", mark)


def parse(text: str) -> tuple[Any, list[Mistake]]:
    """The value of a good text, without places; any mistake ends it at once: then use `parse_nodes`."""
    try:
        return _Fast(text).document(), []
    except _Bad as bad:
        return None, [bad.mistake]
    except yaml.YAMLError as error:
        return None, [_syntax(error, text)]


def parse_nodes(text: str) -> Parsed:
    """The value with all places, and every mistake up to the first one that breaks the syntax."""
    builder = _Placed(text)
    try:
        return Parsed(builder.document(), builder.mistakes)
    except _Bad as bad:
        return Parsed(None, [*builder.mistakes, bad.mistake])
    except yaml.YAMLError as error:
        return Parsed(None, [*builder.mistakes, _syntax(error, text)])


_HINTS = {
    "mapping values are not allowed in this context": "a value with a colon needs quotes; or the indentation is wrong",
    "did not find expected key": "the indentation is wrong, or a bracket or quote is not closed",
    "could not find expected ':'": "a key needs a colon and a blank after it",
}


def _syntax(error: yaml.YAMLError, text: str) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    place = Mark(mark.line + 1, mark.column + 1) if mark is not None else Mark(1, 1)
    lines = text.split("\n")
    if place.line > len(lines):  # libyaml ends the last line for us
        place = Mark(len(lines), len(lines[-1]) + 1)
    problem = str(getattr(error, "problem", None) or "not YAML")
    return Mistake("yaml.syntax", f"not YAML: {problem}", place, _HINTS.get(problem, ""))


class _Events:
    """Walks libyaml's events and refuses what strict YAML has not."""

    def __init__(self, text: str) -> None:
        # Not `yaml.parse`: its generator costs as much as libyaml itself.
        self.events: Iterator[Any] = iter(yaml.CLoader(text).get_event, None)
        self.nodes = 0

    def start(self) -> Any:
        """The event that begins the only document."""
        next(self.events)
        event = next(self.events)
        if not isinstance(event, yaml.DocumentStartEvent):
            raise _Bad(Mistake("yaml.empty", "the file is empty", Mark(1, 1)))
        if event.version is not None or event.tags:
            raise _Bad(Mistake("yaml.directive", "a directive (%)", _mark(event), "remove it"))
        return next(self.events)

    def end(self) -> None:
        """Refuse a second document."""
        next(self.events)
        event = next(self.events)
        if isinstance(event, yaml.DocumentStartEvent):
            raise _Bad(Mistake("yaml.documents", "a second document", _mark(event), "one thing, one file"))

    def wrong(self, event: Any) -> Mistake | None:
        """The mistake of an event with an anchor or a tag, or of one node too many."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _Bad(
                Mistake("yaml.nodes", f"more than {MAX_NODES} values", _mark(event), "one thing, one file")
            )
        if event.anchor is not None:
            return Mistake("yaml.anchor", f"an anchor (&{event.anchor})", _mark(event), "write the value out")
        if event.tag is not None and event.tag != "!":
            return Mistake("yaml.tag", f"a tag ({event.tag})", _mark(event), "remove it")
        return None

    def alias(self, event: Any) -> Mistake:
        """The mistake of an alias."""
        return Mistake("yaml.alias", f"an alias (*{event.anchor})", _mark(event), "write the value out")

    def too_deep(self, event: Any) -> _Bad:
        """Nested deeper than an intent ever is."""
        return _Bad(Mistake("yaml.depth", f"nested more than {MAX_DEPTH} levels deep", _mark(event)))


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _value(event: Any) -> Scalar:
    return plain(event.value) if event.implicit[0] else str(event.value)


class _Fast(_Events):
    def document(self) -> Any:
        value = self.build(self.start(), 0)
        self.end()
        return value

    def build(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            raise _Bad(self.alias(event))
        if mistake := self.wrong(event):
            raise _Bad(mistake)
        if isinstance(event, yaml.ScalarEvent):
            if CONTROL.search(event.value):
                raise _Bad(Mistake("value.control", "a control character", _mark(event)))
            return _value(event)
        if depth == MAX_DEPTH:
            raise self.too_deep(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return [self.build(item, depth + 1) for item in iter(self.next_item, None)]
        return self.mapping(depth)

    def next_item(self) -> Any:
        event = next(self.events)
        return None if isinstance(event, yaml.SequenceEndEvent) else event

    def mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent) or self.bad_key(key, result):
                raise _Bad(Mistake("yaml.key", "a key that cannot be one", _mark(key)))
            result[key.value] = self.build(next(self.events), depth + 1)
        return result

    def bad_key(self, key: Any, result: dict[str, Any]) -> bool:
        return bool(self.wrong(key) or key.value in result or CONTROL.search(key.value))


class _Placed(_Events):
    """Keeps going after a mistake, so that all are told at once."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.mistakes: list[Mistake] = []

    def note(self, mistake: Mistake | None) -> None:
        if mistake is not None and len(self.mistakes) < MAX_MISTAKES:
            self.mistakes.append(mistake)

    def document(self) -> Node:
        node = self.build(self.start(), 0)
        try:
            self.end()
        except _Bad as bad:
            self.note(bad.mistake)
        return node

    def build(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            self.note(self.alias(event))
            return Node(None, _mark(event), broken=True)
        self.note(self.wrong(event))
        if isinstance(event, yaml.ScalarEvent):
            return Node(_value(event), _mark(event))
        if depth == MAX_DEPTH:
            raise self.too_deep(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(event, depth)
        return self.mapping(event, depth)

    def sequence(self, start: Any, depth: int) -> Node:
        node = Node([], _mark(start))
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            child = self.build(event, depth + 1)
            node.children[len(node.value)] = child
            node.value.append(child.value)
        return node

    def mapping(self, start: Any, depth: int) -> Node:
        node = Node({}, _mark(start))
        while not isinstance(key := next(self.events), yaml.MappingEndEvent):
            name = self.key(key, depth)
            child = self.build(next(self.events), depth + 1)
            if name is None:
                continue
            if name in node.keys:
                first = node.keys[name]
                hint = f"the first is in line {first.line}"
                self.note(Mistake("yaml.duplicate", f"key '{name[:60]}' is there twice", _mark(key), hint))
                continue
            node.keys[name], node.children[name], node.value[name] = _mark(key), child, child.value
        return node

    def key(self, event: Any, depth: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent):
            self.note(self.wrong(event))
            if CONTROL.search(event.value):
                self.note(Mistake("value.control", "a key with a control character", _mark(event)))
            return str(event.value)
        self.note(Mistake("yaml.key", "a key must be text", _mark(event)))
        if not isinstance(event, yaml.AliasEvent):
            self.build(event, depth + 1)
        return None
