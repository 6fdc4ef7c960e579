"""Invoices and credit notes: what was billed, what is open, line by line."""

from typing import Annotated, Any

from fastapi import Query

from api.answers import Answer, answer
from api.customers.view import today
from api.here import Here
from api.invoices import view
from api.resource import After, Limit, page, resource
from api.security import needs
from api.tokens import Identity

ROUTER = resource("invoices")
Staff = Annotated[Identity, needs("support", "billing")]


class Invoices(Answer):
    """A page of invoices."""

    invoices: list[view.Invoice]
    next: str | None = None


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
