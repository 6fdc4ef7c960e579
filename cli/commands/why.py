"""Say why a line is on a device: its template, the intents behind it, and their last commits."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer
from cli.here import Json, opened, plain

if TYPE_CHECKING:
    from reconciler.tracing import LastChange, Line, Trace


def command(
    device: Annotated[str, typer.Argument(help="A device's id.")],
    text: Annotated[str, typer.Argument(help="Text of the line, say an address.")],
    as_json: Json = False,
) -> None:
    """Say why a line is on a device; status 1 when Trunkline does not put such a line there."""
    from reconciler.tracing import trace

    with opened() as here:
        found = trace(here.context, here.repo, device, text)
    answer("why", text="\n".join(_told(found, text)), as_json=as_json, **plain(found))
    if not found.lines:
        raise typer.Exit(1)


def _told(found: "Trace", text: str) -> list[str]:
    if not found.lines:
        return [f"{found.device}: no line with '{text}' comes from trunk at {found.revision[:12]}"]
    lines = [_line(line) for line in found.lines]
    lines += [f"… {found.more_lines} more lines with it"] if found.more_lines else []
    read = f"{found.documents} files were read for {found.device}; nearest to the line:"
    return [*lines, read, *(_change(change) for change in found.changes)]


def _line(line: "Line") -> str:
    place = f"{line.template}:{line.template_line}" if line.template else "written by the renderer itself"
    return f"{line.number}: {line.text}\n    {place}"


def _change(change: "LastChange") -> str:
    who = f"{change.actor}, change set {change.change_set}" if change.change_set else f"actor {change.actor}"
    why = f", {change.correlation}" if change.correlation else ""
    return (
        f"    {change.path}\n"
        f"        {change.commit[:12]} {change.at:%Y-%m-%d %H:%M} {change.author}: {change.subject} ({who}{why})"
    )
