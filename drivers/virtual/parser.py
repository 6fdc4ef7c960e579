"""Text to tree and back, by the grammar: every mistake at once, with its line."""

import difflib
from collections.abc import Iterable

import msgspec

from drivers.virtual.grammar import SECTIONS, Pattern, language
from drivers.virtual.tree import Tree, natural


class Mistake(msgspec.Struct, frozen=True):
    """A line (from 1) that the device does not take, and why."""

    line: int
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}"


class NotUnderstood(Exception):
    """A configuration has mistakes; `str()` lists all of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(f"syntax error, {mistake}" for mistake in mistakes))
        self.mistakes = mistakes


class _Line(msgspec.Struct, frozen=True):
    number: int
    depth: int
    text: str


def parse(configuration: str, role: str) -> Tree:
    """The canonical tree of a configuration. Raises NotUnderstood."""
    mistakes: list[Mistake] = []
    tree = _block(_lines(configuration, mistakes), 0, language(role), mistakes, removals=False)
    _stop_at(mistakes)
    return tree


def merge(running: Tree, addition: str, role: str) -> Tree:
    """`running` with the lines of `addition` put in; `no LINE` takes a line or block away. Raises NotUnderstood."""
    mistakes: list[Mistake] = []
    added = _block(_lines(addition, mistakes), 0, language(role), mistakes, removals=True)
    _stop_at(mistakes)
    return _merged(running, added, language(role))


def replace_sections(running: Tree, configuration: str, sections: Iterable[str], role: str) -> Tree:
    """`running` with its lines of the named sections replaced by those of a whole configuration.

    Raises NotUnderstood; KeyError for a section that does not exist.
    """
    words = frozenset().union(*(SECTIONS[section] for section in sections))
    wanted = parse(configuration, role)
    kept = {line: below for line, below in running.items() if line.split(" ", 1)[0] not in words}
    new = {line: below for line, below in wanted.items() if line.split(" ", 1)[0] in words}
    return _canonical(kept | new, language(role))


def _stop_at(mistakes: list[Mistake]) -> None:
    if mistakes:
        raise NotUnderstood(sorted(mistakes, key=lambda mistake: mistake.line))


def _lines(configuration: str, mistakes: list[Mistake]) -> list[_Line]:
    found: list[_Line] = []
    for number, raw in enumerate(configuration.split("\n"), 1):
        stripped = raw.strip(" ")
        if not stripped or stripped.startswith(("!", "#")):
            continue
        indent = len(raw) - len(raw.lstrip(" "))
        if any(ord(character) < 32 or ord(character) == 127 for character in stripped):
            mistakes.append(Mistake(number, "control characters and tabs are not allowed"))
        elif indent % 2:
            mistakes.append(Mistake(number, "indentation is two spaces a level"))
        else:
            found.append(_Line(number, indent // 2, stripped))
    return found


def _block(
    lines: list[_Line], depth: int, patterns: tuple[Pattern, ...], mistakes: list[Mistake], removals: bool
) -> Tree:
    tree: Tree = {}
    seen: dict[tuple[object, ...], int] = {}
    position = 0
    while position < len(lines):
        head = lines[position]
        end = position + 1
        while end < len(lines) and lines[end].depth > depth:
            end += 1
        below = lines[position + 1 : end]
        position = end
        wanted = head.text.removeprefix("no ") if removals else head.text
        pattern = _match(head, wanted, depth, patterns, mistakes)
        if pattern is None:
            continue
        identity = (*pattern.identity(wanted), wanted != head.text)
        if identity in seen:
            mistakes.append(Mistake(head.number, f"'{head.text}' says again what line {seen[identity]} says"))
        seen[identity] = head.number
        tree[head.text] = _block(below, depth + 1, pattern.below, mistakes, removals)
    return _canonical(tree, patterns)


def _match(
    head: _Line, wanted: str, depth: int, patterns: tuple[Pattern, ...], mistakes: list[Mistake]
) -> Pattern | None:
    if head.depth != depth or not patterns:
        mistakes.append(Mistake(head.number, f"'{head.text}' stands too deep"))
        return None
    pattern = pattern_of(wanted, patterns)
    if pattern is None:
        mistakes.append(Mistake(head.number, _why(wanted, patterns)))
    return pattern


def pattern_of(line: str, patterns: tuple[Pattern, ...]) -> Pattern | None:
    """The pattern that a line follows."""
    return next((pattern for pattern in patterns if pattern.values(line) is not None), None)


def _why(line: str, patterns: tuple[Pattern, ...]) -> str:
    first = line.split(" ", 1)[0]
    forms = [" ".join(pattern.words) for pattern in patterns if pattern.words[0] == first]
    if forms:
        return f"'{line}' does not read as '{' | '.join(forms)}'"
    near = difflib.get_close_matches(first, {pattern.words[0] for pattern in patterns}, 1)
    return f"unknown statement '{first}'" + (f"; did you mean '{near[0]}'?" if near else "")


def _canonical(tree: Tree, patterns: tuple[Pattern, ...]) -> Tree:
    def key(line: str) -> tuple[int, list[tuple[int, int, str]]]:
        pattern = pattern_of(line, patterns)
        return (pattern.position if pattern else -1, natural(line))

    return {line: tree[line] for line in sorted(tree, key=key)}


def _merged(running: Tree, added: Tree, patterns: tuple[Pattern, ...]) -> Tree:
    result = dict(running)
    for line, below in added.items():
        target = line.removeprefix("no ")
        pattern = pattern_of(line, patterns) or pattern_of(target, patterns)
        if pattern is None:
            continue
        if pattern_of(line, patterns) is None:
            result.pop(target, None)
        elif pattern.is_block:
            result[line] = _merged(result.get(line, {}), below, pattern.below)
        else:
            identity = pattern.identity(line)
            result = {kept: tree for kept, tree in result.items() if _identity(kept, patterns) != identity}
            result[line] = {}
    return _canonical(result, patterns)


def _identity(line: str, patterns: tuple[Pattern, ...]) -> tuple[object, ...]:
    pattern = pattern_of(line, patterns)
    return pattern.identity(line) if pattern else ()
