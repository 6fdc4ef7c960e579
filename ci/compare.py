"""Compare two revisions of a network repository, or the files of a folder with a revision.

The newer side is read whole, once: validation needs all of it. Of the older side only what differs is read; the rest is
the newer side's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pygit2

from core.db import Database
from core.preview import Comparison, Identity, Section, sections
from core.problems import Problem, has_errors
from intents import kinds
from intents.loader import Document, load
from intents.overlay import Overlay
from intents.reader import Reader
from intents.repository import Repository
from intents.tree import File, Folder, NoSuchTree, Revision, revision
from intents.validate import Examined, Progress, examine


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a review wants to know. `base` is a commit or "" (nothing to compare with); `head` a commit
    or "" (the files in the folder). `problems` are of the validation and of the sections.
    """

    base: str
    head: str
    examined: Examined
    changed: tuple[str, ...]
    sections: tuple[Section, ...]
    problems: tuple[Problem, ...]

    @property
    def is_good(self) -> bool:
        """Whether there is no error."""
        return not has_errors(self.problems)


class _Noting:
    """A tree that notes the blob id of every file while it is read."""

    def __init__(self, tree: Folder | Revision) -> None:
        self._tree = tree
        self.blobs: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._tree)

    def files(self) -> Iterator[File]:
        """Every file, in path order."""
        for file in self._tree.files():
            is_blob = isinstance(self._tree, Revision)
            self.blobs[file.path] = file.name if is_blob else str(pygit2.hash(file.raw))
            yield file

    def content(self, name: str) -> bytes:
        """The bytes of a file."""
        return self._tree.content(name)


def compare(
    directory: Path, base: str | None, head: str | None, progress: Progress, db: Database | None = None
) -> Compared:
    """Validate the newer side and preview what it does to the older one. Raises NoSuchTree.

    `head` None: the files in the folder (a bare repository: its HEAD). `base` None: the parent of `head`, or the
    commit that the folder's files were checked out from; a base that moved on counts from where they parted.
    """
    is_bare = (directory / "HEAD").is_file() and (directory / "objects").is_dir()
    newer = revision(directory, head or "HEAD") if head or is_bare else Folder(directory)
    commit = newer.commit if isinstance(newer, Revision) else ""
    noted = _Noting(newer)
    examined = examine(noted, progress)
    older = _older(directory, base, commit)
    found: list[Section] = []
    changed: list[str] = []
    if older is not None:
        repo, since = older
        old = {entry.path: entry.blob for entry in repo.entries(since)}
        changed = [
            path for path in sorted(old.keys() | noted.blobs.keys()) if old.get(path) != noted.blobs.get(path)
        ]
        found = sections(_comparison(repo, old, changed, examined.reader, db))
    problems = [*examined.problems, *(problem for section in found for problem in section.problems)]
    return Compared(
        base=older[1] if older else "",
        head=commit,
        examined=examined,
        changed=tuple(changed),
        sections=tuple(found),
        problems=tuple(sorted(problems, key=Problem.order)),
    )


def _comparison(
    repo: Repository, old: dict[str, str], changed: list[str], head: Reader, db: Database | None
) -> Comparison:
    before = _before(repo, old, changed)
    identities = before.keys() | {one for path in changed if (one := kinds.identity_of(path)) is not None}
    # A file with a mistake would stay at its last good version, so for the preview it does not change.
    bad = {one for one in identities if head.get(*one) is None and head.exists(*one)}
    newer = Overlay(head, {one: before.get(one) for one in bad}) if bad else head
    moved = {one for one in identities - bad if before.get(one) != head.get(*one)}
    older = Overlay(newer, {one: before.get(one) for one in moved})
    return Comparison(base=older, head=newer, changed=frozenset(moved), db=db)


def _before(repo: Repository, old: dict[str, str], changed: list[str]) -> dict[Identity, object]:
    """What the changed files said before; those that were bad then said nothing."""
    paths = [path for path in changed if path in old and kinds.identity_of(path) is not None]
    contents = repo.read_many([old[path] for path in paths])
    loaded = (load(path, raw) for path, (_, raw) in zip(paths, contents, strict=True))
    return {(one.kind, one.id): one.value for one in loaded if isinstance(one, Document)}


def _older(directory: Path, base: str | None, head: str) -> tuple[Repository, str] | None:
    """The repository and the commit to compare with, or None where there is none."""
    if base is not None:
        return _parted(directory, base, head)
    try:
        found = revision(directory, "HEAD" if not head else f"{head}^")
    except NoSuchTree:
        return None
    return found.repository, found.commit


def _parted(directory: Path, base: str, head: str) -> tuple[Repository, str]:
    found = revision(directory, base)
    if not head:
        return found.repository, found.commit
    opened = pygit2.Repository(str(found.repository.path))
    common: Any = opened.merge_base(pygit2.Oid(hex=found.commit), pygit2.Oid(hex=head))
    return found.repository, str(common) if common is not None else found.commit
