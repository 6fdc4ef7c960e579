"""`trunkline radius tail`: what this node's workers answer, as it happens."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.shown import printable, to_json

if TYPE_CHECKING:
    from aaa.observe.tail import Event


def command(
    nas: Annotated[
        str, typer.Option(help="Only of this NAS: its device, or the address of one that is not known.")
    ] = "",
    login: Annotated[str, typer.Option(help="Only logins, MACs or circuits that contain this text.")] = "",
    service: Annotated[str, typer.Option(help="Only of this service.")] = "",
    refused: Annotated[bool, typer.Option("--refused", help="Only what was refused or dropped.")] = False,
    count: Annotated[int, typer.Option(help="End after so many; 0: go on until Ctrl-C.", min=0)] = 0,
    seconds: Annotated[float, typer.Option(help="End after so long; 0: never.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    home: Annotated[Path | None, typer.Option(help="The folder of this node.")] = None,
) -> None:
    """Show logins and accounting of this node as they happen. Passwords are never shown."""
    import msgspec

    from aaa.observe.tail import listening
    from core import clock
    from core.settings import Settings

    settings = Settings.there(home)
    _require_nas(home, nas)
    deadline = clock.monotonic() + seconds if seconds else None
    shown = 0
    typer.echo("waiting for events of this node; Ctrl-C ends", err=True)
    with listening(settings.home) as events:
        for event in events:
            if deadline is not None and clock.monotonic() >= deadline:
                return
            if event is None or not _wanted(event, nas, login, service, refused):
                continue
            typer.echo(to_json(msgspec.to_builtins(event)) if as_json else line(event))
            shown += 1
            if count and shown >= count:
                return


def _require_nas(home: Path | None, nas: str) -> None:
    """Whoever mistypes a NAS would wait for ever. An address may be that of one that the view does not have, whose
    packets are dropped; without any view nobody knows better. Raises NasNotKnown.
    """
    from aaa.errors import ViewNotThere
    from aaa.support import nas_named
    from cli.radius.opening import known_view

    if nas and not _is_address(nas):
        with suppress(ViewNotThere), known_view(home) as (_settings, view):
            nas_named(view, nas)


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _wanted(event: "Event", nas: str, login: str, service: str, refused: bool) -> bool:
    texts = (event.login, event.calling, event.circuit)
    return (
        nas in ("", event.nas)
        and service in ("", event.service)
        and (not login or any(login.lower() in text.lower() for text in texts))
        and (
            not refused
            or (event.kind == "access" and event.outcome != "accepted")
            or event.outcome == "dropped"
        )
    )


def line(event: "Event") -> str:
    """An event as one line: when, where, what came of it, who, how long it took."""
    moment = datetime.fromtimestamp(event.at, UTC).strftime("%H:%M:%S.%f")[:-3]
    who = event.login or event.calling or event.circuit or "-"
    more = [event.service, event.address, event.session, event.detail]
    told = f"{moment} {event.nas or '-':<12} {event.kind:<10} {event.outcome:<18} {who:<28} "
    told += " ".join(part for part in more if part)
    left = f"  ({event.left_out} left out: this terminal is too slow)" if event.left_out else ""
    return printable(f"{told}  {event.microseconds} µs{left}".rstrip())
