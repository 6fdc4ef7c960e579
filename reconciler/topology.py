"""Lane 3: which devices a change affects, and the runs that bring them there. The runs go in waves."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import Database
from intents.config.schema import Config
from intents.device.schema import Device
from intents.kinds import KINDS
from intents.reader import Reader
from reconciler import following, runs, waves
from reconciler.context import Context, Read, touched_by
from reconciler.models import device_read

LANE = "topology"
_TRIES = 200


def follow(context: Context) -> list[str]:
    """Queue a run for every device that new commits affect; returns the devices."""
    with context.reader() as reader, context.index_db.read() as index_conn:
        batch = following.pending(context.db, index_conn, LANE)
        if batch is None:
            return []
        found = _all(reader) if batch.everything else affected(context.db, reader, batch.changes)
        devices = [device for device in found if is_managed(reader.get("device", device))]
        commit = reader.revision
        numbers = waves_of(reader, devices)
    with context.db.write() as conn:
        for device in devices:
            runs.want(conn, device, commit, wave=numbers[device])
        following.moved(conn, LANE, batch.upto)
    return devices


def is_managed(device: Device | None) -> bool:
    """Whether we ever log in to it."""
    return device is not None and device.state in ("active", "maintenance") and device.management is not None


def affected(db: Database, reader: Reader, changes: list[following.Indexed]) -> list[str]:
    """Devices whose recorded reads the changes touch, and devices that changed themselves; sorted."""
    touched: set[Read] = set()
    found: set[str] = set()
    for change in following.newest_per_document(changes):
        value = reader.get(change.kind, change.id)
        named = (
            [] if value is None else [(r.kind, r.id) for r in KINDS[change.kind].references(change.id, value)]
        )
        touched |= touched_by(change.kind, change.id, named)
        if change.kind == "device":
            found.add(change.id)
    with db.read() as conn:
        return sorted(found | _readers(conn, touched))


def _readers(conn: Connection, touched: set[Read]) -> set[str]:
    ordered = sorted(touched)
    found: set[str] = set()
    for start in range(0, len(ordered), _TRIES):
        rows = sa.tuple_(device_read.c.kind, device_read.c.id, device_read.c.read).in_(
            [(kind, identifier, read) for read, kind, identifier in ordered[start : start + _TRIES]]
        )
        found |= set(conn.execute(sa.select(device_read.c.device).where(rows).distinct()).scalars())
    return found


def _all(reader: Reader) -> list[str]:
    return sorted(device for device, _ in reader.all("device"))


def managed(reader: Reader) -> list[str]:
    """Every device that we log in to, sorted."""
    return sorted(device for device, value in reader.all("device") if is_managed(value))


def waves_of(reader: Reader, devices: list[str]) -> dict[str, int]:
    """Device -> its wave, by the rollout of trunkline.yaml."""
    config: Config | None = reader.get("config", "trunkline")
    if config is None:
        return dict.fromkeys(devices, 0)
    values = {device: reader.get("device", device) for device in devices}
    pairs = {device: value.pair or value.ring for device, value in values.items() if value.pair or value.ring}
    return waves.assign(devices, pairs, config.rollout.canary, [int(step) for step in config.rollout.steps])
