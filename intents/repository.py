"""The bare network repository: reading objects without ever checking anything out, and moving refs safely.

pygit2 reads what is small, `git` itself walks what is large and writes refs with the fsync that we want.
"""

import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import pygit2

from core.errors import Retryable, Terminal
from intents.treediff import Delta, diff_trees

REGULAR = 0o100644
_NEAR = 100
_NOTHING = "0" * 40
# Default Git syncs neither refs nor small packs; a landed change must survive a power cut.
_DURABLE = ("-c", "core.fsync=committed,reference", "-c", "core.fsyncMethod=fsync")


class RepositoryMissing(Terminal):
    """There is no bare repository where the settings say."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is no bare Git repository; run `trunkline init` or correct `repository`")


class GitFailed(Retryable):
    """A `git` command ended with an error."""

    def __init__(self, args: tuple[str, ...], said: str) -> None:
        super().__init__(f"git {' '.join(args[:3])}… failed: {said.strip()[-500:]}")


class RefMoved(Retryable):
    """Somebody else moved the ref between our reading and our writing."""

    def __init__(self, ref: str, wanted: str) -> None:
        super().__init__(f"{ref} is no longer at {wanted[:12]}; rebuild on its new head")


class Entry(NamedTuple):
    """A file of a tree."""

    path: str
    blob: str
    mode: int


class CommitFacts(msgspec.Struct, frozen=True):
    """What a commit says of itself; nothing of it proves who made it."""

    commit: str
    parents: tuple[str, ...]
    author: str
    email: str
    message: str
    at: datetime


class Repository:
    """A bare repository and its trunk. `blobs_read` and `trees_read` count what readers asked for."""

    def __init__(self, path: Path | str, trunk: str = "main") -> None:
        self.path = Path(path)
        self.trunk = trunk
        self.trunk_ref = f"refs/heads/{trunk}"
        self.blobs_read = 0
        self.trees_read = 0
        self.git_calls = 0
        self._compared: tuple[tuple[str, str], list[Delta]] = (("", ""), [])
        try:
            self._repo = pygit2.Repository(str(path), pygit2.enums.RepositoryOpenFlag.BARE)
        except pygit2.GitError as error:
            raise RepositoryMissing(self.path) from error

    def head(self) -> str | None:
        """The commit that trunk is at; None before the first."""
        return self.ref(self.trunk_ref)

    def ref(self, name: str) -> str | None:
        """What a ref points at; None when it does not exist."""
        found = self._repo.references.get(name)
        return None if found is None else str(found.resolve().target)

    def refs(self, prefix: str) -> dict[str, str]:
        """All refs below a prefix such as `refs/trunkline/held/`."""
        names = [name for name in self._repo.references if name.startswith(prefix)]
        return {name: str(self._repo.references[name].target) for name in names}

    def blob_at(self, commit: str, path: str) -> str | None:
        """The object id of a file in a commit; None when it is not there."""
        try:
            return str(self._commit(commit).tree[path].id)
        except KeyError:
            return None

    def read(self, blob: str) -> bytes:
        """The content of a blob."""
        self.blobs_read += 1
        return bytes(self._repo[blob].data)  # type: ignore[attr-defined]

    def blob_id(self, content: bytes) -> str:
        """The object id that this content would have; nothing is written."""
        return str(pygit2.hash(content))

    def entries(self, commit: str) -> list[Entry]:
        """Every file of a commit, in path order."""
        lines = self.git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")
        return [_entry(line) for line in lines if line]

    def read_many(self, blobs: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Contents of many blobs through one `git cat-file`; missing ones are an error."""
        ids = list(blobs)
        self.blobs_read += len(ids)
        yield from _batch(self.path, ids)

    def diff(self, old: str | None, new: str) -> list[Delta]:
        """Paths that differ from `old` (None: the empty tree) to `new`, in path order."""
        if old is None:
            return [Delta(entry.path, None, entry.blob, entry.mode) for entry in self.entries(new)]
        if self._compared[0] != (old, new):
            trees = self._commit(old).tree.id, self._commit(new).tree.id
            found = sorted(diff_trees(self._tree, *trees), key=lambda delta: delta.path)
            self._compared = ((old, new), found)
        return self._compared[1]

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `old` is `new` or is in its history; False also when `old` does not exist any more."""
        if old not in self._repo or new not in self._repo:
            return False
        return old == new or self._repo.descendant_of(pygit2.Oid(hex=new), pygit2.Oid(hex=old))

    def has(self, commit: str) -> bool:
        """Whether the object is in the repository."""
        return commit in self._repo

    def first_parents(self, base: str | None, head: str) -> list[str]:
        """Commits after `base` up to `head` on the first-parent line, oldest first.

        Where `base` came in by a side parent (somebody merged trunk into his branch), `head` alone is given:
        one step with the whole difference.
        """
        near = [] if base is None else self._near(base, head)
        if near:
            return near
        span = [head] if base is None else [f"{base}..{head}"]
        lines = self.git("rev-list", "--first-parent", "--reverse", "--parents", *span).split(b"\n")
        rows = [line.decode().split() for line in lines if line]
        if base is not None and rows and base not in rows[0][1:2]:
            return [head]
        return [row[0] for row in rows]

    def _near(self, base: str, head: str) -> list[str]:
        """The same for a few commits, without starting a program; empty when `base` is not close by."""
        found: list[str] = []
        commit = self._commit(head)
        while str(commit.id) != base:
            if len(found) == _NEAR or not commit.parents:
                return []
            found.append(str(commit.id))
            commit = commit.parents[0]
        return found[::-1]

    def facts(self, commit: str) -> CommitFacts:
        """Author, message, parents and time of a commit."""
        found = self._commit(commit)
        return CommitFacts(
            commit=commit,
            parents=tuple(str(one) for one in found.parent_ids),
            author=found.author.name,
            email=found.author.email,
            message=found.message,
            at=datetime.fromtimestamp(found.commit_time, UTC),
        )

    def update_ref(self, ref: str, new: str, old: str | None) -> None:
        """Move a ref durably from `old` (None: it must not exist). Raises RefMoved."""
        try:
            self.git(*_DURABLE, "update-ref", ref, new, old or _NOTHING)
        except GitFailed as error:
            if self.ref(ref) != old:
                raise RefMoved(ref, old or "nothing") from error
            raise

    def set_ref(self, ref: str, new: str) -> None:
        """Point a ref of our own at a commit, wherever it was."""
        self._repo.references.create(ref, new, force=True)

    def delete_ref(self, ref: str) -> None:
        """Remove a ref of our own; fine when it is not there."""
        if ref in self._repo.references:
            self._repo.references.delete(ref)

    def is_signed(self, commit: str) -> bool:
        """Whether a commit carries a signature, good or not."""
        return self._commit(commit).gpg_signature[0] is not None

    def git(self, *args: str, given: bytes | None = None, errors: bool = False) -> bytes:
        """Run `git` in this repository; returns what it printed, with `errors` on stderr. Raises GitFailed."""
        self.git_calls += 1
        done = subprocess.run(
            ["git", "--git-dir", str(self.path), *args], input=given, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise GitFailed(args, done.stderr.decode(errors="replace"))
        return done.stderr if errors else done.stdout

    def _tree(self, tree: pygit2.Oid) -> pygit2.Tree:
        self.trees_read += 1
        return self._repo[tree].peel(pygit2.Tree)

    def _commit(self, commit: str) -> pygit2.Commit:
        return self._repo.revparse_single(commit).peel(pygit2.Commit)


def _entry(line: bytes) -> Entry:
    about, path = line.split(b"\t", 1)
    mode, _, blob = about.decode().split()
    return Entry(path.decode(errors="surrogateescape"), blob, int(mode, 8))


def _batch(path: Path, ids: list[str]) -> Iterator[tuple[str, bytes]]:
    """Feed all ids through a file: a pipe for input could fill up while we read the output."""
    with tempfile.TemporaryFile() as asked:
        asked.write("".join(f"{one}\n" for one in ids).encode())
        asked.seek(0)
        command = ["git", "--git-dir", str(path), "cat-file", "--batch", "--buffer"]
        with subprocess.Popen(command, stdin=asked, stdout=subprocess.PIPE) as reader:
            out = reader.stdout
            if out is None:
                return
            for one in ids:
                about = out.readline().split()
                if len(about) != 3:
                    raise GitFailed(("cat-file",), f"object {one} is missing")
                content = out.read(int(about[2]))
                out.read(1)
                yield one, content
