"""Write nothing to a device for a time: whoever repairs it by hand is not undone behind their back."""

from typing import Annotated

import typer

from cli.answer import answer
from cli.here import Actor, Json, opened, plain


def command(
    device: Annotated[str, typer.Argument(help="A device's id.")],
    length: Annotated[str, typer.Option("--for", help="How long, say 30m, 2h or 1d.")],
    actor: Actor,
    why: Annotated[str, typer.Option(help="The reason, for the next one on call.")] = "",
    as_json: Json = False,
) -> None:
    """Write nothing to a device until the time is over; again with another length replaces it."""
    from datetime import timedelta

    from intents.scalars import Duration
    from reconciler import pausing

    try:
        wanted = timedelta(seconds=int(Duration.parse(length)))
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"'{length}' is no duration; write 30m, 2h or 1d", param_hint="--for"
        ) from error
    with opened() as here, here.reader() as reader, here.db.write() as conn:
        made = pausing.pause(conn, device, wanted, actor=actor, why=why, reader=reader)
    until = made.until.astimezone().strftime("%Y-%m-%d %H:%M %Z")
    text = f"{device} is paused until {until}; `trunkline unpause {device}` ends it earlier"
    answer("pause", text=text, as_json=as_json, **plain(made))
