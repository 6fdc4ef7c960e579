"""Drafts: what waits for its number, and a person's word on it."""

from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel

from api.amounts import Amount, amount
from api.answers import Answer, answer
from api.console import pages
from api.console.routes import Sent, back, required
from api.customers.view import today as today_of
from api.errors import NotUsable
from api.here import Here, Installed
from api.login.session import Session, posts, visits
from api.resource import Limit, resource
from api.security import needs
from api.tokens import Identity
from billing import invoices
from billing.drafting import waiting
from billing.drafting.waiting import Waiting
from billing.runs.choosing import Choice, graces
from core import events

_PAGES = APIRouter(include_in_schema=False, prefix="/billing/drafts")
_RESOURCE = resource("drafts")
_SHOWN = 200
_AT_ONCE = 500
"""More than these take longer than a browser waits: the command does them."""
Staff = Annotated[Session, visits("support", "billing")]
Billing = Annotated[Session, posts("billing")]
Reader = Annotated[Identity, needs("support", "billing")]
Of = Annotated[str, Query(max_length=64)]


class Draft(BaseModel):
    """A document without a number. `final_from`: the local date of the run that makes it final."""

    id: str
    account: str
    kind: str
    run: str
    billed_on: date
    final_from: date
    total: Amount


class Drafts(Answer):
    """In the order in which they will be numbered."""

    drafts: list[Draft]


@_PAGES.get("")
def page(here: Here, who: Staff, account: Of = "", run: Of = "") -> Response:
    """The drafts, of an account or a run where one is named."""
    with here.context.db.read() as conn:
        sums = waiting.sums(conn)
    found = _found(here, account, run, _SHOWN)
    return pages.page("drafts.html", who, drafts=found, sums=sums, account=account, run=run, most=_SHOWN)


@_PAGES.post("/{draft}/void")
def void(here: Here, who: Billing, draft: str, form: Sent) -> Response:
    """Void a draft: what it billed waits again."""
    reason = required(form, "reason", 120, "voiding without a reason", "write why, such as wrong plan")
    with here.context.db.write() as conn:
        waiting.void(conn, draft, actor=who.identity.actor, reason=reason)
    return back(_place(form))


@_PAGES.post("/finalise")
def finalise(here: Here, who: Billing, form: Sent) -> Response:
    """Make the drafts of an account or a run final now."""
    account, run = form.get("account", "")[:64], form.get("run", "")[:64]
    if not (account or run):
        raise NotUsable(
            "finalising everything", "choose an account or a run; all of them: trunkline billing finalise"
        )
    if len(_found(here, account, run, _AT_ONCE + 1)) > _AT_ONCE:
        told = f"trunkline billing finalise --run {run}" if run else "trunkline billing finalise"
        raise NotUsable(f"more than {_AT_ONCE} drafts at once", told)
    with here.context.reader() as reader:
        today = today_of(reader)
    choice = Choice(on=today, issued=today, account=account or None, run=run or None)
    if given := invoices.finalise(here.context.db, choice):
        told_ = {"run": run, "account": account, "first": given[0], "count": len(given)}
        with here.context.db.write() as conn:
            events.emit(conn, "invoices.finalised", run or account, told_, actor=who.identity.actor)
    return back(_place(form))


@_RESOURCE.get("", response_model=Drafts)
def list_drafts(here: Here, _who: Reader, account: Of = "", run: Of = "", limit: Limit = 50) -> Any:
    """List drafts, of an account or a run where one is named."""
    shown = [
        Draft(
            id=one.id, account=one.account, kind=one.kind, run=one.run, billed_on=one.billed_on,
            final_from=one.final_from, total=amount(one.total),
        )
        for one in _found(here, account, run, limit)
    ]  # fmt: skip
    return answer("drafts", drafts=shown)


def _found(here: Installed, account: str, run: str, limit: int) -> list[Waiting]:
    with here.context.reader() as reader, here.context.db.read() as conn:
        return waiting.waiting(conn, graces(reader), account or None, run or None, limit)


def _place(form: dict[str, str]) -> str:
    kept = {name: form[name][:64] for name in ("account", "run") if form.get(name)}
    return "/billing/drafts" + (f"?{urlencode(kept)}" if kept else "")


ROUTER = APIRouter(routes=[*_PAGES.routes, *_RESOURCE.routes])
