"""Runs of billing and dunning: what one did, and undoing it after seeing what that would do."""

from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from api.answers import Answer, answer
from api.console import pages
from api.console.routes import Sent, back
from api.errors import NotUsable
from api.here import Here, Installed
from api.login.session import Session, posts, visits
from api.resource import Limit, resource
from api.security import needs
from api.tokens import Identity
from billing import glance, undoing
from billing.glance import RunDone
from billing.runs import listing
from billing.undoing import Undone
from core.money import Money

_PAGES = APIRouter(include_in_schema=False, prefix="/billing/runs")
_RESOURCE = resource("runs")
_AT_ONCE = 500
"""Documents; to take back more takes longer than a browser waits, and the command shows how far it is."""
Staff = Annotated[Session, visits("support", "billing")]
Billing = Annotated[Session, posts("billing")]
Reader = Annotated[Identity, needs("support", "billing")]


class Run(BaseModel):
    """A bill run or a dunning run. `ended` null: it goes on, or was cut off; `did`: its counts."""

    id: str
    kind: str
    on: date
    started: datetime
    ended: datetime | None
    did: dict[str, int]
    warnings: list[str]


class Runs(Answer):
    """The newest first."""

    runs: list[Run]


@_PAGES.get("/{run}")
def page(here: Here, who: Staff, run: str, undo: bool = False) -> Response:
    """A run; with `undo`, what undoing it would do."""
    with here.context.db.read() as conn:
        done = listing.one(conn, run)
        billed = done.kind == "bill"
        shown: dict[str, Any] = {
            "run": done,
            "documents": listing.documents(conn, done) if billed else [],
            "largest": [
                {**row._mapping, "money": Money(row.total, row.currency)} for row in listing.largest(conn, done)
            ] if billed else [],
            "entered": {} if billed else listing.entered(conn, done),
            "holds": [] if billed else listing.holds(conn, done),
        }  # fmt: skip
    preview = _undone(here, done, "preview", dry=True) if undo and who.may("billing") else None
    return pages.page("run.html", who, undo=preview, **shown)


@_PAGES.post("/{run}/undo")
def undo(here: Here, who: Billing, run: str, form: Sent) -> Response:
    """Undo it, if what it would do is still what the person saw."""
    with here.context.db.read() as conn:
        done = listing.one(conn, run)
    seen, expected = _undone(here, done, who.identity.actor, dry=True), form.get("expect", "").strip()
    count = seen.credited + seen.voided if done.kind == "bill" else len(seen.freed)
    if expected != str(count):
        raise NotUsable(
            f"the count '{expected[:20]}'", f"undoing {run} would take back {count} now; look once more"
        )
    _undone(here, done, who.identity.actor, dry=False)
    return back(f"/billing/runs/{quote(run)}")


@_RESOURCE.get("", response_model=Runs)
def list_runs(here: Here, _who: Reader, limit: Limit = 50) -> Any:
    """List the last bill runs and dunning runs together."""
    with here.context.db.read() as conn:
        found = glance.runs(conn, limit)
    shown = [
        Run(id=one.id, kind=one.kind, on=one.on, started=one.started, ended=one.ended, did=one.said,
            warnings=list(one.warnings))
        for one in found
    ]  # fmt: skip
    return answer("runs", runs=shown)


def _undone(here: Installed, run: RunDone, actor: str, *, dry: bool) -> Undone:
    with here.context.db.read() as conn:
        documents = sum(one.count for one in listing.documents(conn, run)) if run.kind == "bill" else 0
    if documents > _AT_ONCE:
        raise NotUsable(
            f"a run of {documents} documents", f"it takes a while: trunkline billing undo {run.id}"
        )
    return undoing.undo(here.context.db, run.id, actor=actor, dry=dry)


ROUTER = APIRouter(routes=[*_PAGES.routes, *_RESOURCE.routes])
