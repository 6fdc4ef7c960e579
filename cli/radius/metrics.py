"""`trunkline radius metrics`: this node's RADIUS metrics as Prometheus reads them."""

from pathlib import Path
from typing import Annotated

import typer


def command(home: Annotated[Path | None, typer.Option(help="The folder of this node.")] = None) -> None:
    """Print this node's RADIUS metrics in Prometheus' text format; status 1 when no worker publishes any."""
    from aaa.observe.exposition import exposition
    from aaa.observe.publish import published
    from core.settings import Settings

    settings = Settings.there(home)
    typer.echo(exposition(settings.home).decode(), nl=False)
    if not published(settings.home):
        typer.echo(f"no RADIUS worker of {settings.home} said anything in the last 30 seconds", err=True)
        raise typer.Exit(1)
