"""`trunkline radius override`: free a service for a while, on a node with everything else down."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.answer import answer
from cli.here import Actor, Json

if TYPE_CHECKING:
    from aaa.limits.overrides import Override
    from aaa.view.lookup import View
    from core.settings import Settings

_WAITS = (0.5, 1.0)
Home = Annotated[Path | None, typer.Option(help="The folder of this installation.")]


def override(
    actor: Actor,
    name: Annotated[
        str, typer.Argument(metavar="[SERVICE]", help="A service id, login, MAC, circuit-id or remote-id.")
    ] = "",
    length: Annotated[str, typer.Option("--for", help="How long, say 2h or 1d; at most 7d.")] = "",
    reason: Annotated[str, typer.Option(help="A short code, say emergency or paid-in-shop.")] = "",
    end: Annotated[bool, typer.Option("--end", help="End the service's override now.")] = False,
    show: Annotated[bool, typer.Option("--list", help="List the overrides that are on.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Give a held or limited service its free policy for a while; works on a node alone, and expires by the clock."""
    from core.settings import Settings

    settings = Settings.there(home)
    if show:
        _list(settings, as_json)
    elif not name or end == bool(length):
        raise typer.BadParameter("say a service with --for LENGTH or with --end, or --list")
    elif end:
        _end(settings, name, actor, as_json)
    else:
        _begin(settings, name, _seconds(length), _code(reason), actor, as_json)


def _seconds(length: str) -> int:
    from aaa.limits.overriding import LONGEST, OverrideNotUsable
    from intents.scalars import Duration

    try:
        seconds = int(Duration.parse(length))
    except ValueError as error:
        raise typer.BadParameter(f"'{length}' is no duration; write 2h or 1d", param_hint="--for") from error
    if not 0 < seconds <= LONGEST:
        raise OverrideNotUsable
    return seconds


def _code(reason: str) -> str:
    import re

    if not re.fullmatch(r"[a-z0-9-]{0,40}", reason):
        told = "small letters, digits and dashes, such as paid-in-shop: a code, no story"
        raise typer.BadParameter(told, param_hint="--reason")
    return reason


def _begin(settings: "Settings", name: str, seconds: int, reason: str, actor: str, as_json: bool) -> None:
    from aaa.limits import overrides
    from aaa.limits.overriding import free_hash, is_restricted, known_service
    from core import clock

    view = _view(settings)
    service, wanted = known_service(view, name)
    now = clock.now().timestamp()
    made = overrides.begin(settings.home, service, int(now) + seconds, reason, actor, int(now * 1e6))
    lines = [f"{service} is free until {shown(made.until)}"]
    if not is_restricted(wanted):
        lines.append("nothing restricts it now: its override counts when something does")
    recorded = _recorded(settings)
    cuts = [] if recorded else _cut(settings, view, service, free_hash(view, name, wanted))
    lines += _told(recorded, [f"session {one['session']} at {one['nas']}: {one['outcome']}" for one in cuts])
    answer(
        "radius-override", text="\n  ".join(lines), as_json=as_json, service=service, until=made.until,
        reason=reason, actor=actor, recorded=recorded, sessions=cuts,
    )  # fmt: skip


def _told(recorded: bool, cuts: list[str]) -> list[str]:
    if recorded:
        return ["recorded: every node knows within a second, and live sessions are corrected"]
    alone = "the database is away: this node alone knows, and tells the others when it is back"
    return [
        alone,
        *(
            cuts
            or ["this node knows no live session of it that has less: the next login gets the free policy"]
        ),
    ]


def _end(settings: "Settings", name: str, actor: str, as_json: bool) -> None:
    from aaa.limits import overrides
    from core import clock

    now = clock.now().timestamp()
    service, known = _meant(settings, name, now)
    here, there = overrides.read(settings.home).get(service), _database_has(settings, service)
    ended = there if there is not None else known > now and not (here and here.ended)
    ended = ended or (here is not None and here.is_on(now))
    if ended:
        overrides.end(settings.home, service, actor, int(now * 1e6))
    recorded = _recorded(settings)
    told = f"{service} is overridden no longer" if ended else f"{service} has no override"
    if not recorded:
        more = (
            "other nodes learn it when it is back"
            if ended
            else "only what this node itself knows was looked at"
        )
        told += f"; the database is away: {more}"
    answer(
        "radius-override",
        text=told,
        as_json=as_json,
        service=service,
        until=0,
        ended=ended,
        recorded=recorded,
    )


