"""Validate a change and preview what it would do, as Markdown for its review."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.progress import Bar

if TYPE_CHECKING:
    from core.db import Database


def command(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="A folder with a network repository; also a bare one.")
    ] = Path(),
    base: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Compare with this revision; by default with the commit before."),
    ] = None,
    head: Annotated[
        str | None, typer.Option(metavar="REV", help="Preview this revision instead of the files in DIR.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as JSON.")] = False,
) -> None:
    """Validate a change and preview what it would do: devices, subscribers, live sessions, revenue. Needs no secret.

    Status 1 when there is an error.
    """
    from ci.compare import compare
    from ci.report import report
    from core import discovery
    from intents.tree import NoSuchTree

    discovery.load_all(("intents", "inventory", "aaa", "billing", "reconciler"))
    try:
        with _sessions() as db, Bar("reading") as bar:
            found = compare(directory, base, head, bar, db)
    except OSError as error:
        raise NoSuchTree(str(error.filename or directory), error.strerror or str(error)) from error
    if not as_json:
        typer.echo(report(found), nl=False)
        raise typer.Exit(0 if found.is_good else 1)
    answer(
        "ci", problems=found.problems, as_json=True, valid=found.is_good, base=found.base, head=found.head,
        files=found.examined.files, changed=list(found.changed),
        sections=[_plain(section) for section in found.sections],
    )  # fmt: skip


@contextmanager
def _sessions() -> "Iterator[Database | None]":
    """Recorded state where this home has an installation: then live sessions can be counted."""
    from core.db import Database
    from core.settings import Settings

    settings = Settings.load()
    if not settings.repository.exists():
        yield None
        return
    db = Database(settings.database_url)
    try:
        yield db
    finally:
        db.close()


def _plain(section: Any) -> dict[str, Any]:
    return {"title": section.title, "markdown": section.markdown, "data": section.data}
