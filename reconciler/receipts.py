"""Receipts: what was asked of a target for a commit, what it answered, how long it took.

Unique on (commit, target, step): effects are at least once and idempotent, their attempts append only.
"""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock, logs
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
