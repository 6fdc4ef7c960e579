"""What the conventions are checked on: the tracked files of the work tree."""

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from core.discovery import ROOMS
from tests.support import ROOT, run


@cache
def tracked() -> tuple[Path, ...]:
    """Files that Git tracks, and those that it would (new, not ignored)."""
    names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT).stdout
    return tuple(path for name in names.split("\0") if name and (path := ROOT / name).is_file())


def room_sources() -> list[Path]:
    """Python files of the rooms."""
    return [path for path in tracked() if path.suffix == ".py" and _top(path) in ROOMS]


def sources_of_tests() -> list[Path]:
    """Python files of the tests."""
    return [path for path in tracked() if path.suffix == ".py" and _top(path) == "tests"]


def name(path: Path) -> str:
    """The path as the work tree names it."""
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    """The syntax tree of a source."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def pyproject() -> dict[str, Any]:
    """pyproject.toml as it is."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _top(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]
