"""Dunning: who is overdue, at which step, what holds it up, and what the next run would do."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from api.amounts import Amount, amount
from api.answers import Answer, answer
from api.console import pages
from api.customers.view import today as today_of
from api.errors import NotUsable
from api.here import Here
from api.login.session import Session, visits
from api.resource import Limit, resource
from api.security import needs
from api.tokens import Identity
from billing.collecting import caseload
from billing.dunning import run_dunning

_PAGES = APIRouter(include_in_schema=False, prefix="/billing/dunning")
_RESOURCE = resource("dunning")
_AT_ONCE = 2_000
"""Accounts; they are locked while a run is tried, and nobody is to wait for a look."""
Staff = Annotated[Session, visits("support", "billing")]
Reader = Annotated[Identity, needs("support", "billing")]


class Case(BaseModel):
    """An overdue account. `coming`: invoices whose debit is on its way; `held`: services."""

    account: str
    customer: str
    since: date
    overdue: Amount
    invoices: int
    stage: int
    step: str
    held: int
    promised: date | None
    coming: list[str]


class Cases(Answer):
    """The oldest debt first."""

    cases: list[Case]


@_PAGES.get("")
def page(here: Here, who: Staff, next: bool = False) -> Response:
    """The overdue accounts; with `next`, what a run would do now."""
    with here.context.reader() as reader:
        today = today_of(reader)
        with here.context.db.read() as conn:
            steps, found = caseload.steps(conn, today), caseload.overdue(conn, today, 100)
        if next and sum(one.accounts for one in steps) > _AT_ONCE:
            raise NotUsable(
                f"more than {_AT_ONCE} overdue accounts", "it takes a while: trunkline billing dunning --dry"
            )
        run = run_dunning(here.context.db, reader, today, dry=True) if next else None
    most = max((one.accounts for one in steps), default=1)
    return pages.page("dunning.html", who, today=today, steps=steps, most=most, cases=found, run=run)


@_RESOURCE.get("/cases", response_model=Cases)
def list_cases(here: Here, _who: Reader, limit: Limit = 50) -> Any:
    """List overdue accounts, the oldest debt first."""
    with here.context.reader() as reader, here.context.db.read() as conn:
        found = caseload.overdue(conn, today_of(reader), limit)
    shown = [
        Case(
            account=one.account, customer=one.customer, since=one.since, overdue=amount(one.amount),
            invoices=one.invoices, stage=one.stage, step=one.step, held=one.held, promised=one.promised,
            coming=list(one.coming),
        )
        for one in found
    ]  # fmt: skip
    return answer("dunning-cases", cases=shown)


ROUTER = APIRouter(routes=[*_PAGES.routes, *_RESOURCE.routes])
