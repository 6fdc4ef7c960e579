"""`trunkline radius disconnect`: end live sessions, and say what each NAS answered."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.answer import answer
from cli.here import Actor, Json

if TYPE_CHECKING:
    from aaa.accounting.merge import Session
    from aaa.coa.correct import EndSession
    from core.settings import Settings


def command(
    name: Annotated[
        str, typer.Argument(help="A service or login (all its sessions), a session, or an Acct-Session-Id.")
    ],
    actor: Actor,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, also for more than one session.")
    ] = False,
    as_json: Json = False,
    home: Annotated[Path | None, typer.Option(help="The folder of this installation.")] = None,
) -> None:
    """End live sessions and say what each NAS answered; status 1 when one did not acknowledge.

    A session that comes back gets what is wanted now: to keep somebody out, put a hold on the service.
    """
    import msgspec

    from aaa.coa import disconnect as ending
    from aaa.view.derived import open_derived
    from aaa.view.seal import Seal
    from core.db import Database
    from core.settings import Settings

    settings = Settings.there(home)
    db, index_db = Database(settings.database_url), open_derived(settings)
    try:
        with db.read() as conn:
            found = ending.named(conn, name)
        ending.check_view(index_db)
        if len(found) > 1 and not yes:
            _sure(found, as_json)
        driver = ending.needs_driver(index_db, found)
        with _drivers(settings) if driver else nullcontext() as end_session:
            seal = Seal.of(settings.home)
            ended = ending.disconnect(db, index_db, seal, found, actor=actor, end_session=end_session)
    finally:
        db.close()
        index_db.close()
    lines = [
        f"{one.service:<12} {one.nas:<12} {one.login:<28} {one.told} after {one.milliseconds} ms"
        for one in ended
    ]
    rows = [msgspec.to_builtins(one) for one in ended]
    answer("radius-disconnect", text="\n".join(lines), as_json=as_json, sessions=rows)
    if not all(one.done for one in ended):
        raise typer.Exit(1)


def _sure(found: "list[Session]", as_json: bool) -> None:
    """More than one session is asked about; who cannot be asked says --yes."""
    names = ", ".join(sorted({one.service or one.login for one in found}))
    if as_json or not sys.stdin.isatty():
        raise typer.BadParameter(f"{names} has {len(found)} live sessions; say --yes to end them all")
    typer.confirm(f"End {len(found)} live sessions of {names}?", abort=True)


@contextmanager
def _drivers(settings: "Settings") -> "Iterator[EndSession]":
    """The driver's way to end a session, for a NAS that takes no Disconnect-Request."""
    from cli.installation import Installation
    from reconciler.session_driver import end_session

    one = Installation(settings)
    try:
        yield lambda session: end_session(one.context, session)
    finally:
        one.close()
