"""Everything that the home page shows, in one reading."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import session_open
from aaa.support import worker_positions
from api.console import commits
from api.console.map import Picture, picture, worst
from api.devices.view import DeviceState, device_states
from api.here import Installed
from api.quarantine.view import Quarantined, quarantined
from api.sets import held
from api.sets.held import Held
from core import clock
from intents.index.indexer import stopped_reason
from intents.reader import Reader
from reconciler.sessions import unsettled


class Tile(NamedTuple):
    """A figure at the top of the page."""

    label: str
    value: str
    tone: str
    href: str
    note: str = ""


class Home(NamedTuple):
    """The home page."""

    operator: str
    revision: str
    tiles: list[Tile]
    map: Picture
    sites: list[tuple[str, str, list[DeviceState]]]
    held: list[Held]
    quarantined: list[Quarantined]
    drifted: list[DeviceState]
    commits: list[commits.CommitShown]


def home(here: Installed) -> Home:
    """Read it."""
    with (
        here.context.reader() as reader,
        here.context.db.read() as conn,
        here.context.index_db.read() as index,
    ):
        devices = device_states(reader, conn)
        waiting = held.waiting(conn)
        bad = quarantined(index)
        config = reader.get("config", "trunkline")
        return Home(
            operator=str(config.operator.name) if config else "Trunkline",
            revision=reader.revision,
            tiles=[
                _devices(devices), _count("parked", len(waiting), "wait", "#parked"),
                _count("quarantined", len(bad), "bad", "#quarantined"),
                _count("drifted", sum(one.drift is not None for one in devices), "warn", "#drifted"),
                *_live(conn, index), _trunk(here),
            ],
            map=picture(reader, devices), sites=_by_site(reader, devices), held=waiting, quarantined=bad,
            drifted=[one for one in devices if one.drift], commits=commits.last(here.repo, conn),
        )  # fmt: skip


def _devices(devices: list[DeviceState]) -> Tile:
    good = sum(one.tone in ("ok", "off") for one in devices)
    tone = "ok" if good == len(devices) else worst(devices)
    return Tile("devices as wanted", f"{good} / {len(devices)}", tone, "#devices")


def _count(label: str, count: int, tone: str, href: str) -> Tile:
    return Tile(label, str(count), tone if count else "ok", href)


def _live(conn: Connection, index: Connection) -> list[Tile]:
    live = conn.execute(sa.select(sa.func.count()).select_from(session_open)).scalar() or 0
    waiting = unsettled(conn)
    note = f"{waiting} services wait for proof" if waiting else ""
    workers = worker_positions(index)
    slow = [one for one in workers if one["seconds"] > 10]
    tone = "off" if not workers else "bad" if slow else "ok"
    text = f"{len(workers) - len(slow)} / {len(workers)}"
    return [
        Tile("live sessions", f"{live:,}", "busy" if waiting else "ok", "#commits", note),
        Tile("RADIUS workers in step", text, tone, "#commits"),
    ]


def _trunk(here: Installed) -> Tile:
    stopped = stopped_reason(here.context.index_db)
    if stopped is not None:
        return Tile("trunk", "not followed", "bad", "#commits", stopped[1])
    return Tile("trunk", "followed", "ok", "#commits", clock.now().strftime("%H:%M:%S UTC"))


def _by_site(reader: Reader, devices: list[DeviceState]) -> list[tuple[str, str, list[DeviceState]]]:
    names: dict[str, Any] = {name: site.name for name, site in reader.all("site")}
    groups: dict[str, list[DeviceState]] = {}
    for one in devices:
        groups.setdefault(one.site, []).append(one)
    named = [(site, str(names.get(site, site)), found) for site, found in groups.items()]
    return sorted(named, key=lambda one: one[1])
