"""How everything stands, for `trunkline status`: devices, what waits for a person, index, RADIUS workers, sessions."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from aaa.models import session_open
from aaa.support import worker_positions
from intents.committer import parked
from intents.index import held
from intents.index.models import quarantine
from intents.index.position import last_seq, position
from intents.reader import Reader
from reconciler import baselines, pausing, runs
from reconciler.context import Context
from reconciler.models import object_work, session_work


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A device in one line. `state`: of its newest run; "" before the first. `why`: what it waits for."""

    device: str
    manage: str
    state: str = ""
    why: str = ""
    commit: str = ""
    since: datetime | None = None
    paused_until: datetime | None = None
    paused_by: str = ""
    drift: str = ""
    subscriber_work: int = 0


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that an operator looks at first."""

    trunk: str
    indexed: str
    index_status: str
    index_why: str
    sequence: int
    devices: list[DeviceStatus]
    parked: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    unsettled: int
    stale: int

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits for a person and everything is as trunk says."""
        fine = all(one.state in ("verified", "observed", "") and not one.drift for one in self.devices)
        return fine and self.index_status == "following" and not (self.parked or self.quarantined)


def status(context: Context, head: str | None) -> Status:
    """How it stands now; `head` is the commit that trunk is at."""
    with context.reader() as reader, context.db.read() as conn:
        devices = _devices(reader, conn)
        waiting = [*map(_set, parked(conn)), *map(_commit, held.held(conn))]
        unsettled = conn.execute(sa.select(sa.func.count()).select_from(session_work)).scalar() or 0
        stale = sa.select(sa.func.count()).select_from(session_open).where(session_open.c.stale == sa.true())
        stale_count = conn.execute(stale).scalar() or 0
    with context.index_db.read() as conn:
        at = position(conn)
        bad = [_quarantined(row) for row in conn.execute(sa.select(quarantine).order_by(quarantine.c.path))]
        sequence, workers = last_seq(conn), worker_positions(conn)
    return Status(
        trunk=head or "", indexed=at.commit or "", index_status=at.status, index_why=at.why or "",
        sequence=sequence, devices=devices, parked=waiting, quarantined=bad, workers=workers,
        unsettled=unsettled, stale=stale_count,
    )  # fmt: skip


def _devices(reader: Reader, conn: Connection) -> list[DeviceStatus]:
    newest, pauses, drift = runs.latest(conn), pausing.paused(conn), baselines.drifted(conn)
    query = sa.select(object_work.c.device, sa.func.count()).group_by(object_work.c.device)
    work = {row[0]: row[1] for row in conn.execute(query)}
    found = []
    for device, value in reader.all("device"):
        run, pause = newest.get(device), pauses.get(device)
        found.append(
            DeviceStatus(
                device=device,
                manage=value.manage if value.state in ("active", "maintenance") else value.state,
                state=run.state.value if run else "",
                why=(run.why or "") if run else "",
                commit=run.commit_id if run else "",
                since=run.updated_at if run else None,
                paused_until=pause.until if pause else None,
                paused_by=pause.actor if pause else "",
                drift=drift[device][0] if device in drift else "",
                subscriber_work=work.get(device, 0),
            )
        )
    return found


def _set(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["set_id"], "actor": row["actor"], "reason": row["reason"]} | _guard(row)


def _commit(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["commit_id"], "actor": "", "reason": "a person's commit"} | _guard(row)


def _guard(row: dict[str, Any]) -> dict[str, Any]:
    guard = row["guard"]
    return {
        "guard": guard["guard"],
        "count": guard["count"],
        "limit": guard["limit"],
        "since": row["created_at"],
    }


def _quarantined(row: Any) -> dict[str, Any]:
    return {"path": row.path, "commit": row.commit_id, "why": row.why, "problems": row.problems}
