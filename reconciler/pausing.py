"""What a person asks of devices: pause one, let it go on, apply one again; each with its actor and an event."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, events
from core.db import upsert
from core.errors import Terminal
from intents.reader import Reader
from inventory.errors import DeviceMissing
from reconciler import runs, topology
from reconciler.gates import DEVICE_PAUSED
from reconciler.models import device_run
from reconciler.models import pause as pauses
from reconciler.states import RunState

LONGEST = timedelta(days=30)


class PauseNotUsable(Terminal):
    """A pause that has no length, or one that nobody would remember."""

    def __init__(self, device: str) -> None:
        super().__init__(
            f"{device} can be paused for more than no time and at most {LONGEST.days} days, such as --for 2h"
        )


class DeviceNotManaged(Terminal):
    """A device that we never log in to cannot be applied."""

    def __init__(self, device: str) -> None:
        super().__init__(
            f"{device} is not managed: it needs `state: active` and `management` in network/devices/{device}.yaml"
        )


class NothingIndexed(Terminal):
    """There is no revision to apply yet."""

    def __init__(self) -> None:
        super().__init__("no commit is indexed yet; start `trunkline serve` and ask again")


class Pause(msgspec.Struct, frozen=True):
    """A device that nothing is written to until `until`, and who said so."""

    device: str
    actor: str
    why: str
    since: datetime
    until: datetime


def pause(
    conn: Connection, device: str, length: timedelta, *, actor: str, why: str = "", reader: Reader
) -> Pause:
    """Write nothing to the device for `length` from now; a second pause replaces the first.

    A run that is on the device already is brought to its end. Raises DeviceMissing, PauseNotUsable.
    """
    if not timedelta(0) < length <= LONGEST:
        raise PauseNotUsable(device)
    if reader.get("device", device) is None:
        raise DeviceMissing(device, reader.revision)
    moment = clock.now()
    made = Pause(device, actor, why, moment, moment + length)
    upsert(conn, pauses, [msgspec.structs.asdict(made)], key=["device"])
    _wake(conn, device)
    told = {"until": made.until.isoformat(), "why": why}
    events.emit(conn, "device.paused", device, told, actor=actor)
    return made


def unpause(conn: Connection, device: str, *, actor: str) -> bool:
    """Let the device go on now; what waited for it is looked at again. False when it was not paused."""
    was = device in paused(conn)
    conn.execute(sa.delete(pauses).where(pauses.c.device == device))
    if was:
        _wake(conn, device)
        events.emit(conn, "device.unpaused", device, {}, actor=actor)
    return was


def paused(conn: Connection) -> dict[str, Pause]:
    """Device -> its pause, of those that are not over."""
    query = sa.select(pauses).where(pauses.c.until > clock.now()).order_by(pauses.c.device)
    return {row["device"]: Pause(**row) for row in conn.execute(query).mappings()}


def apply(
    conn: Connection,
    reader: Reader,
    devices: Sequence[str] = (),
    *,
    actor: str,
    overrule: bool = False,
) -> dict[str, str]:
    """Ask for devices (none given: every managed one) at the indexed revision again; returns device -> run id.

    Named devices go at once, all of them in waves. `overrule` lets the run undo what somebody changed on the
    device. Raises NothingIndexed, DeviceMissing, DeviceNotManaged.
    """
    if not reader.revision:
        raise NothingIndexed
    named = sorted(set(devices))
    for device in named:
        _require_managed(reader, device)
    waves = dict.fromkeys(named, 0) if named else topology.waves_of(reader, topology.managed(reader))
    asked = {}
    for device, wave in waves.items():
        asked[device] = runs.want(conn, device, reader.revision, wave=wave, overrule=overrule)
        told = {"run": asked[device], "overrule": overrule}
        events.emit(conn, "device.apply-asked", device, told, actor=actor, revision=reader.revision)
    return asked


def _require_managed(reader: Reader, device: str) -> None:
    value = reader.get("device", device)
    if value is None:
        raise DeviceMissing(device, reader.revision)
    if not topology.is_managed(value):
        raise DeviceNotManaged(device)


def _wake(conn: Connection, device: str) -> None:
    """A run that waits for a pause to end looks again now: the pause may be over, shorter or longer."""
    conn.execute(
        sa.update(device_run)
        .where(
            device_run.c.device == device,
            device_run.c.open,
            device_run.c.state == RunState.PAUSED,
            device_run.c.why == DEVICE_PAUSED,
        )
        .values(not_before=None)
    )
