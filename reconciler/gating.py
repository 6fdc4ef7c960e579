"""Collect the facts that the gates decide on."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock
from core.db import Database
from intents.config.schema import Config
from inventory.model import DeviceModel
from reconciler import runs
from reconciler.gates import Facts
from reconciler.models import device_run, pause
from reconciler.runs import Run
from reconciler.states import RunState


def facts_of(db: Database, run: Run, model: DeviceModel, config: Config, drift: str) -> Facts:
    """What is so right now for this run."""
    windows: dict[Any, Any] = dict(config.windows)
    with db.read() as conn:
        paused = conn.execute(sa.select(pause.c.until).where(pause.c.device == run.device)).scalar()
        earlier = _newest_of_earlier_waves(conn, run)
        return Facts(
            now=clock.now(),
            timezone=model.timezone,
            first_time=not runs.ever_verified(conn, run.device),
            urgent=run.urgent,
            window=str(windows[model.device.role]) if model.device.role in windows else None,
            paused_until=paused,
            drift=drift,
            overrule=run.overrule,
            earlier_waves=earlier,
        )


def _newest_of_earlier_waves(conn: Connection, run: Run) -> tuple[RunState, ...]:
    """The newest run of every device of an earlier wave: one that failed and was applied again has passed."""
    query = (
        sa.select(device_run.c.device, device_run.c.state)
        .where(device_run.c.commit_id == run.commit_id, device_run.c.wave < run.wave)
        .order_by(device_run.c.created_at, device_run.c.run_id)
    )
    newest = {row.device: RunState(row.state) for row in conn.execute(query)}
    return tuple(newest.values())
