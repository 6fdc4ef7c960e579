"""Device runs as rows: one open run a device, every step appended before its side effect."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, events, leases
from core.db import Database
from core.ids import new_id
from reconciler.errors import LeaseLost
from reconciler.gates import EARLIER_FAILED, EARLIER_WAVE
from reconciler.models import device_run, device_step
from reconciler.states import ENDED, ON_DEVICE, RunState, require

LEASE_SECONDS = 900


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A device on its way to a commit. `not_before`: nothing is tried until then."""

    run_id: str
    device: str
    commit_id: str
    state: RunState
    open: bool
    wave: int
    urgent: bool
    overrule: bool = False
    attempts: int
    reads_hash: str | None = None
    render_hash: str | None = None
    observed_hash: str | None = None
    diff: str | None = None
    token: str | None = None
    epoch: int | None = None
    deadline: datetime | None = None
    not_before: datetime | None = None
    baseline: Any = None
    why: str | None = None
    created_at: datetime
    updated_at: datetime


def lease_name(device: str) -> str:
    """The name of a device's lease."""
    return f"device/{device}"


def want(
    conn: Connection, device: str, commit: str, wave: int = 0, urgent: bool = False, overrule: bool = False
) -> str:
    """Ask for a device at a commit: the open run moves on to it unless it is on the device already.

    A run that is on the device finishes first; the next one follows it. Returns the run's id.
    """
    for waiting in _waiting(conn, device):
        _step(conn, waiting, RunState.SUPERSEDED, f"by {commit[:12]}", open=False)
    moment = clock.now()
    run_id = new_id("run")
    conn.execute(
        sa.insert(device_run).values(
            run_id=run_id, device=device, commit_id=commit, state=RunState.DESIRED, open=True, wave=wave,
            urgent=urgent,
            overrule=overrule, attempts=0, created_at=moment, updated_at=moment,
        )
    )  # fmt: skip
    _append(conn, run_id, device, RunState.DESIRED, f"commit {commit[:12]}")
    return run_id


def current(conn: Connection, device: str) -> Run | None:
    """The device's oldest open run, or None."""
    query = sa.select(device_run).where(device_run.c.device == device, device_run.c.open)
    row = conn.execute(query.order_by(device_run.c.created_at, device_run.c.run_id).limit(1)).first()
    return None if row is None else from_row(row)


def _waiting(conn: Connection, device: str) -> list[Run]:
    query = sa.select(device_run).where(
        device_run.c.device == device, device_run.c.open, device_run.c.state.not_in(ON_DEVICE)
    )
    return [from_row(row) for row in conn.execute(query)]


def get(conn: Connection, run_id: str) -> Run | None:
    """A run by its id."""
    row = conn.execute(sa.select(device_run).where(device_run.c.run_id == run_id)).first()
    return None if row is None else from_row(row)


def due(conn: Connection) -> list[Run]:
    """Open runs whose time has come: the oldest of each device, lower waves first."""
    query = sa.select(device_run).where(
        device_run.c.open, sa.or_(device_run.c.not_before.is_(None), device_run.c.not_before <= clock.now())
    )
    found: dict[str, Run] = {}
    for row in conn.execute(query.order_by(device_run.c.created_at, device_run.c.run_id)):
        found.setdefault(row.device, from_row(row))
    return sorted(found.values(), key=lambda run: (run.wave, run.created_at))


def advance(db: Database, run: Run, state: RunState, note: str = "", owner: str = "", **values: Any) -> Run:
    """Write the next state before its side effect happens. Raises TransitionRefused, LeaseLost."""
    with db.write() as conn:
        if run.epoch is not None and not leases.is_current(conn, lease_name(run.device), owner, run.epoch):
            raise LeaseLost(run.device)
        return _step(conn, run, state, note, **values)


def _step(conn: Connection, run: Run, state: RunState, note: str, **values: Any) -> Run:
    require(run.device, run.state, state)
    values = {"state": state, "updated_at": clock.now(), "open": state not in ENDED} | values
    conn.execute(sa.update(device_run).where(device_run.c.run_id == run.run_id).values(**values))
    _append(conn, run.run_id, run.device, state, note)
    if state in ENDED and state is not RunState.SUPERSEDED:
        events.emit(
            conn, f"device.{state}", run.device, {"run": run.run_id, "why": note},
            actor="reconciler", revision=run.commit_id,
        )  # fmt: skip
        _wake_next_wave(conn, run)
    return msgspec.structs.replace(run, **values)


def _wake_next_wave(conn: Connection, run: Run) -> None:
    """Runs of the same commit that wait for an earlier wave look again at once."""
    conn.execute(
        sa.update(device_run)
        .where(
            device_run.c.commit_id == run.commit_id,
            device_run.c.open,
            device_run.c.why.in_([EARLIER_WAVE, EARLIER_FAILED]),
        )
        .values(not_before=None)
    )


def _append(conn: Connection, run_id: str, device: str, state: RunState, note: str) -> None:
    conn.execute(
        sa.insert(device_step).values(run_id=run_id, device=device, state=state, note=note, at=clock.now())
    )


def steps(conn: Connection, run_id: str) -> list[tuple[str, str, datetime]]:
    """(state, note, when) of a run, in order."""
    query = sa.select(device_step).where(device_step.c.run_id == run_id).order_by(device_step.c.seq)
    return [(row.state, row.note, row.at) for row in conn.execute(query)]


def latest(conn: Connection) -> dict[str, Run]:
    """Device -> its newest run, open or not."""
    newest = (
        sa.select(device_run.c.device, sa.func.max(device_run.c.run_id).label("run_id"))
        .group_by(device_run.c.device)
        .subquery()
    )
    rows = conn.execute(sa.select(device_run).join(newest, newest.c.run_id == device_run.c.run_id))
    return {row.device: from_row(row) for row in rows}


def ever_verified(conn: Connection, device: str) -> bool:
    """Whether the device ever reached what trunk said."""
    query = sa.select(device_run.c.run_id).where(
        device_run.c.device == device, device_run.c.state == RunState.VERIFIED
    )
    return conn.execute(query.limit(1)).first() is not None


def from_row(row: Any) -> Run:
    """A Run from a row of its table."""
    values = {field: getattr(row, field) for field in Run.__struct_fields__}
    return Run(**{**values, "state": RunState(row.state)})
