"""Putting files into a new folder, and the folder's first commit."""

from collections.abc import Mapping
from pathlib import Path

import git

from core.errors import Terminal


class FolderNotEmpty(Terminal):
    """A network repository is written into an empty folder only."""

    def __init__(self, folder: Path, found: str) -> None:
        super().__init__(f"{folder} is not empty (it has {found}); name a folder that is new or empty")


class FolderNotUsable(Terminal):
    """A folder that cannot be written to."""

    def __init__(self, folder: Path, why: str) -> None:
        super().__init__(f"cannot write to {folder}: {why}")


def check_empty(folder: Path) -> None:
    """Raise FolderNotEmpty unless the folder is new or empty; a `.git` in it is welcome."""
    if folder.exists() and not folder.is_dir():
        raise FolderNotUsable(folder, "it is a file")
    try:
        found = (
            sorted(entry.name for entry in folder.iterdir() if entry.name != ".git")
            if folder.exists()
            else []
        )
    except OSError as error:
        raise FolderNotUsable(folder, error.strerror or str(error)) from error
    if found:
        raise FolderNotEmpty(folder, f"{found[0]} and more" if len(found) > 1 else found[0])


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write path -> content below the folder. Raises FolderNotUsable."""
    try:
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    except OSError as error:
        raise FolderNotUsable(folder, error.strerror or str(error)) from error


def first_commit(folder: Path, paths: list[str], trunk: str = "main") -> str:
    """Make the folder a Git repository with one commit of these files; returns the commit."""
    try:
        repo = git.Repo(folder) if (folder / ".git").exists() else git.Repo.init(folder, initial_branch=trunk)
        with repo:
            repo.index.add(paths)
            return str(repo.index.commit("Declare the network", skip_hooks=True).hexsha)
    except (git.GitError, OSError, ValueError) as error:
        raise FolderNotUsable(folder, f"Git says {error}") from error