def _meant(settings: "Settings", name: str, now: float) -> tuple[str, int]:
    """The service that a name means, and until when the view has it overridden (epoch seconds, 0: not).

    One that has left the network is meant by its id while it has an override. Raises LoginNotKnown and its like.
    """
    from aaa.limits import overrides
    from aaa.limits.overriding import known_service
    from core.errors import TrunklineError

    try:
        service, wanted = known_service(_view(settings), name)
    except TrunklineError:
        here = overrides.read(settings.home).get(name)
        if (here is not None and here.is_on(now)) or _database_has(settings, name):
            return name, 0
        raise
    return service, wanted.released


def _list(settings: "Settings", as_json: bool) -> None:
    import time

    from aaa.limits import overrides, store
    from aaa.limits.limit import OVERRIDE
    from core.errors import TrunklineError

    found: dict[str, dict[str, Any]] = {}
    away = ""
    try:
        with _database(settings) as db, db.read() as conn:
            for one in store.of_cause(conn, OVERRIDE):
                found[one.service] = {
                    "service": one.service,
                    "until": one.until,
                    "recorded": True,
                    **_why(one.data),
                }
    except TrunklineError:
        away = "the database is away: only what this node itself keeps is listed"
    for here in overrides.read(settings.home).values():
        if here.is_on(time.time()):
            found.setdefault(here.service, _own(here))
    rows = [found[service] for service in sorted(found)]
    lines = [
        f"{one['service']:<14} until {shown(one['until'])}  by {one['actor']}  {one['reason']}"
        f"{'' if one['recorded'] else '  (this node alone)'}"
        for one in rows
    ]
    text = "\n".join([*(lines or ["no overrides"]), *filter(None, [away])])
    answer("radius-overrides", text=text, as_json=as_json, overrides=rows, complete=not away)


def _database_has(settings: "Settings", service: str) -> bool | None:
    """Whether the database has an override of it; None: it is away."""
    import sqlalchemy as sa

    from aaa.limits import store
    from aaa.limits.limit import OVERRIDE
    from core.errors import TrunklineError

    try:
        with _database(settings) as db, db.read() as conn:
            return any(one.cause == OVERRIDE for one in store.read(conn, [service]))
    except (TrunklineError, sa.exc.SQLAlchemyError):
        return None


def _why(data: dict[str, Any]) -> dict[str, Any]:
    return {"actor": data.get("actor", ""), "reason": data.get("reason", "")}


def _own(one: "Override") -> dict[str, Any]:
    return {
        "service": one.service, "until": one.until, "recorded": one.recorded, "actor": one.actor,
        "reason": one.reason,
    }  # fmt: skip


def _cut(settings: "Settings", view: "View", service: str, free: str) -> list[dict[str, Any]]:
    """End the sessions that have less than the free policy, as far as their Class says."""
    from aaa.limits.overriding import cut, journalled
    from cli.here import plain

    restricted = [one for one in journalled(settings, service) if not free or one.policy_hash != free]
    return [plain(cut(settings, view, record, _WAITS)) for record in restricted]


def _recorded(settings: "Settings") -> bool:
    """Bring what the journal has into the database now, if that answers."""
    import time

    import sqlalchemy as sa

    from aaa.limits.overrides import drain
    from core.errors import TrunklineError

    try:
        with _database(settings) as db:
            drain(settings.home, db, int(time.time()))
    except (TrunklineError, sa.exc.SQLAlchemyError):
        return False
    return True


def _database(settings: "Settings") -> Any:
    from contextlib import closing

    from aaa.view.derived import accounting_database

    return closing(accounting_database(settings))


def _view(settings: "Settings") -> "View":
    """This node's snapshot: what its workers know, whatever else is down. Raises ViewNotThere."""
    from aaa.radius.worker import view_folder
    from aaa.view.derived import open_derived
    from aaa.view.direct import newest_view
    from aaa.view.lookup import View

    folder = view_folder(settings)
    return (
        View.load(folder) if (folder / "view.base").exists() else newest_view(open_derived(settings), folder)
    )


def shown(until: int) -> str:
    """Epoch seconds as people read them, in this machine's time zone."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(until, UTC).astimezone().strftime("%Y-%m-%d %H:%M %Z")
