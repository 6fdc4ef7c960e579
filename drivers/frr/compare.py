"""Turn what `frr-reload.py --test` shows into a small diff, without what it always shows.

The tool prints every line with its context repeated, first deletions as `no …`, then additions, and never comes
to an empty answer: it reports the hostname, `line vty`, the version heading, and contexts with nothing in them.
A line that appears on both sides (the tool removes and adds it in another order) is no change either.
"""

import re
from collections.abc import Iterable, Iterator

Line = tuple[tuple[str, ...], str]
"""(the context's lines from the outside in, the line itself)."""
Tree = dict[str, tuple[str, "Tree"]]
"""line -> (its mark: "-", "+" or " ", what lies in it)."""

_NOISE = re.compile(
    r"(no )?(hostname |frr (version|defaults) |service integrated-vtysh-config$|line vty$|end$|!|exit$)"
)
_PASSWORD = re.compile(r"(password|message-digest-key \d+ md5|authentication-key)( \d)? \S+")
_EMPTY_CONTEXTS = ("interface ", "address-family ")
"""A header of these alone changes nothing."""


def difference(shown: str, candidate: str, merge: bool = False) -> str:
    """A diff with contexts as unmarked lines; "" when nothing would change. Passwords are not shown.

    `shown` is what `frr-reload.py --test` printed for `candidate`; a merge deletes nothing.
    """
    deletions, additions = _sections(shown)
    gone = [(context, _positive(line)) for context, line in _entries(deletions)]
    fresh = list(_entries(additions))
    removing = [entry for entry in fresh if _is_removal(entry, candidate)]
    gone += [(context, _positive(line)) for context, line in removing]
    return _diff([] if merge else gone, [entry for entry in fresh if entry not in removing])


def _is_removal(entry: Line, candidate: str) -> bool:
    """The tool lists the removal of some lines (static routes) among the additions."""
    line = entry[1]
    return line.startswith("no ") and line not in {own.strip() for own in candidate.splitlines()}


def masked(text: str) -> str:
    """Configuration without its passwords."""
    return _PASSWORD.sub(lambda match: f"{match[1]} <secret>", text)


def _sections(shown: str) -> tuple[str, str]:
    head, _, additions = shown.partition("Lines To Add\n")
    return head.partition("Lines To Delete\n")[2], additions


def _entries(section: str) -> Iterator[Line]:
    """Every entry starts at the margin and repeats its context, one blank deeper each; its last line counts."""
    entry: list[str] = []
    for raw in section.splitlines():
        if not raw.strip() or set(raw) == {"="}:
            continue
        if not raw.startswith(" ") and entry:
            yield tuple(entry[:-1]), entry[-1]
            entry = []
        entry.append(raw.strip())
    if entry:
        yield tuple(entry[:-1]), entry[-1]


def _positive(line: str) -> str:
    return line.removeprefix("no ") if line.startswith("no ") else f"no {line}"


def _diff(gone: list[Line], fresh: list[Line]) -> str:
    old, new = set(gone), set(fresh)
    marked = [("-", entry) for entry in gone if entry not in new and not _idle(entry)]
    marked += [("+", entry) for entry in fresh if entry not in old and not _idle(entry)]
    return masked("".join(f"{line}\n" for line in _written(_tree(marked))))


def _idle(entry: Line) -> bool:
    context, line = entry
    return bool(_NOISE.match(line)) or (len(context) < 2 and line.startswith(_EMPTY_CONTEXTS))


def _tree(marked: Iterable[tuple[str, Line]]) -> Tree:
    root: Tree = {}
    for mark, (context, line) in marked:
        level = root
        for header in context:
            level = level.setdefault(header, (" ", {}))[1]
        level[line] = (mark, level.get(line, (" ", {}))[1])
    return root


def _written(tree: Tree, depth: int = 0) -> Iterator[str]:
    for line, (mark, inner) in tree.items():
        yield f"{mark}{' ' * depth}{line}"
        yield from _written(inner, depth + 1)
