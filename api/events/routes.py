"""Events: what happened, who did it; the newest first."""

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
from core import logs
from core.models import event

ROUTER = resource("events")


class Event(BaseModel):
    """An event. `subject` is what it happened to."""

    seq: int
    event_id: str
    type: str
    version: int
    occurred_at: datetime
    subject: str
    revision: str | None
    correlation: str | None
    actor: str
    data: dict[str, Any]


class Events(Answer):
    """A page of events."""

    events: list[Event]
    next: str | None = None


@ROUTER.get("", response_model=Events)
def list_events(
    here: Here,
    _who: Annotated[Identity, needs("support", "billing", "engineer")],
    type: Annotated[str, Query(description="Only of this type, such as changeset.landed.")] = "",
    subject: Annotated[str, Query(description="Only of this subject.")] = "",
    limit: Limit = 50,
    after: After = "",
) -> Any:
    """List events."""
    query = sa.select(event).order_by(event.c.seq.desc()).limit(limit + 1)
    if type:
        query = query.where(event.c.type == type)
    if subject:
        query = query.where(event.c.subject == subject)
    if (before := sequence(after)) is not None:
        query = query.where(event.c.seq < before)
    with here.context.db.read() as conn:
        found = [dict(row) | {"data": logs.redact(row["data"])} for row in conn.execute(query).mappings()]
    shown, cursor = page(found, limit, "seq")
    return answer("events", events=shown, next=cursor)
