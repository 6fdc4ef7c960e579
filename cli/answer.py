"""How commands answer: data on stdout as text or as the JSON contract, problems with it, and the exit status."""

import json
from collections.abc import Iterable
from typing import Any

import typer

from core.problems import Problem, envelope, has_errors


def answer(
    what: str, *, text: str = "", problems: Iterable[Problem] = (), as_json: bool = False, **fields: Any
) -> None:
    """Print one answer and raise `typer.Exit(1)` when a problem is an error.

    As JSON: `{"schema": "trunkline.<what>/1", …fields, "problems": […]}`; as text: the problems, then `text`.
    """
    found = sorted(problems, key=Problem.order)
    if as_json:
        typer.echo(json.dumps(envelope(what, found, **fields), ensure_ascii=False))
    else:
        for line in [*map(str, found), text]:
            if line:
                typer.echo(printable(line, keep="\n\t"))
    if has_errors(found):
        raise typer.Exit(1)


def printable(text: str, keep: str = "") -> str:
    """Text that a terminal only shows: what is no printable character (escape sequences, the end of a line, marks that
    turn the writing round) is written out, but for those to `keep`. Strangers choose logins and texts of devices.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in keep else one.encode("unicode_escape").decode() for one in text
    )
