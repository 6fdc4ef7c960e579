"""Walking a tree of files, in a folder or in a commit: path, Git mode, and content on demand."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pygit2

from core.errors import Terminal
from core.problems import Problem
from intents.repository import Repository
from intents.yaml_strict import MAX_BYTES, Mistake, too_big

LINK, SUBMODULE, REGULAR = 0o120000, 0o160000, 0o100644
_ODD = 0o100755


class NoSuchTree(Terminal):
    """There is no folder, repository or revision of this name."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"cannot read {name}: {why}")


class File(NamedTuple):
    """A file of a tree. `name` is what finds its content again; `mistake` is why it is not read."""

    path: str
    mode: int
    name: str
    raw: bytes = b""
    mistake: Mistake | None = None


def shown_path(path: str) -> str:
    """A path for people: bytes that are not text, and control characters, are spelled out."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def mode_problem(path: str, mode: int) -> Problem | None:
    """What is wrong with the mode of a file in Git: only 100644 is an intent."""
    if mode == LINK:
        return Problem("path.symlink", "a symbolic link", path, hint="put the file itself there")
    if mode == SUBMODULE:
        return Problem("path.submodule", "a submodule", path, hint="one repository holds the whole network")
    if mode != REGULAR:
        return Problem("path.mode", f"mode {mode:06o}; an intent has 100644", path, hint=f"chmod 644 {path}")
    return None


class Folder:
    """The files of a folder as Git would see them; `.git` is left out."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise NoSuchTree(str(root), "it is no folder")
        self.root = root
        self._entries = list(self._walk(root, ""))

    def __len__(self) -> int:
        return len(self._entries)

    def files(self) -> Iterator[File]:
        """Every file, in path order."""
        for path, mode, size in sorted(self._entries):
            if mode != REGULAR:
                yield File(path, mode, path)
            elif size > MAX_BYTES:
                yield File(path, mode, path, mistake=too_big(size))
            else:
                yield File(path, mode, path, self.content(path))

    def content(self, name: str) -> bytes:
        """A file's bytes."""
        return (self.root / name).read_bytes()

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, int, int]]:
        for entry in os.scandir(folder):
            path = f"{prefix}{entry.name}"
            if entry.is_symlink():
                yield path, LINK, 0
            elif entry.is_dir(follow_symlinks=False):
                yield from self._folder(entry.name, path)
            else:
                about = entry.stat(follow_symlinks=False)
                yield path, _git_mode(about.st_mode), about.st_size

    def _folder(self, name: str, path: str) -> Iterator[tuple[str, int, int]]:
        if name == ".git":
            return
        if (self.root / path / ".git").exists():
            yield path, SUBMODULE, 0
        else:
            yield from self._walk(self.root / path, f"{path}/")


def _git_mode(mode: int) -> int:
    if not stat.S_ISREG(mode):
        return 0
    return _ODD if mode & stat.S_IXUSR else REGULAR


class Revision:
    """The files of a commit in a bare repository or in a clone."""

    def __init__(self, repo: Repository, commit: str) -> None:
        self.commit = commit
        self._repo = repo
        self._entries = repo.entries(commit)

    def __len__(self) -> int:
        return len(self._entries)

    def files(self) -> Iterator[File]:
        """Every file, in path order."""
        plain = [entry.blob for entry in self._entries if entry.mode == REGULAR]
        contents = self._repo.read_many(plain)
        for entry in self._entries:
            raw = next(contents)[1] if entry.mode == REGULAR else b""
            yield File(entry.path, entry.mode, entry.blob, raw)

    @property
    def repository(self) -> Repository:
        """Where the commit is."""
        return self._repo

    def content(self, name: str) -> bytes:
        """A blob's bytes."""
        return self._repo.read(name)


def revision(path: Path, rev: str) -> Revision:
    """A revision (`HEAD`, a branch, a commit) of a bare repository or a clone. Raises NoSuchTree."""
    git = path / ".git" if (path / ".git").exists() else path
    try:
        found = pygit2.Repository(str(git))
        commit = found.revparse_single(rev).peel(pygit2.Commit)
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise NoSuchTree(f"{path} at {rev}", str(error).strip("'\"")) from error
    return Revision(Repository(Path(found.path)), str(commit.id))
