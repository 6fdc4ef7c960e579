"""Devices as API and console show them."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import Connection

from api.devices.condition import Condition, condition
from api.errors import NotThere
from intents.device.schema import Device
from intents.reader import Reader
from reconciler import baselines, pausing, runs
from reconciler.models import device_run
from reconciler.runs import Run


class Pause(BaseModel):
    """Nothing is written to the device until then."""

    actor: str
    why: str
    since: datetime
    until: datetime


class DeviceState(BaseModel):
    """A device and how it is."""

    id: str
    site: str
    role: str
    platform: str
    manage: str
    tone: str
    label: str
    why: str
    run: str | None
    state: str | None
    commit: str | None
    changed_at: datetime | None
    drift: str | None
    paused: Pause | None


class Facts:
    """What SQL knows of devices now, read once for a whole list."""

    def __init__(self, conn: Connection) -> None:
        self.runs = runs.latest(conn)
        self.drift = baselines.drifted(conn)
        self.pauses = pausing.paused(conn)


def device_states(reader: Reader, conn: Connection) -> list[DeviceState]:
    """Every device, by id."""
    facts = Facts(conn)
    return [_state(name, value, facts) for name, value in reader.all("device")]


def device_state(reader: Reader, conn: Connection, device: str) -> DeviceState:
    """One device. Raises NotThere."""
    return _state(device, require(reader, device), Facts(conn))


def require(reader: Reader, device: str) -> Device:
    """The intent of a device. Raises NotThere."""
    value: Device | None = reader.get("device", device)
    if value is None:
        raise NotThere("device", device)
    return value


def runs_of(conn: Connection, device: str, limit: int, before: str = "") -> list[Run]:
    """The device's runs, newest first; `before` is the id of a run."""
    query = sa.select(device_run).where(device_run.c.device == device)
    if before:
        query = query.where(device_run.c.run_id < before)
    return [
        runs.from_row(row) for row in conn.execute(query.order_by(device_run.c.run_id.desc()).limit(limit))
    ]


def last_diff(found: Iterable[Run]) -> str:
    """The newest difference that a run planned; empty where nothing differed."""
    return next((run.diff for run in found if run.diff is not None), "")


def _state(name: str, device: Device, facts: Facts) -> DeviceState:
    run, paused = facts.runs.get(name), facts.pauses.get(name)
    kind, _ = facts.drift.get(name, (None, ""))
    how: Condition = condition(
        device, run, kind or "", "" if paused is None else f"{paused.actor}: {paused.why}"
    )
    return DeviceState(
        id=name, site=device.site, role=device.role, platform=device.platform, manage=device.manage,
        tone=how.tone, label=how.label, why=how.why,
        run=run.run_id if run else None, state=run.state.value if run else None,
        commit=run.commit_id if run else None, changed_at=run.updated_at if run else None,
        drift=kind, paused=None if paused is None else Pause(**msgspec.structs.asdict(paused)),
    )  # fmt: skip
