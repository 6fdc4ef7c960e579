"""What we last put on a device, what it read for that, and how it differs by other hands."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, crypto, logs
from core.db import Database, insert_many, upsert
from reconciler.context import Rendering
from reconciler.models import applied, device_read, drift, staged
from reconciler.runs import Run


class Applied(msgspec.Struct, frozen=True):
    """The last candidate that was applied and proven, and the hash of what ran then."""

    commit_id: str
    render_hash: str
    running_hash: str
    candidate: str

    def __repr__(self) -> str:
        return f"Applied({self.commit_id[:12]})"


def last_applied(db: Database, device: str, key: crypto.DataKey | None) -> Applied | None:
    """What we applied last, or None for a device that we never brought to its intent."""
    with db.read() as conn:
        row = conn.execute(sa.select(applied).where(applied.c.device == device)).first()
    if row is None:
        return None
    candidate = crypto.open_(key, row.candidate, f"applied/{device}", "candidate") if key else row.candidate
    return Applied(row.commit_id, row.render_hash, row.running_hash, candidate)


def write_staged(db: Database, run: Run, candidate: str) -> None:
    """Keep what a run is about to commit: after a crash trunk may say something else, the device does not."""
    with db.write() as conn:
        upsert(conn, staged, [{"run_id": run.run_id, "candidate": candidate}], key=["run_id"])


def read_staged(db: Database, run: Run, key: crypto.DataKey | None) -> str | None:
    """What the run was about to commit, in clear; None when it had not come so far."""
    with db.read() as conn:
        kept: str | None = conn.execute(
            sa.select(staged.c.candidate).where(staged.c.run_id == run.run_id)
        ).scalar()
    if kept is None or key is None:
        return kept
    return crypto.open_(key, kept, f"applied/{run.device}", "candidate")


def write_applied(conn: Connection, run: Run, rendering: Rendering, running: str, candidate: str) -> None:
    """Remember what runs now. `candidate` is sealed where there is a data key."""
    values = {
        "device": run.device, "commit_id": run.commit_id, "render_hash": rendering.rendered.digest,
        "running_hash": running, "candidate": candidate, "at": clock.now(),
    }  # fmt: skip
    upsert(conn, applied, [values], key=["device"])
    conn.execute(sa.delete(staged).where(staged.c.run_id == run.run_id))
    conn.execute(sa.delete(drift).where(drift.c.device == run.device))


def record_reads(db: Database, device: str, reads: frozenset[tuple[str, str, str]]) -> None:
    """Replace what the device's rendering reads: its changes are what affects the device."""
    with db.read() as conn:
        known = conn.execute(sa.select(device_read).where(device_read.c.device == device))
        if {(row.read, row.kind, row.id) for row in known} == reads:
            return
    with db.write() as conn:
        conn.execute(sa.delete(device_read).where(device_read.c.device == device))
        rows = [{"device": device, "read": r, "kind": k, "id": i} for r, k, i in sorted(reads)]
        insert_many(conn, device_read, rows)


def record_drift(db: Database, device: str, kind: str, diff: str) -> None:
    """Note that a device differs: unmanaged | not-applied | overruled."""
    row = {"device": device, "kind": kind, "diff": logs.redact(diff), "seen_at": clock.now()}
    with db.write() as conn:
        upsert(conn, drift, [row], key=["device"])


def drifted(conn: Connection) -> dict[str, tuple[str, str]]:
    """Device -> (kind of drift, diff)."""
    return {row.device: (row.kind, row.diff) for row in conn.execute(sa.select(drift))}
