"""Invoices and credit notes: what was billed, what is open, line by line."""

from typing import Annotated, Any

from fastapi import Header, Query
from fastapi.responses import Response
from pydantic import Field

from api.amounts import Amount, amount
from api.answers import Answer, answer
from api.customers.view import today
from api.errors import NotUsable
from api.given import Given
from api.here import Here
from api.invoices import view
from api.resource import After, Limit, page, resource
from api.security import needs
from api.tokens import Identity
from billing import crediting, explain, invoices
from billing.papers import making
from core.money import Money
from crm.buyers import buyer

ROUTER = resource("invoices")
Staff = Annotated[Identity, needs("support", "billing")]
Billing = Annotated[Identity, needs("billing")]
Key = Annotated[
    str, Header(min_length=1, max_length=100, description="The same key again is the same credit note.")
]


class Invoices(Answer):
    """A page of invoices."""

    invoices: list[view.Invoice]
    next: str | None = None


class Explained(Answer):
    """An invoice whose every amount says how it came about."""

    invoice: dict[str, Any]


class Wanted(Given):
    """What to credit: all that is left, or lines (`parts`: position -> amount as listed; null is the whole line)."""

    reason: Annotated[str, Field(min_length=1, max_length=64, examples=["outage"])]
    parts: Annotated[dict[int, str | None] | None, Field(examples=[{"2": "10.00"}])] = None


class Credited(Answer):
    """The credit note, a draft until the next bill run numbers it; then it pays the oldest debt."""

    note: str
    invoice: str
    total: Amount


class One(Answer):
    """An invoice with its lines and tax subtotals."""

    invoice: dict[str, Any]


@ROUTER.get("", response_model=Invoices)
def list_invoices(
    here: Here,
    _who: Staff,
    account: Annotated[str | None, Query(description="Only this account's.")] = None,
    limit: Limit = 50,
    after: After = "",
) -> Any:
    """List invoices, the newest first."""
    with here.context.reader() as reader, here.context.db.read() as conn:
        found = view.newest(conn, account, today(reader), limit + 1, after)
    shown, cursor = page(found, limit, "id")
    return answer("invoices", invoices=shown, next=cursor)


@ROUTER.get("/{invoice}", response_model=One)
def show_invoice(here: Here, _who: Staff, invoice: str) -> Any:
    """Show an invoice by id or number."""
    with here.context.db.read() as conn:
        return answer("invoice", invoice=view.whole(conn, invoice))


@ROUTER.get("/{invoice}/explanation", response_model=Explained)
def explain_invoice(here: Here, _who: Staff, invoice: str) -> Any:
    """Explain every amount: period, days, price version, arithmetic, rounding; what paid it."""
    with here.context.db.read() as conn:
        return answer("invoice-explained", invoice=explain.explain(conn, invoice))


@ROUTER.get("/{invoice}/pdf", response_class=Response)
def invoice_as_pdf(here: Here, _who: Staff, invoice: str) -> Response:
    """Get a final document as PDF, with the e-invoice in it; the same bytes each time."""
    return view.as_pdf(here, invoice)


@ROUTER.get("/{invoice}/xml", response_class=Response)
def invoice_as_xml(here: Here, _who: Staff, invoice: str) -> Response:
    """Get a final document as e-invoice: Factur-X, EN 16931."""
    with here.context.reader() as reader:
        key = here.context.key
        content = making.xml_of(here.context.db, reader, key, invoice, buyer(key))
    return Response(content, media_type="application/xml")


@ROUTER.post("/{invoice}/credits", response_model=Credited, status_code=201)
def credit_invoice(here: Here, who: Billing, invoice: str, wanted: Wanted, idempotency_key: Key) -> Any:
    """Draft a credit note of a final invoice: never more than there is of a line."""
    if wanted.parts is not None and not wanted.parts:
        raise NotUsable("parts", "it names no line; leave it out to credit all that is left of the invoice")
    with here.context.db.write() as conn:
        row = invoices.get(conn, invoice)
        parts = {
            position: None if text is None else Money.parse(text, row["currency"])
            for position, text in (wanted.parts or {}).items()
        }
        note = crediting.credit(
            conn, invoice, parts or None, actor=who.actor, reason=wanted.reason, key=f"api:{idempotency_key}"
        )
        total = Money(invoices.get(conn, note)["total"], row["currency"])
    return answer("credit", note=note, invoice=row["number"], total=amount(total))
