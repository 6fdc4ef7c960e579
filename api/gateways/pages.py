"""Gateways: charges and refunds over all accounts that are undecided or failed, and what waits for a person."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from api.amounts import Amount, amount
from api.answers import Answer, answer
from api.console import pages
from api.console.routes import back
from api.customers.view import today as today_of
from api.errors import NotUsable
from api.given import Day
from api.here import Here
from api.login.session import Session, posts, visits
from api.resource import After, Limit, resource
from api.resource import page as paged
from api.security import needs
from api.tokens import Identity
from billing.gateways import asking, listing
from billing.gateways.listing import Giving, Try

PAGES = APIRouter(include_in_schema=False, prefix="/billing/gateways")
RESOURCE = resource("gateways")
_AT_ONCE = 2_000
_RECENT = timedelta(days=30)
Staff = Annotated[Session, visits("support", "billing")]
Billing = Annotated[Session, posts("billing")]
Reader = Annotated[Identity, needs("support", "billing")]


class Attempt(BaseModel):
    """A try to charge an invoice. `state`: unknown, pending, failed, or succeeded with the `code` of its return."""

    id: str
    account: str
    invoice: str
    number: int
    gateway: str
    amount: Amount
    state: str
    code: str
    planned_on: date
    asked_at: datetime | None
    told_on: date | None


class Attempts(Answer):
    """A page of tries."""

    attempts: list[Attempt]
    next: str | None = None


class Refund(BaseModel):
    """A refund that is on its way, or failed, and why."""

    id: str
    account: str
    payment: str
    method: str
    amount: Amount
    state: str
    why: str
    requested_on: date
    actor: str


class Refunds(Answer):
    """The newest first."""

    refunds: list[Refund]


@PAGES.get("")
def page(here: Here, who: Staff) -> Response:
    """What a person looks at."""
    with here.context.reader() as reader:
        since = today_of(reader) - _RECENT
    with here.context.db.read() as conn:
        return pages.page(
            "gateways.html", who, since=since, gateways=listing.gateways(conn), undecided=listing.undecided(conn),
            failed=listing.failed(conn, since), refunds=listing.refunds(conn, since), stuck=listing.stuck(conn),
        )  # fmt: skip


@PAGES.post("/ask")
def ask(here: Here, _who: Billing) -> Response:
    """Ask the gateways what became of all that is undecided, and fetch their events; no new charge is planned."""
    with here.context.db.read() as conn:
        waits = sum(one.undecided for one in listing.gateways(conn))
    if waits > _AT_ONCE:
        raise NotUsable(f"{waits} undecided charges", "asking takes a while: trunkline billing autopay run")
    with here.context.db.write() as conn:
        asking.ask_again(conn)
    return back("/billing/gateways")


@RESOURCE.get("/attempts/undecided", response_model=Attempts)
def list_undecided(here: Here, _who: Reader, limit: Limit = 50, after: After = "") -> Any:
    """List charges whose fate is not known, the oldest first."""
    with here.context.db.read() as conn:
        found, cursor = paged(
            [_attempt(one) for one in listing.undecided(conn, limit + 1, after)], limit, "id"
        )
    return answer("gateway-attempts", attempts=found, next=cursor)


@RESOURCE.get("/attempts/failed", response_model=Attempts)
def list_failed(here: Here, _who: Reader, since: Day, limit: Limit = 50) -> Any:
    """List charges that failed, or came back, since a day; the newest first."""
    with here.context.db.read() as conn:
        found = [_attempt(one) for one in listing.failed(conn, since, limit)]
    return answer("gateway-attempts", attempts=found)


@RESOURCE.get("/refunds", response_model=Refunds)
def list_refunds(here: Here, _who: Reader, since: Day, limit: Limit = 50) -> Any:
    """List refunds on their way, by any method, and those since a day that failed."""
    with here.context.db.read() as conn:
        found = [_refund(one) for one in listing.refunds(conn, since, limit)]
    return answer("refunds", refunds=found)


def _attempt(one: Try) -> Attempt:
    return Attempt(
        id=one.id, account=one.account, invoice=one.invoice, number=one.number, gateway=one.gateway,
        amount=amount(one.amount), state=one.state, code=one.code, planned_on=one.planned_on, asked_at=one.asked_at,
        told_on=one.told_on,
    )  # fmt: skip


def _refund(one: Giving) -> Refund:
    return Refund(
        id=one.id, account=one.account, payment=one.payment, method=one.method, amount=amount(one.amount),
        state=one.state, why=one.why, requested_on=one.requested_on, actor=one.actor,
    )  # fmt: skip
