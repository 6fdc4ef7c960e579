"""Receipts: what was asked of a target for a commit, what it answered, how long it took.

Unique on (commit, target, step): effects are at least once and idempotent, their attempts append only.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core import clock, logs
from core.db import insert_many
from reconciler.models import receipt, receipt_attempt

_LIMIT = 20000


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One effect of one commit. `outcome`: acked, nak(code), timeout, no-session, superseded, reverted, failed."""

    commit_id: str
    lane: int
    target: str
    step: str
    outcome: str
    asked: str
    answer: str
    started_at: datetime
    ended_at: datetime
    attempts: int = 1


def record(
    conn: Connection, *, commit: str, lane: int, target: str, step: str, outcome: str,
    asked: str = "", answer: str = "", started_at: datetime | None = None,
) -> None:  # fmt: skip
    """Write or renew the receipt of a step, with its attempt; secrets are redacted."""
    moment = clock.now()
    where = (receipt.c.commit_id == commit, receipt.c.target == target, receipt.c.step == step)
    values = {
        "outcome": outcome, "asked": logs.redact(asked)[:_LIMIT], "answer": logs.redact(answer)[:_LIMIT],
        "ended_at": moment,
    }  # fmt: skip
    again = conn.execute(sa.update(receipt).where(*where).values(attempts=receipt.c.attempts + 1, **values))
    if again.rowcount == 0:
        conn.execute(
            sa.insert(receipt).values(
                commit_id=commit, lane=lane, target=target, step=step, attempts=1,
                started_at=started_at or moment, **values,
            )
        )  # fmt: skip
    conn.execute(
        sa.insert(receipt_attempt).values(
            commit_id=commit, target=target, step=step, outcome=outcome, answer=values["answer"], at=moment
        )
    )


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be recorded of one step: the words of `record`, for many at once."""

    commit: str
    target: str
    step: str
    outcome: str
    asked: str = ""
    answer: str = ""
    started_at: datetime


def record_many(conn: Connection, lane: int, steps: Sequence[Step]) -> None:
    """The same as `record` for each, in a few statements for all."""
    moment = clock.now()
    rows = {
        (one.commit, one.target, one.step): {
            "commit_id": one.commit, "target": one.target, "step": one.step, "outcome": one.outcome,
            "lane": lane, "asked": logs.redact(one.asked)[:_LIMIT], "answer": logs.redact(one.answer)[:_LIMIT],
            "started_at": one.started_at, "ended_at": moment, "attempts": 1,
        }
        for one in steps
    }  # fmt: skip
    build = sqlite.insert if conn.dialect.name == "sqlite" else postgresql.insert
    insert = build(receipt)
    renewed = {name: insert.excluded[name] for name in ("outcome", "asked", "answer", "ended_at")}
    again = insert.on_conflict_do_update(
        index_elements=["commit_id", "target", "step"],
        set_={**renewed, "attempts": receipt.c.attempts + 1},
    )
    tried = ("commit_id", "target", "step", "outcome", "answer")
    if rows:
        conn.execute(again, list(rows.values()))
    insert_many(conn, receipt_attempt, [{k: row[k] for k in tried} | {"at": moment} for row in rows.values()])


def of_commit(conn: Connection, commit: str) -> list[Receipt]:
    """All receipts of a commit (a prefix of its id is enough), oldest first."""
    found = sa.select(receipt).where(receipt.c.commit_id.startswith(commit, autoescape=True))
    return [_receipt(row) for row in conn.execute(found.order_by(receipt.c.seq))]


def of_target(conn: Connection, target: str, limit: int = 50) -> list[Receipt]:
    """The newest receipts of a device or service, newest first."""
    found = sa.select(receipt).where(receipt.c.target == target).order_by(receipt.c.seq.desc()).limit(limit)
    return [_receipt(row) for row in conn.execute(found)]


def recent(conn: Connection, limit: int = 50) -> list[Receipt]:
    """The newest receipts of all, newest first."""
    return [
        _receipt(row) for row in conn.execute(sa.select(receipt).order_by(receipt.c.seq.desc()).limit(limit))
    ]


def _receipt(row: Any) -> Receipt:
    return Receipt(**{field: getattr(row, field) for field in Receipt.__struct_fields__})
