"""Say every mistake in a network repository, with file, line and column."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from cli.answer import answer
from cli.progress import Bar
from core import discovery
from core.problems import Severity
from intents.tree import Folder, NoSuchTree, Revision, revision
from intents.validate import Examined, examine

_LEVELS: tuple[Severity, ...] = ("error", "warning")


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="A folder with a network repository; also a bare one.")
    ] = Path(),
    rev: Annotated[
        str | None,
        typer.Option("--rev", metavar="REV", help="Validate this revision instead of the files in DIR."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Say every mistake in a network repository; status 1 when there is an error, 3 when it cannot be read."""
    discovery.load_all(("intents", "inventory", "aaa"))
    examined = _examine(directory, rev)
    problems = examined.problems
    levels = Counter(problem.severity for problem in problems)
    answer(
        "validate",
        text=_summary(examined, levels),
        problems=problems,
        as_json=as_json,
        valid=not levels["error"],
        files=examined.files,
        documents=examined.counts,
        errors=levels["error"],
        warnings=levels["warning"],
    )


def _examine(directory: Path, rev: str | None) -> Examined:
    try:
        with Bar("validating") as bar:
            return examine(_tree(directory, rev), bar)
    except OSError as error:
        raise NoSuchTree(str(error.filename or directory), error.strerror or str(error)) from error


def _tree(directory: Path, rev: str | None) -> Folder | Revision:
    if rev is not None:
        return revision(directory, rev)
    if (directory / "HEAD").is_file() and (directory / "objects").is_dir():
        return revision(directory, "HEAD")
    return Folder(directory)


def _summary(examined: Examined, levels: Counter[Severity]) -> str:
    what = ", ".join(f"{count} {kind}" for kind, count in examined.counts.items()) or "nothing"
    told = [_plural(levels[level], level) for level in _LEVELS if levels[level]]
    return f"{_plural(examined.files, 'file')} ({what}): {', '.join(told) or 'no problem'}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
