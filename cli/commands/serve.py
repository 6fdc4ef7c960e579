"""Run this node: everything on the embedded default, or the roles that are given."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from aaa.radius.server import RadiusServer
    from core.settings import Settings


def command(
    roles: Annotated[
        str,
        typer.Option(help="Comma-separated: api,reconciler,committer,indexer,radius,worker; default: all."),
    ] = "",
    home: Annotated[Path | None, typer.Option(help="The folder of this installation.")] = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; says where the console and RADIUS listen."""
    from core import logs
    from core.settings import Settings

    settings = Settings.load(home, roles=tuple(roles.split(","))) if roles else Settings.load(home)
    logs.configure(settings.log_format)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if set(settings.roles) == {"radius"}:
        _serve_node(settings, stop)
        return
    from cli.installation import Installation
    from cli.serving import Serving

    installation = Installation(settings)
    with Serving(installation) as serving:
        if "api" in settings.roles:
            typer.echo(f"console and API: {serving.url}")
        if "radius" in settings.roles:
            _tell_ports(installation.radius)
        _wait(stop)
    installation.close()


def _serve_node(settings: "Settings", stop: threading.Event) -> None:
    """RADIUS alone: nothing but the home is needed to start."""
    from cli.node.start import RadiusNode

    with RadiusNode(settings) as node:
        _tell_ports(node.radius)
        _wait(stop)


def _tell_ports(radius: "RadiusServer") -> None:
    host = radius.settings.radius_host
    typer.echo(f"RADIUS: {host} ports {radius.auth_port} and {radius.acct_port}")


def _wait(stop: threading.Event) -> None:
    typer.echo("serving; Ctrl-C ends it")
    while not stop.wait(0.5):
        pass
