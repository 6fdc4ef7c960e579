"""Change sets: what is on its way to trunk, and what a guard holds back until a person says yes or no."""

from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Query
from pydantic import BaseModel, Field

from api.answers import Answer, Problem, answer
from api.given import Given
from api.here import Here
from api.resource import After, Limit, page, resource, sequence
from api.security import needs
from api.sets import held
from api.sets.held import Held
from api.tokens import Identity
from intents.models import change_set
from intents.queue import ChangeSetMissing
from intents.states import State

ROUTER = resource("sets")
Releaser = Annotated[Identity, needs("billing", "engineer")]


class Waiting(Answer):
    """What guards hold back: change sets, and people's commits."""

    held: list[Held]


class ChangeSet(BaseModel):
    """A change set."""

    seq: int
    set_id: str
    actor: str
    approver: str | None
    reason: str
    correlation: str | None
    urgent: bool
    state: str
    commit_id: str | None
    created_at: datetime
    landed_at: datetime | None
    guard: dict[str, Any] | None
    released_by: str | None


class Sets(Answer):
    """A page of change sets."""

    sets: list[ChangeSet]
    next: str | None = None


class One(Answer):
    """A change set with its first 200 changes; why it could not land stands in `refused`."""

    set: ChangeSet
    changes: list[dict[str, Any]]
    count: int
    refused: list[Problem | dict[str, Any]]


class Yes(Given):
    """`expect` repeats the count of what waits: nobody releases what he has not looked at."""

    expect: Annotated[int, Field(ge=0)]


class Decided(Answer):
    """What was decided."""

    id: str
    decided: str
    actor: str


@ROUTER.get("", response_model=Sets)
def list_sets(
    here: Here,
    _who: Annotated[Identity, needs("viewer")],
    state: Annotated[State | None, Query(description="Only sets in this state.")] = None,
    limit: Limit = 50,
    after: After = "",
) -> Any:
    """List change sets, the newest first."""
    query = sa.select(change_set).order_by(change_set.c.seq.desc()).limit(limit + 1)
    if state is not None:
        query = query.where(change_set.c.state == state.value)
    if (before := sequence(after)) is not None:
        query = query.where(change_set.c.seq < before)
    with here.context.db.read() as conn:
        found = [dict(row) for row in conn.execute(query).mappings()]
    shown, cursor = page(found, limit, "seq")
    return answer("change-sets", sets=shown, next=cursor)


@ROUTER.get("/held", response_model=Waiting)
def list_held(here: Here, _who: Annotated[Identity, needs("viewer")]) -> Any:
    """List what guards hold back."""
    with here.context.db.read() as conn:
        return answer("held", held=held.waiting(conn))


@ROUTER.get("/{set_id}", response_model=One)
def show_set(here: Here, _who: Annotated[Identity, needs("viewer")], set_id: str) -> Any:
    """Show a change set."""
    with here.context.db.read() as conn:
        row = held.set_row(conn, set_id)
        if row is None:
            raise ChangeSetMissing(set_id)
        changes, count = held.changes(conn, set_id), held.count_of(conn, set_id)
    return answer("change-set", set=row, changes=changes, count=count, refused=row["problems"] or [])


@ROUTER.post("/{name}/release", response_model=Decided)
def release(here: Here, who: Releaser, name: str, yes: Yes) -> Any:
    """Let a held change set (or commit) pass its guard."""
    with here.context.db.write() as conn:
        held.let_pass(conn, name, who.actor, yes.expect)
    return answer("decision", id=name, decided="released", actor=who.actor)


@ROUTER.post("/{name}/drop", response_model=Decided)
def drop(here: Here, who: Releaser, name: str) -> Any:
    """Refuse a held change set (or commit) for good."""
    with here.context.db.write() as conn:
        held.refuse(conn, name, who.actor)
    return answer("decision", id=name, decided="dropped", actor=who.actor)
