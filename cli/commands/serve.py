"""Run this node: everything on the embedded default, or the roles that are given."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer


def command(
    roles: Annotated[
        str,
        typer.Option(help="Comma-separated: api,reconciler,committer,indexer,radius,worker; default: all."),
    ] = "",
    home: Annotated[Path | None, typer.Option(help="The folder of this installation.")] = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; says where the console and RADIUS listen."""
    from cli.installation import Installation
    from cli.serving import Serving
    from core import logs
    from core.settings import Settings

    settings = Settings.load(home, roles=tuple(roles.split(","))) if roles else Settings.load(home)
    logs.configure(settings.log_format)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    installation = Installation(settings)
    with Serving(installation) as serving:
        if "api" in settings.roles:
            typer.echo(f"console and API: {serving.url}")
        if "radius" in settings.roles:
            radius = installation.radius
            typer.echo(f"RADIUS: {settings.radius_host} ports {radius.auth_port} and {radius.acct_port}")
        typer.echo("serving; Ctrl-C ends it")
        while not stop.wait(0.5):
            pass
    installation.close()
