"""Lane 2: subscriber objects on devices (ONU, service port, reservation): batched, idempotent, verified each."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, events, faults, logs
from core.db import upsert
from core.errors import TrunklineError
from drivers import registry
from drivers.contract import Driver, ObjectOp, ObjectResult
from intents.device.schema import Device
from intents.reader import Reader
from inventory.resolve import resolve_device
from inventory.subscribers import devices_of_line, lines_of_change, services_on
from reconciler import following, pausing, receipts
from reconciler.context import Context
from reconciler.models import object_state, object_work
from reconciler.targets import target_of
from renderers.contract import WantedObject
from renderers.registry import objects_of

LANE = "objects"
BATCH = 200
P_QUEUED = faults.declare("objects.after_queued")
P_APPLIED = faults.declare("objects.after_applied")
P_RECORDED = faults.declare("objects.after_recorded")


class Work(msgspec.Struct, frozen=True):
    """A line whose objects on a device must be looked at."""

    device: str
    line: str
    commit_id: str
    seq: int
    attempts: int


def follow(context: Context) -> int:
    """Queue the lines that new commits touch, on the device that has them and on one that had them."""
    with context.reader() as reader, context.index_db.read() as index_conn:
        batch = following.pending(context.db, index_conn, LANE)
        if batch is None:
            return 0
        lines = _all_lines(reader) if batch.everything else _touched_lines(reader, batch)
        lines |= _lines_of_gone_services(context, reader, batch)
        rows = [row for line, (commit, seq) in lines.items() for row in _rows(reader, line, commit, seq)]
    with context.db.write() as conn:
        rows += _had(conn, {row["line"] for row in rows} | set(lines), lines)
        upsert(conn, object_work, rows, key=["device", "line"], update=["commit_id", "seq", "not_before"])
        following.moved(conn, LANE, batch.upto)
    faults.point(P_QUEUED)
    return len(rows)


def _all_lines(reader: Reader) -> dict[str, tuple[str, int]]:
    return dict.fromkeys(reader.ids("line"), (reader.revision, 0))


def _touched_lines(reader: Reader, batch: following.Batch) -> dict[str, tuple[str, int]]:
    return {
        line: (change.commit_id, change.seq)
        for change in following.newest_per_document(batch.changes)
        for line in lines_of_change(reader, change.kind, change.id)
    }


def _lines_of_gone_services(
    context: Context, reader: Reader, batch: following.Batch
) -> dict[str, tuple[str, int]]:
    """A service whose file is gone names no line any more: what we put for it does."""
    found: dict[str, tuple[str, int]] = {}
    for change in following.newest_per_document(batch.changes):
        if change.kind == "service" and reader.get("service", change.id) is None:
            owned = sa.cast(object_state.c.objects, sa.String).contains(f'"{change.id}"', autoescape=True)
            with context.db.read() as conn:
                lines = conn.execute(sa.select(object_state.c.line).where(owned).distinct()).scalars().all()
            found |= dict.fromkeys(lines, (change.commit_id, change.seq))
    return found


def _rows(reader: Reader, line: str, commit: str, seq: int) -> list[dict[str, Any]]:
    value = reader.get("line", line)
    devices = devices_of_line(reader, value) if value is not None else ()
    return [
        _row(device, line, commit, seq) for device in devices if _is_written(reader.get("device", device))
    ]


def _is_written(device: Device | None) -> bool:
    return device is not None and device.manage != "observe" and device.management is not None


def _row(device: str, line: str, commit: str, seq: int) -> dict[str, Any]:
    return {
        "device": device, "line": line, "commit_id": commit, "seq": seq, "attempts": 0,
        "not_before": clock.now(), "why": "",
    }  # fmt: skip


def _had(conn: Connection, lines: set[str], commits: dict[str, tuple[str, int]]) -> list[dict[str, Any]]:
    """Work for devices where a line has objects of ours, also when its file is gone or names another device."""
    found = []
    ordered = sorted(lines)
    for start in range(0, len(ordered), 500):
        known = sa.select(object_state).where(object_state.c.line.in_(ordered[start : start + 500]))
        for row in conn.execute(known):
            commit, seq = commits[row.line]
            found.append(_row(row.device, row.line, commit, seq))
    return found


def due_devices(conn: Connection) -> list[str]:
    """Devices with work whose time has come, and that nobody paused."""
    query = sa.select(object_work.c.device).where(object_work.c.not_before <= clock.now()).distinct()
    return sorted(set(conn.execute(query).scalars()) - pausing.paused(conn).keys())


def perform(context: Context, device: str) -> int:
    """Bring the due lines of one device to what they want, in one session; returns how many were done."""
    with context.db.read() as conn:
        if device in pausing.paused(conn):
            return 0
        query = sa.select(object_work).where(
            object_work.c.device == device, object_work.c.not_before <= clock.now()
        )
        rows = conn.execute(query.order_by(object_work.c.seq, object_work.c.line).limit(BATCH)).all()
    work = [Work(row.device, row.line, row.commit_id, row.seq, row.attempts) for row in rows]
    started = clock.now()
    try:
        outcomes = _apply(context, device, work)
    except TrunklineError as error:
        _postpone(context, work, str(error))
        return 0
    faults.point(P_APPLIED)
    _settle(context, outcomes, started)
    faults.point(P_RECORDED)
    return sum(ok for _, _, ok, _ in outcomes)


Outcome = tuple[Work, list[WantedObject], bool, str]


def _apply(context: Context, device: str, work: Sequence[Work]) -> list[Outcome]:
    with context.reader() as reader:
        model = resolve_device(reader, device)
        target = target_of(model, reader.get("config", "trunkline"), context.secrets, context.keys)
        wanted = {item.line: _wanted(reader, model.device.platform, device, item.line) for item in work}
    had = _placed(context, device, [item.line for item in work])
    ops = {item.line: _ops(had.get(item.line, []), wanted[item.line]) for item in work}
    if model.device.manage == "observe" or not any(ops.values()):
        return [(item, wanted[item.line], True, "nothing to do") for item in work]
    with registry.opened(target) as driver:
        return _answers(driver, work, wanted, ops)


def _answers(
    driver: Driver,
    work: Sequence[Work],
    wanted: dict[str, list[WantedObject]],
    ops: dict[str, list[ObjectOp]],
) -> list[Outcome]:
    """Deletions of all lines first, so that a value may move from one line to another in one batch."""
    flat = [(item.line, op) for item in work for op in ops[item.line]]
    flat.sort(key=lambda pair: pair[1].op != "delete")
    results = driver.apply_objects([op for _, op in flat])
    by_line: dict[str, list[tuple[ObjectOp, ObjectResult]]] = {}
    for (line, op), result in zip(flat, results, strict=True):
        by_line.setdefault(line, []).append((op, result))
    return [(item, wanted[item.line], *_summary(by_line.get(item.line, []))) for item in work]


def _summary(results: list[tuple[ObjectOp, ObjectResult]]) -> tuple[bool, str]:
    failed = [f"{op.op} {op.kind} {_key(op.key)}: {r.answer}" for op, r in results if not r.ok]
    done = [
        f"{op.op} {op.kind} {_key(op.key)}{'' if r.changed else ' (was so)'}" for op, r in results if r.ok
    ]
    return not failed, "; ".join(failed or done)


def _key(key: dict[str, Any]) -> str:
    return " ".join(str(value) for value in key.values())


def _wanted(reader: Reader, platform: str, device: str, line: str) -> list[WantedObject]:
    value = reader.get("line", line)
    if value is None or device not in devices_of_line(reader, value):
        return []
    return objects_of(platform, line, value, services_on(reader, line))


def _placed(context: Context, device: str, lines: list[str]) -> dict[str, list[WantedObject]]:
    with context.db.read() as conn:
        query = sa.select(object_state).where(object_state.c.device == device, object_state.c.line.in_(lines))
        return {row.line: msgspec.convert(row.objects, list[WantedObject]) for row in conn.execute(query)}


def _ops(had: list[WantedObject], wanted: list[WantedObject]) -> list[ObjectOp]:
    """What is no longer wanted goes in reverse order of building, then everything wanted is put."""
    keep = {(o.kind, _key(o.key)) for o in wanted}
    gone = [o for o in reversed(had) if (o.kind, _key(o.key)) not in keep]
    return [ObjectOp(op="delete", kind=o.kind, key=o.key) for o in gone] + [
        ObjectOp(op="put", kind=o.kind, key=o.key, attributes=o.attributes) for o in wanted
    ]


def _settle(context: Context, outcomes: list[Outcome], started: Any) -> None:
    with context.db.write() as conn:
        for item, wanted, ok, answer in outcomes:
            receipts.record(
                conn, commit=item.commit_id, lane=2, target=item.device, step=f"line {item.line}",
                outcome="acked" if ok else "failed", asked=", ".join(f"{o.kind} {_key(o.key)}" for o in wanted),
                answer=answer, started_at=started,
            )  # fmt: skip
            if ok:
                _done(conn, item, wanted)
            else:
                _again(conn, item, answer)


def _done(conn: Connection, item: Work, wanted: list[WantedObject]) -> None:
    same = (
        object_work.c.device == item.device,
        object_work.c.line == item.line,
        object_work.c.seq == item.seq,
    )
    conn.execute(sa.delete(object_work).where(*same))
    where = (object_state.c.device == item.device, object_state.c.line == item.line)
    if not wanted:
        conn.execute(sa.delete(object_state).where(*where))
        return
    row = {
        "device": item.device, "line": item.line, "objects": [msgspec.to_builtins(o) for o in wanted],
        "commit_id": item.commit_id, "at": clock.now(),
    }  # fmt: skip
    upsert(conn, object_state, [row], key=["device", "line"])
    for wanted_object in wanted:
        if wanted_object.owner not in ("", item.line):
            _confirm(conn, wanted_object.owner, item)


def _confirm(conn: Connection, service: str, item: Work) -> None:
    """The service is proven on its device: billing may start (once a service)."""
    events.emit(
        conn, "activation.confirmed", service, {"service": service, "line": item.line, "device": item.device},
        actor="reconciler", revision=item.commit_id, unique=f"activation/{service}",
    )  # fmt: skip


def _again(conn: Connection, item: Work, why: str) -> None:
    wait = timedelta(seconds=min(300, 2 ** min(item.attempts + 1, 8)))
    conn.execute(
        sa.update(object_work)
        .where(object_work.c.device == item.device, object_work.c.line == item.line)
        .values(attempts=item.attempts + 1, not_before=clock.now() + wait, why=logs.redact(why)[:2000])
    )


def _postpone(context: Context, work: Sequence[Work], why: str) -> None:
    with context.db.write() as conn:
        for item in work:
            _again(conn, item, why)
