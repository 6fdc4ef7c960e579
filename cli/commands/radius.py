"""RADIUS for support: test a login, explain what it gets, list and end sessions, see the workers."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.here import Actor

if TYPE_CHECKING:
    from aaa.accounting.merge import Session
    from aaa.coa.correct import EndSession
    from aaa.view.lookup import View
    from core.settings import Settings

app = typer.Typer(
    no_args_is_help=True, help="Test a login, explain it, list and end sessions, see the workers."
)
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Home = Annotated[Path | None, typer.Option(help="The folder of this installation.")]
Name = Annotated[str, typer.Argument(help="A login, MAC, circuit-id or service id.")]


@app.command("test-login")
def try_login(
    name: Name,
    nas: Annotated[str, typer.Option(help="As this NAS; default: the first that serves the line.")] = "",
    password: Annotated[
        str | None, typer.Option(help="Check this password; default: the stored one.")
    ] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Say what the server answers a NAS for this login; status 1 when it refuses. Nothing is sent."""
    from aaa import support
    from aaa.view.seal import Seal

    with _view(home) as (settings, view):
        trial = support.try_login(view, Seal.of(settings.home), name, nas, password)
    why = f": {trial.reason}" + (f" ({trial.detail})" if trial.detail else "")
    lines = [f"{trial.nas}: {'accepted' if trial.accepted else 'refused' + why}"]
    answer(
        "radius-login",
        text="\n  ".join([*lines, *trial.attributes]),
        as_json=as_json,
        **_plain(trial),
    )
    if not trial.accepted:
        raise typer.Exit(1)


@app.command()
def explain(name: Name, as_json: Json = False, home: Home = None) -> None:
    """Explain a login: its service, holds, policy, reply by NAS, and its last refusals."""
    from aaa import support
    from aaa.radius.refusals import last_refusals
    from core.db import Database, DatabaseAway

    refusals: list[dict[str, Any]] = []
    with _view(home) as (settings, view):
        found = support.explain(view, name)
        db = Database(settings.database_url)
        try:
            with db.read() as conn:
                refusals = [
                    {**row, "at": row["at"].isoformat()}  # type: ignore[attr-defined]
                    for row in last_refusals(conn, found.key)
                ]
        except DatabaseAway:
            pass  # the view explains without it
        finally:
            db.close()
    lines = [
        f"{found.key}: service {found.service}, {found.status}, policy {found.policy_hash}",
        *(f"  held by {hold}" for hold in found.holds),
        *(f"  only from circuit {one}" for one in found.bound_circuits),
        *(f"  only from MAC {one}" for one in found.bound_macs),
    ]
    for device, attributes in found.replies.items():
        lines += [f"  {device} gets", *(f"    {line}" for line in attributes)]
    lines += [f"  refused {row['at']} at {row['nas']}: {row['reason']} {row['detail']}" for row in refusals]
    answer("radius-explain", text="\n".join(lines), as_json=as_json, **_plain(found), refusals=refusals)


@app.command()
def sessions(
    service: Annotated[str, typer.Option(help="Of this service.")] = "",
    nas: Annotated[str, typer.Option(help="On this NAS.")] = "",
    stale: Annotated[bool, typer.Option("--stale", help="Only those that are to be corrected.")] = False,
    closed: Annotated[bool, typer.Option("--closed", help="Closed ones too.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many.")] = 100,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List sessions, the newest first."""
    from aaa import support
    from core.db import Database
    from core.settings import Settings

    db = Database(Settings.load(home).database_url)
    with db.read() as conn:
        found = support.sessions(conn, service=service, nas=nas, stale=stale, closed=closed, limit=limit)
    db.close()
    rows = [{**_plain(one), "acct_session_id": one.acct_session_id.decode("latin-1")} for one in found]
    lines = [
        f"{one.started_at:%Y-%m-%d %H:%M} {one.state:<6} {one.service:<12} {one.nas:<12} {one.login:<28} "
        f"{one.framed_address:<15} up {one.up_octets} down {one.down_octets}{' stale' if one.stale else ''}"
        for one in found
    ]
    answer("radius-sessions", text="\n".join(lines) or "no sessions", as_json=as_json, sessions=rows)


@app.command()
def disconnect(
    name: Annotated[
        str, typer.Argument(help="A service or login (all its sessions), a session, or an Acct-Session-Id.")
    ],
    actor: Actor,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask, also for more than one session.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """End live sessions and say what each NAS answered; status 1 when one did not acknowledge.

    A session that comes back gets what is wanted now: to keep somebody out, put a hold on the service.
    """
    from aaa.coa import disconnect as ending
    from aaa.view.derived import open_derived
    from aaa.view.seal import Seal
    from core.db import Database
    from core.settings import Settings

    settings = Settings.load(home)
    db, index_db = Database(settings.database_url), open_derived(settings)
    try:
        with db.read() as conn:
            found = ending.named(conn, name)
        ending.check_view(index_db)
        if len(found) > 1 and not yes:
            _sure(found, as_json)
        driver = ending.needs_driver(index_db, found)
        with _drivers(settings) if driver else nullcontext() as end_session:
            ended = ending.disconnect(
                db, index_db, Seal.of(settings.home), found, actor=actor, end_session=end_session
            )
    finally:
        db.close()
        index_db.close()
    lines = [
        f"{one.service:<12} {one.nas:<12} {one.login:<28} {one.told} after {one.milliseconds} ms"
        for one in ended
    ]
    answer(
        "radius-disconnect", text="\n".join(lines), as_json=as_json, sessions=[_plain(one) for one in ended]
    )
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


@app.command()
def status(as_json: Json = False, home: Home = None) -> None:
    """Say how far each RADIUS worker is; status 1 when one is behind or silent."""
    from aaa import support
    from aaa.view.derived import open_derived
    from core.settings import Settings

    settings = Settings.load(home)
    db = open_derived(settings)
    with db.read() as conn:
        positions = support.worker_positions(conn)
    db.close()
    waiting = support.journal_segments(settings.home)
    lines = [
        f"{one['worker']}: seq {one['seq']}, {one['behind']} behind, heard {one['seconds']} s ago"
        for one in positions
    ]
    lines.append(f"accounting journal: {waiting} segments waiting")
    answer("radius-status", text="\n".join(lines), as_json=as_json, workers=positions, journal=waiting)
    if not positions or any(one["behind"] or one["seconds"] > 10 for one in positions):
        raise typer.Exit(1)


@contextmanager
def _view(home: Path | None) -> "Iterator[tuple[Settings, View]]":
    from aaa.radius.worker import view_folder
    from aaa.view.derived import open_derived
    from aaa.view.direct import newest_view
    from core.settings import Settings

    settings = Settings.load(home)
    db = open_derived(settings)
    try:
        yield settings, newest_view(db, view_folder(settings))
    finally:
        db.close()


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain
