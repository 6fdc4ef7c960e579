"""Validate a whole tree: every file by itself, then what only shows between files. All mistakes at once."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from core.problems import Problem
from intents import checks, kinds
from intents.loader import Document, load
from intents.reader import Identity, MemoryReader
from intents.repository import Repository
from intents.tree import File, Folder, Revision, mode_problem, shown_path

Progress = Callable[[int, int], None]
"""Called with how many files are done, and of how many."""


class Tree(Protocol):
    """Files to validate."""

    def __len__(self) -> int: ...

    def files(self) -> Iterator[File]:
        """Every file, in path order."""

    def content(self, name: str) -> bytes:
        """The bytes of a file, by `File.name`."""


class Examined(msgspec.Struct, frozen=True):
    """What was found: problems in the order of places, the good documents, how many there are of each kind."""

    problems: list[Problem]
    reader: MemoryReader
    counts: dict[str, int]
    files: int


def validate_dir(path: Path | str) -> list[Problem]:
    """Every problem of the files in a folder."""
    return examine(Folder(Path(path))).problems


def validate_tree(repo: Repository, commit: str) -> list[Problem]:
    """Every problem of a commit's files."""
    return examine(Revision(repo, commit)).problems


def examine(tree: Tree, progress: Progress = lambda _done, _all: None) -> Examined:
    """Load every file, check what lies between them, and place every finding."""
    reading = _Reading()
    total = len(tree)
    for done, file in enumerate(tree.files(), 1):
        reading.take(file)
        if done % 250 == 0 or done == total:
            progress(done, total)
    reader = MemoryReader(reading.documents, reading.bad)
    problems = [*reading.problems, *same_ids(reading.seen)]
    between = checks.run(reader, content=lambda kind, name: reading.content(tree, (kind, name)))
    known = {(problem.code, problem.path) for problem in problems}
    problems += [
        problem
        for problem in between
        if problem.code != "id.case" or (problem.code, problem.path) not in known
    ]
    counts = Counter(document.kind for document in reading.documents)
    return Examined(sorted(problems, key=Problem.order), reader, dict(sorted(counts.items())), total)


class _Reading:
    """What has been read so far."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self.problems: list[Problem] = []
        self.bad: set[Identity] = set()
        self.names: dict[Identity, str] = {}
        self.seen: list[tuple[Identity, str]] = []

    def take(self, file: File) -> None:
        """Load one file, or say why not."""
        path = shown_path(file.path)
        identity = kinds.identity_of(path)
        outcome = self._load(file, path)
        if identity is not None:
            self.seen.append((identity, path))
        if isinstance(outcome, Document):
            self.documents.append(outcome)
            self.names[outcome.kind, outcome.id] = file.name
            self.problems += outcome.warnings
        elif outcome:
            self.problems += outcome
            self.bad.update([identity] if identity is not None else [])

    def content(self, tree: Tree, identity: Identity) -> bytes | None:
        """The bytes of a good document."""
        name = self.names.get(identity)
        return None if name is None else tree.content(name)

    def _load(self, file: File, path: str) -> Document | list[Problem]:
        odd = mode_problem(path, file.mode)
        if kinds.is_foreign(path):
            return [odd] if odd is not None and odd.code != "path.mode" else []
        if odd is not None:
            return [odd]
        if file.mistake is not None:
            return [Problem(file.mistake.code, file.mistake.message, path, 1, 1, hint=file.mistake.hint)]
        return load(path, file.raw)


def same_ids(seen: list[tuple[Identity, str]]) -> Iterator[Problem]:
    """Files whose ids are the same, or differ only in case; told at the later one."""
    first: dict[Identity, tuple[str, str]] = {}
    for (kind, identifier), path in sorted(seen, key=lambda pair: (pair[0], pair[1])):
        key = (kind, identifier.lower())
        if key not in first:
            first[key] = (identifier, path)
            continue
        other, place = first[key]
        if other != identifier:
            message = f"{kind} {identifier} and {kind} {other} differ only in case"
            yield Problem("id.case", message, path, hint=f"the other is {place}")
