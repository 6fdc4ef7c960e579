"""How commands answer: data on stdout as text or as the JSON contract, problems with it, and the exit status."""

import json
import unicodedata
from collections.abc import Iterable
from typing import Any

import typer

from core.problems import Problem, envelope, has_errors

_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


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
    """Text that a terminal only shows: what does something to it (escape sequences, the end of a line, marks that turn
    the writing round) is written out, but for those to `keep`. Strangers choose logins and texts of devices.
    """
    if text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode() if one not in keep and _acts(one) else one for one in text
    )


def _acts(one: str) -> bool:
    """Whether a character is a control, no character at all, ends a line, or turns the direction of writing."""
    return unicodedata.category(one) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") or one in _DIRECTIONS
