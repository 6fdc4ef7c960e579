"""Invoices as API and console show them."""

from datetime import date
from typing import Any

from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.engine import Connection

from api.amounts import Amount, amount
from api.here import Installed
from billing import invoices, overview
from billing.papers import making
from core.money import Money
from crm.buyers import buyer


class Invoice(BaseModel):
    """An invoice or credit note. `state`: draft, void, open, overdue, paid."""

    id: str
    number: str
    account: str
    kind: str
    state: str
    issued_on: date | None
    due_on: date | None
    total: Amount
    open: Amount


def newest(conn: Connection, account: str | None, today: date, limit: int, after: str = "") -> list[Invoice]:
    """The newest first; `after` is the id of the last one of the page before."""
    found = overview.invoices(conn, account, today=today, limit=limit, after=after)
    return [
        Invoice(
            id=one.id, number=one.number, account=one.account, kind=one.kind, state=one.state,
            issued_on=one.issued_on, due_on=one.due_on, total=amount(one.total), open=amount(one.open),
        )
        for one in found
    ]  # fmt: skip


def whole(conn: Connection, reference: str) -> dict[str, Any]:
    """An invoice by id or number, with its lines and tax subtotals. Raises InvoiceUnknown."""
    row = invoices.get(conn, reference)
    money = {name: amount(Money(row[name], row["currency"])) for name in ("net", "tax", "total")}
    lines = [_line(one, row["currency"]) for one in invoices.lines(conn, row["id"])]
    taxes = [_tax(one, row["currency"]) for one in invoices.tax_subtotals(conn, row["id"])]
    kept = ("id", "number", "account_id", "kind", "state", "billed_on", "issued_on", "due_on", "seal")
    return {name: row[name] for name in kept} | money | {"lines": lines, "taxes": taxes}


def as_pdf(here: Installed, reference: str) -> Response:
    """A final document's PDF, to be shown under its number. Raises InvoiceUnknown, NotFinal."""
    with here.context.reader() as reader:
        key = here.context.key
        found = making.papers(here.context.db, reader, key, reference, buyer(key))
    shown = {"Content-Disposition": f'inline; filename="{found.number}.pdf"'}
    return Response(found.pdf, media_type="application/pdf", headers=shown)


def _line(row: dict[str, Any], currency: str) -> dict[str, Any]:
    kept = ("position", "description", "tax_category", "tax_inclusive")
    return {name: row[name] for name in kept} | {"amount": amount(Money(row["amount"], currency))}


def _tax(row: dict[str, Any], currency: str) -> dict[str, Any]:
    sums = {name: amount(Money(row[name], currency)) for name in ("base", "tax")}
    return {"category": row["category"], "percent": f"{row['millionths'] / 10_000:g}", **sums}
