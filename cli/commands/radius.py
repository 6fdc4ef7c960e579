"""RADIUS for support: test a login, explain what it gets, list and end sessions, see the workers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.node.commands import app as node_app
from cli.node.people import pools
from cli.radius import certificate, disconnect, explain, metrics, override, quota, tail, voucher
from core.shown import printable

if TYPE_CHECKING:
    from core.settings import Settings

app = typer.Typer(
    no_args_is_help=True, help="Test a login, explain it, list and end sessions, see the workers."
)
app.add_typer(certificate.app, name="certificate")
app.add_typer(node_app, name="node")
app.command()(pools)
Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Home = Annotated[Path | None, typer.Option(help="The folder of this installation.")]
Name = Annotated[str, typer.Argument(help="A login, MAC, circuit-id, remote-id, voucher or service id.")]


app.command("explain")(explain.command)
app.command("tail")(tail.command)
app.command("disconnect")(disconnect.command)
app.command("metrics")(metrics.command)
app.command("override")(override.override)
app.command("limits")(quota.limits)
app.command("grant")(quota.grant)
app.add_typer(voucher.app, name="voucher")


@app.command("test-login")
def try_login(
    name: Name,
    nas: Annotated[str, typer.Option(help="As this NAS; default: the first that serves the line.")] = "",
    password: Annotated[
        str | None,
        typer.Option(
            help="Check this password, which other users of this machine see; default: the stored one."
        ),
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read the password to check from standard input: nobody sees it.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Say what the server answers a NAS for this login; status 1 when it refuses. Nothing is sent.

    Where another server answers (`moving`, a proxied realm), it says which, and what ours would be: the status is of
    ours then.
    """
    from aaa import support
    from aaa.limits.overrides import Overrides
    from aaa.view.seal import Seal
    from cli.radius.opening import known_view

    if stdin and password is not None:
        raise typer.BadParameter("give the password by --password or by --stdin, not both")
    if stdin:  # there is none where it was closed
        password = sys.stdin.readline().rstrip("\n") if sys.stdin else ""
    if password is not None and len(password.encode("utf-8", "replace")) > 128:
        raise typer.BadParameter("a password has at most 128 octets (RFC 2865 section 5.2)")
    with known_view(home) as (settings, view):
        freed = Overrides(settings.home)
        trial = support.try_login(view, Seal.of(settings.home), name, nas, password, freed)
    why = f": {trial.reason}" + (f" ({trial.detail})" if trial.detail else "")
    other = f"{trial.answered_by}; ours would be: " if trial.answered_by else ""
    lines = [f"{trial.nas}: {other}{'accepted' if trial.accepted else 'refused' + why}", *trial.attributes]
    answer(
        "radius-login",
        text="\n  ".join(lines),
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
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many.")] = 100,
    before: Annotated[
        str, typer.Option(help="The next page: those after this session, the last of the one before.")
    ] = "",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List sessions, the newest first."""
    from aaa import support
    from core.db import Database
    from core.settings import Settings

    db = Database(Settings.there(home).database_url)
    with db.read() as conn:
        chosen: dict[str, Any] = {"service": service, "nas": nas, "stale": stale, "closed": closed}
        found = support.sessions(conn, **chosen, limit=limit, before=before)
    db.close()
    rows = [{**_plain(one), "acct_session_id": one.acct_session_id.decode("latin-1")} for one in found]
    lines = [
        printable(
            f"{one.started_at:%Y-%m-%d %H:%M} {one.state:<6} {one.service:<12} {one.nas:<12} {one.login:<28} "
            f"{one.framed_address:<15} up {one.up_octets} down {one.down_octets}{' stale' if one.stale else ''}"
            + (f" bundle {one.multi_session_id}" if one.multi_session_id else "")
        )
        for one in found
    ]
    if len(found) == limit:
        lines.append(f"more with --before {found[-1].session_ref}")
    answer("radius-sessions", text="\n".join(lines) or "no sessions", as_json=as_json, sessions=rows)


@app.command()
def who(
    address: Annotated[str, typer.Argument(help="An IPv4 or IPv6 address.")],
    at: Annotated[str, typer.Option(help="The moment: 2026-11-25T14:03:00+08:00; without a zone: UTC.")],
    port: Annotated[int | None, typer.Option(help="The port, for an address that many share.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Say who held an address at a moment: service, session, from, to, NAS, and how sure; status 1 for nobody."""
    from aaa.who import AddressNotUsable
    from aaa.who import who as find
    from cli.traced import moment_of, pools_at
    from core.db import Database
    from core.settings import Settings

    moment, settings = moment_of(at), Settings.there(home)
    pools, doubt = pools_at(settings, moment)
    db = Database(settings.database_url)
    try:
        with db.read() as conn:
            found = find(conn, address, moment, port, pools, doubt)
    except AddressNotUsable as error:
        raise typer.BadParameter(str(error), param_hint="ADDRESS") from error
    finally:
        db.close()
    lines = [
        f"{one.service or 'a service that nobody knows'}: {one.how}, {one.since:%Y-%m-%d %H:%M:%S} to "
        f"{one.until.strftime('%Y-%m-%d %H:%M:%S') if one.until else 'now'} UTC at {one.nas}, "
        f"{printable(f'{one.login} {one.calling}')}\n  session {one.session_ref}; {one.sure}: {one.why}"
        for one in found
    ]
    text = "\n".join(lines) or f"nobody held {address} at {moment:%Y-%m-%d %H:%M:%S} UTC"
    answer(
        "radius-who",
        text=text,
        as_json=as_json,
        at=moment.isoformat(),
        holders=[_plain(one) for one in found],
    )
    if not found:
        raise typer.Exit(1)


@app.command()
def status(as_json: Json = False, home: Home = None) -> None:
    """Say how far each RADIUS worker is, and how old this node's view may be; status 1 when one is behind, silent or
    not the only one of its name, or the database is away.
    """
    from aaa import support
    from aaa.radius.worker import view_folder
    from aaa.view.lookup import damage
    from core.settings import Settings

    settings = Settings.there(home)
    positions, away = _positions(settings)
    waiting, age = support.journal_segments(settings.home), support.view_age(settings.home)
    lines = [_position(one) for one in positions]
    if away:
        lines.append(f"the database is away: {away}")
    damaged = damage(view_folder(settings))
    if age is not None:
        answers = "its snapshot is damaged and answers nobody" if damaged else "its snapshot answers"
        lines.append(f"this node last followed the view {age:g} s ago" + (f"; {answers}" if away else ""))
    lines += [damaged] if damaged else []
    lines.append(f"accounting journal: {waiting} segments waiting")
    answer(
        "radius-status", text="\n".join(lines), as_json=as_json, workers=positions, journal=waiting,
        database=not away, view_age=age, snapshot=damaged or "usable",
    )  # fmt: skip
    if (
        damaged
        or away
        or not positions
        or any(one["behind"] or one["seconds"] > 10 or one["twin"] for one in positions)
    ):
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


@app.command()
def compare(
    realm: Annotated[str, typer.Option(help="Only this realm.")] = "",
    nas: Annotated[str, typer.Option(help="Only this NAS.")] = "",
    days: Annotated[int, typer.Option(min=1, max=36_500, help="What was compared in so many days.")] = 7,
    limit: Annotated[int, typer.Option(min=1, help="At most so many logins that differ.")] = 20,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Compare our decisions with the old server's (moving: shadow); status 1 until all can be cut over.

    Of realms and NASes that still move; those that do not are named as cut over.
    """
    from datetime import timedelta

    from aaa.proxy import moving
    from aaa.proxy.movers import movers
    from cli.compared import logins, printed, require_known, scope
    from cli.radius.opening import known_view
    from core import clock
    from core.db import Database

    since = (clock.now() - timedelta(days=days - 1)).date()
    with known_view(home) as (settings, view):
        only = moving.Only(movers(view), realm.lower(), nas)
    db = Database(settings.database_url)
    try:
        with db.read() as conn:
            pairs = moving.compared(conn)
            require_known(only, pairs)
            scopes = {by: moving.scopes(conn, by, since, only) for by in ("realm", "nas")}
            kinds = moving.kinds(conn, since, only)
            found = moving.examples(conn, limit, only)
    finally:
        db.close()
    gone = moving.cut_over(pairs, only)
    waiting = [(by, one) for by, some in scopes.items() for one in some if one.name in only.movers.of(by)]
    ready = [(by, one.name) for by, one in waiting if one.ready]
    answer(
        "radius-compare",
        text="\n".join(printed(only, scopes, kinds, found, ready, gone)),
        as_json=as_json,
        since=since.isoformat(),
        realm=[scope(one, only.movers.realms) for one in scopes["realm"]],
        nas=[scope(one, only.movers.nases) for one in scopes["nas"]],
        kinds=kinds,
        logins=logins(found),
        ready=[{"what": by, "name": name} for by, name in ready],
        cut_over=[{"what": by, "name": name} for by, name in gone],
    )
    done = bool(gone) and not only.movers.any(only.realm, nas)
    if len(ready) < len(waiting) or not (waiting or done):
        raise typer.Exit(1)


def _plain(value: Any) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(value)
    return plain
