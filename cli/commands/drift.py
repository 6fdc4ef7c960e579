"""List devices that differ from trunk by somebody else's hand."""

from typing import Annotated

import typer

from cli.answer import answer
from cli.here import Json, counted, indented, opened


def command(
    check: Annotated[bool, typer.Option("--check", help="Status 1 when a device drifted.")] = False,
    as_json: Json = False,
) -> None:
    """List devices that differ from trunk by somebody else's hand, as they were last seen."""
    from reconciler import baselines

    with opened() as here, here.db.read() as conn:
        found = baselines.drifted(conn)
    lines: list[str] = []
    for device, (kind, diff) in sorted(found.items()):
        lines += [f"{device}: {_MEANING.get(kind, kind)}", *indented(diff)]
    lines.append(f"{counted(len(found), 'device')} drifted")
    shown = [{"device": device, "kind": kind, "diff": diff} for device, (kind, diff) in sorted(found.items())]
    answer("drift", text="\n".join(lines), as_json=as_json, drift=shown)
    if check and found:
        raise typer.Exit(1)


_MEANING = {
    "unmanaged": "it has what no intent mentions",
    "not-applied": "it is only observed, and an apply would change this",
    "overruled": "somebody changed it; `trunkline apply DEVICE --overrule` would undo this",
}
