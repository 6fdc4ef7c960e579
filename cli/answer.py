"""How commands answer: data on stdout as text or as the JSON contract, problems with it, and the exit status."""

from collections.abc import Iterable
from typing import Any

import typer

from core.problems import Problem, envelope, has_errors
from core.shown import printable, to_json


def answer(
    what: str, *, text: str = "", problems: Iterable[Problem] = (), as_json: bool = False, **fields: Any
) -> None:
    """Print one answer and raise `typer.Exit(1)` when a problem is an error.

    As JSON: `{"schema": "trunkline.<what>/1", …fields, "problems": […]}`; as text: the problems, then `text`.
    """
    found = sorted(problems, key=Problem.order)
    if as_json:
        typer.echo(to_json(envelope(what, found, **fields)))
    else:
        for line in [*map(str, found), text]:
            if line:
                typer.echo(printable(line, keep="\n\t"))
    if has_errors(found):
        raise typer.Exit(1)
