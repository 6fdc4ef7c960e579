"""From a file's bytes to a typed document, or to every mistake in it at once."""

from collections.abc import Iterable
from typing import Any

import msgspec

from core.problems import Problem, Severity, has_errors
from intents import kinds
from intents.diagnose import convert, mistakes, place, pruned
from intents.kind import Complaint, Field, Kind
from intents.yaml_strict import MAX_MISTAKES, Mark, Mistake, Node, decode, parse, parse_nodes

VERSION = 1
"""Part of every cache key: raised when the same bytes give another value."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A good file: its place, its kind and id, its typed value, the Git blob that it came from."""

    path: str
    kind: str
    id: str
    value: Any
    blob: str = ""
    warnings: tuple[Problem, ...] = ()


def load(path: str, raw: bytes, blob: str = "") -> Document | list[Problem]:
    """The document in a file, or its problems, sorted by place. Never raises on any bytes.

    The usual file is parsed once; only one with a mistake is parsed again with all places.
    """
    parsed_path = kinds.parse_path(path)
    kind = kinds.kind_of(path)
    if isinstance(parsed_path, Problem) and (kind is None or not path.endswith(kind.suffix)):
        return [parsed_path]
    assert kind is not None
    outcome = _content(kind, path, raw)
    found = [parsed_path, *outcome.problems] if isinstance(parsed_path, Problem) else outcome.problems
    if has_errors(found) or outcome.value is None or isinstance(parsed_path, Problem):
        return _capped(sorted(found, key=Problem.order))
    name, identifier = parsed_path
    return Document(
        path=path, kind=name, id=identifier, value=outcome.value, blob=blob, warnings=tuple(found)
    )


class _Outcome(msgspec.Struct, frozen=True):
    value: Any
    problems: list[Problem]


def _content(kind: Kind, path: str, raw: bytes) -> _Outcome:
    text, wrong = decode(raw)
    if kind.read is not None:
        return _whole_file(kind, path, text, wrong)
    if wrong and not _readable(text, wrong):
        return _Outcome(None, [_told(path, mistake) for mistake in wrong])
    if not wrong and (value := _fast(kind, text)) is not None:
        complaints = list(kind.complaints(value))
        if not complaints:
            return _Outcome(value, [])
    return _slow(kind, path, text.replace("\t", " "), [_told(path, mistake) for mistake in wrong])


def _fast(kind: Kind, text: str) -> Any:
    value, wrong = parse(text)
    if wrong:
        return None
    try:
        return convert(value, kind.struct)
    except msgspec.ValidationError:
        return None


def _readable(text: str, wrong: list[Mistake]) -> bool:
    """Whether the rest of a file with tabs still means what it seems to: no tab indents a line."""
    lines = text.split("\n")
    return all(
        mistake.code == "yaml.tab" and lines[mistake.mark.line - 1][: mistake.mark.column - 1].strip()
        for mistake in wrong
    )


def _slow(kind: Kind, path: str, text: str, problems: list[Problem]) -> _Outcome:
    parsed = parse_nodes(text)
    problems = [*problems, *(_told(path, mistake) for mistake in parsed.mistakes)]
    if parsed.node is None:
        return _Outcome(None, problems)
    found = mistakes(parsed.node, kind.struct)
    problems += [_placed(path, parsed.node, complaint) for complaint in found]
    value = _best(kind, parsed.node, found)
    if value is None:
        return _Outcome(None, problems or [_unexplained(kind, path, parsed.node)])
    problems += [_placed(path, parsed.node, complaint) for complaint in kind.complaints(value)]
    return _Outcome(value, problems)


def _best(kind: Kind, node: Node, found: list[Complaint]) -> Any:
    """The value without its unknown keys, when nothing else is wrong with it: so that all else is told too."""
    try:
        return convert(pruned(node.value, kind.struct) if found else node.value, kind.struct)
    except msgspec.ValidationError:
        return None


def _unexplained(kind: Kind, path: str, node: Node) -> Problem:
    try:
        convert(node.value, kind.struct)
    except msgspec.ValidationError as error:
        return Problem("value.format", str(error), path, node.mark.line, node.mark.column)
    return Problem("value.format", "the file cannot be read", path, node.mark.line, node.mark.column)


def _whole_file(kind: Kind, path: str, text: str, wrong: list[Mistake]) -> _Outcome:
    harmful = [_told(path, mistake) for mistake in wrong if mistake.code != "yaml.tab"]
    parsed = kinds.parse_path(path)
    if harmful or isinstance(parsed, Problem):
        return _Outcome(None, harmful)
    assert kind.read is not None
    value = kind.read(parsed[1], text)
    told = [
        Problem(complaint.code, complaint.message, path, int(complaint.field[0]), 1, hint=complaint.hint)
        for complaint in kind.complaints(value)
    ]
    return _Outcome(value, told)


def _told(path: str, mistake: Mistake) -> Problem:
    return Problem(
        mistake.code, mistake.message, path, mistake.mark.line, mistake.mark.column, hint=mistake.hint
    )


def _placed(path: str, node: Node, complaint: Complaint) -> Problem:
    mark = place(node, complaint.field)
    if complaint.code == "key.unknown":
        mark = _key_mark(node, complaint.field)
    severity: Severity = "warning" if complaint.severity == "warning" else "error"
    return Problem(complaint.code, complaint.message, path, mark.line, mark.column, severity, complaint.hint)


def _key_mark(node: Node, field: Field) -> Mark:
    for key in field[:-1]:
        node = node.children[key]
    return node.keys.get(str(field[-1]), node.mark)


def _capped(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= MAX_MISTAKES:
        return problems
    last = problems[MAX_MISTAKES - 1]
    more = f"{len(problems) - MAX_MISTAKES} more mistakes in this file are not listed"
    return [*problems[:MAX_MISTAKES], Problem("more", more, last.path, last.line, last.column)]


def locate(raw: bytes, field: Field) -> Mark:
    """Line and column of a field in a file that loads; (1, 1) when it is not there."""
    text, wrong = decode(raw)
    parsed = parse_nodes(text) if not wrong else None
    return place(parsed.node, field) if parsed and parsed.node else Mark(1, 1)


def from_mapping(kind: str, value: Any) -> Any:
    """A structure from plain values with the keys of a file. Raises ValueError with the first mistake."""
    try:
        return convert(value, kinds.KINDS[kind].struct)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def decode_value(kind: str, packed: bytes) -> Any:
    """The inverse of `dump.encode_value`: a structure from msgpack, for caches."""
    return convert(msgspec.msgpack.decode(packed), kinds.KINDS[kind].struct)


def good(outcomes: Iterable[Document | list[Problem]]) -> list[Document]:
    """Only the good ones."""
    return [outcome for outcome in outcomes if isinstance(outcome, Document)]
