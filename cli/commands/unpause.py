"""Let a paused device go on now."""

from typing import Annotated

import typer

from cli.answer import answer
from cli.here import Actor, Json, opened


def command(
    device: Annotated[str, typer.Argument(help="A device's id.")], actor: Actor, as_json: Json = False
) -> None:
    """Let a paused device go on now; status 1 when it was not paused."""
    from reconciler import pausing

    with opened() as here, here.db.write() as conn:
        was = pausing.unpause(conn, device, actor=actor)
    text = f"{device} goes on" if was else f"{device} was not paused"
    answer("unpause", text=text, as_json=as_json, device=device, was_paused=was)
    if not was:
        raise typer.Exit(1)
