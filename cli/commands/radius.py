"""RADIUS for support: test a login, explain what it gets, list sessions, see the workers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.node.commands import app as node_app
from cli.node.people import pools
from cli.radius import explain, metrics, tail

if TYPE_CHECKING:
    from core.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Test a login, explain it, list sessions, see the workers.")
app.add_typer(node_app, name="node")
app.command()(pools)
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Home = Annotated[Path | None, typer.Option(help="The folder of this installation.")]
Name = Annotated[str, typer.Argument(help="A login, MAC, circuit-id or service id.")]


app.command("explain")(explain.command)
app.command("tail")(tail.command)
app.command("metrics")(metrics.command)


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
    from cli.radius.opening import known_view

    with known_view(home) as (settings, view):
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
def status(as_json: Json = False, home: Home = None) -> None:
    """Say how far each RADIUS worker is, and how old this node's view may be; status 1 when one is behind, silent or
    not the only one of its name, or the database is away.
    """
    from aaa import support
    from core.settings import Settings

    settings = Settings.load(home)
    positions, away = _positions(settings)
    waiting, age = support.journal_segments(settings.home), support.view_age(settings.home)
    lines = [_position(one) for one in positions]
    if away:
        lines.append(f"the database is away: {away}")
    if age is not None:
        lines.append(
            f"this node last followed the view {age:g} s ago" + ("; its snapshot answers" if away else "")
        )
    lines.append(f"accounting journal: {waiting} segments waiting")
    answer(
        "radius-status", text="\n".join(lines), as_json=as_json, workers=positions, journal=waiting,
        database=not away, view_age=age,
    )  # fmt: skip
    if away or not positions or any(one["behind"] or one["seconds"] > 10 or one["twin"] for one in positions):
        raise typer.Exit(1)


def _positions(settings: "Settings") -> tuple[list[dict[str, Any]], str]:
    """Positions of all workers, and why the database does not tell them ("" when it does)."""
    from aaa import support
    from aaa.view.derived import follow_derived
    from core.db import DatabaseAway

    db = follow_derived(settings)
    try:
        with db.read() as conn:
            return support.worker_positions(conn), ""
    except DatabaseAway as error:
        return [], str(error)
    finally:
        db.close()


def _position(one: dict[str, Any]) -> str:
    twin = "; TWO NODES HAVE THIS NAME: change `node` of one" if one["twin"] else ""
    return f"{one['worker']}: seq {one['seq']}, {one['behind']} behind, heard {one['seconds']} s ago{twin}"


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain
