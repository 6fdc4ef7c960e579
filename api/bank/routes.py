"""The bank: statements in, lines that a person assigns, direct debits out."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel

from api.amounts import Amount, amount
from api.answers import Answer, answer
from api.bank.upload import Upload, Uploads
from api.console import pages
from api.console.routes import Sent, back, required
from api.errors import NotUsable
from api.here import Here
from api.login.session import Session, posts, visits
from api.resource import Limit, resource
from api.security import needs
from api.tokens import Identity
from billing.bank import assigning, camt, collecting, importing, listing
from core import events

_PAGES = APIRouter(include_in_schema=False, prefix="/billing/bank")
_RESOURCE = resource("bank")
_AT_ONCE = 3_000
"""Lines; more take longer than a browser waits, and the command shows each."""
Viewing = Annotated[Session, visits("billing")]
Billing = Annotated[Session, posts("billing")]
Sending = Annotated[Upload, Depends(Uploads("billing"))]
Reader = Annotated[Identity, needs("billing")]


class Line(BaseModel):
    """A line of a statement that waits for a person. `iban` is masked; `told` says why."""

    id: str
    booked_on: date
    amount: Amount
    name: str
    iban: str
    text: str
    reason: str
    told: str


class Lines(Answer):
    """The oldest first."""

    lines: list[Line]


@_PAGES.get("")
def page(here: Here, who: Viewing) -> Response:
    """Statements, lines that wait, batches."""
    return _shown(here, who)


@_PAGES.post("/statements")
def take(here: Here, sent: Sending) -> Response:
    """Import a camt.053 file. The same one again adds nothing."""
    found, who = camt.read(sent.content, sent.name), sent.session
    if (lines := sum(len(one.lines) for one in found)) > _AT_ONCE:
        raise NotUsable(
            f"a file of {lines} lines", f"it takes a while: trunkline billing bank import {sent.name}"
        )
    done = importing.import_statements(
        here.context.db, found, sent.name, here.context.key, actor=who.identity.actor
    )
    return _shown(here, who, done)


@_PAGES.post("/lines/{line}/assign")
def assign(here: Here, who: Billing, line: str, form: Sent) -> Response:
    """Say whose payment a line is."""
    hint = "write an account, or an invoice that it pays first"
    to = required(form, "to", 64, "a line without an owner", hint)
    with here.context.db.write() as conn:
        assigning.assign(conn, line, to, actor=who.identity.actor)
    return back("/billing/bank#lines")


@_PAGES.post("/lines/{line}/ignore")
def ignore(here: Here, who: Billing, line: str, form: Sent) -> Response:
    """Say that a line is no customer's."""
    why = required(form, "why", 120, "ignoring without a reason", "write what it is, such as interest")
    with here.context.db.write() as conn:
        assigning.ignore(conn, line, why, actor=who.identity.actor)
    return back("/billing/bank#lines")


@_PAGES.post("/batches/{batch}/file")
def fetch(here: Here, who: Billing, batch: str) -> Response:
    """The file of a batch for the bank; who fetched it is written down, for it has IBANs."""
    with here.context.db.write() as conn:
        made = collecting.fetch(conn, batch, here.context.key)
        events.emit(conn, "bank.batch-fetched", batch, {"count": made.count}, actor=who.identity.actor)
    name = f"{made.legal_entity}-{made.collect_on}-{batch[-6:]}.xml"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(made.content, media_type="application/xml", headers=headers)


@_RESOURCE.get("/lines", response_model=Lines)
def list_lines(here: Here, _who: Reader, limit: Limit = 50) -> Any:
    """List the lines of statements that wait for a person, and why."""
    with here.context.db.read() as conn:
        found = assigning.unmatched(conn, limit)
    shown = [
        Line(id=one.id, booked_on=one.booked_on, amount=amount(one.amount), name=one.name, iban=one.iban,
             text=one.text, reason=one.reason, told=one.told)
        for one in found
    ]  # fmt: skip
    return answer("bank-lines", lines=shown)


def _shown(here: Here, who: Session, done: importing.Imported | None = None) -> Response:
    with here.context.db.read() as conn:
        return pages.page(
            "bank.html", who, done=done, waiting=listing.unmatched(conn), lines=assigning.unmatched(conn, 100),
            statements=listing.statements(conn), batches=listing.batches(conn),
        )  # fmt: skip


ROUTER = APIRouter(routes=[*_PAGES.routes, *_RESOURCE.routes])
