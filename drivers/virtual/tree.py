"""Configuration as a tree of lines: canonical text, difference, masking. A tree is {line: tree below it}."""

import re
from typing import TypeAlias

Tree: TypeAlias = dict[str, "Tree"]
_MASK = "<removed>"


def natural(line: str) -> list[tuple[int, int, str]]:
    """A sort key that puts et-0/0/2 before et-0/0/10."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", line)]


def text(tree: Tree, depth: int = 0) -> str:
    """The tree as indented lines, in the order of the tree (parser and merge keep that canonical)."""
    return "".join(f"{'  ' * depth}{line}\n{text(below, depth + 1)}" for line, below in tree.items())


def difference(old: Tree, new: Tree) -> str:
    """What changes, as `-` and `+` lines below the blocks they stand in; empty when nothing does."""
    return "".join(f"{line}\n" for line in _difference(old, new, 0))


def _difference(old: Tree, new: Tree, depth: int) -> list[str]:
    pad = "  " * depth
    found: list[str] = []
    for line in [*old, *(line for line in new if line not in old)]:
        if line not in new:
            found += _marked("-", pad, line, old[line], depth)
        elif line not in old:
            found += _marked("+", pad, line, new[line], depth)
        elif below := _difference(old[line], new[line], depth + 1):
            found += [f"  {pad}{line}", *below]
    return found


def _marked(mark: str, pad: str, line: str, below: Tree, depth: int) -> list[str]:
    return [f"{mark} {pad}{line}", *(f"{mark} {part}" for part in text(below, depth + 1).splitlines())]


def masked(configuration: str) -> str:
    """The text without its secrets."""
    return re.sub(r"^( *(?:secret|password)) .*$", rf"\1 {_MASK}", configuration, flags=re.MULTILINE)
