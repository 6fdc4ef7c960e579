"""Receipts: what was asked of a device or service for a commit, what it answered, how long it took."""

from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Query
from pydantic import BaseModel

from api.answers import Answer, answer
from api.here import Here
from api.resource import After, Limit, page, resource, sequence
from api.security import needs
from api.tokens import Identity
from reconciler.models import receipt

ROUTER = resource("receipts")


class Receipt(BaseModel):
    """One effect of one commit. `outcome`: acked, nak(code), timeout, no-session, superseded, reverted, failed."""

    seq: int
    commit_id: str
    lane: int
    target: str
    step: str
    outcome: str
    asked: str
    answer: str
    started_at: datetime
    ended_at: datetime
    attempts: int


class Receipts(Answer):
    """A page of receipts."""

    receipts: list[Receipt]
    next: str | None = None


@ROUTER.get("", response_model=Receipts)
def list_receipts(
    here: Here,
    _who: Annotated[Identity, needs("viewer")],
    commit: Annotated[str, Query(description="Of this commit, or of a prefix of its id.")] = "",
    target: Annotated[str, Query(description="Of this device or service.")] = "",
    limit: Limit = 50,
    after: After = "",
) -> Any:
    """List receipts, the newest first."""
    query = sa.select(receipt).order_by(receipt.c.seq.desc()).limit(limit + 1)
    if commit:
        query = query.where(receipt.c.commit_id.startswith(commit, autoescape=True))
    if target:
        query = query.where(receipt.c.target == target)
    if (before := sequence(after)) is not None:
        query = query.where(receipt.c.seq < before)
    with here.context.db.read() as conn:
        found = [dict(row) for row in conn.execute(query).mappings()]
    shown, cursor = page(found, limit, "seq")
    return answer("receipts", receipts=shown, next=cursor)
