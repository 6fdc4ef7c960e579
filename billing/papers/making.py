"""Make the papers of a final document when somebody first asks for them, and keep them: the same bytes ever after."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import invoices
from billing.models import invoice, ledger_transaction
from billing.papers import pdf
from billing.papers.cii import e_invoice
from billing.papers.errors import CurrencyTooFine, FactMissing, GivenOutWithout, NotFinal, TaxesApart
from billing.papers.models import invoice_paper
from billing.papers.paper import Paper, of_rows
from billing.papers.parties import Party, contact_at, seller_at
from billing.taxing import exemptions
from core import clock, db
from core.crypto import DataKey
from core.db import Database
from intents.reader import Reader

PDF, XML = "pdf", "xml"
Fallback = Callable[[Connection, str], Party]
"""(connection, account) -> whom an account's invoices are addressed to where billing was never told."""


_WITHOUT = (
    "a fact was missing when it was made, and a document that was given out stays as it is; "
    "'trunkline billing xml' tells which, and a credit note with a new invoice is the way to another"
)


class Papers(msgspec.Struct, frozen=True):
    """Both forms. `xml` None: there is none, `why` says what is missing for it."""

    number: str
    pdf: bytes
    xml: bytes | None
    why: str = ""


def papers(
    database: Database, reader: Reader, key: DataKey | None, reference: str, fallback: Fallback
) -> Papers:
    """A document's papers; the first call makes them, outside of any transaction.

    Raises InvoiceUnknown, NotFinal, TemplateFailed, PrinterMissing.
    """
    with database.read() as conn:
        row = _final(conn, reference)
        kept = _kept(conn, row["id"])
        paper = None if PDF in kept else paper_of(conn, reader, key, row, fallback)
    if paper is not None:
        made, why = _make(paper, reader)
        with database.write() as conn:
            kept = _keep(conn, row["id"], made)
    else:
        why = "" if XML in kept else _WITHOUT
    return Papers(row["number"], kept[PDF], kept.get(XML), why)


def paper_of(
    conn: Connection, reader: Reader, key: DataKey | None, row: dict[str, Any], fallback: Fallback
) -> Paper:
    """A final document with who sent it and who got it, as of when it became final."""
    moment = _final_at(conn, row)
    seller = seller_at(conn, reader, row["legal_entity"], moment)
    buyer = contact_at(conn, key, row["account_id"], moment) or fallback(conn, row["account_id"])
    lines = invoices.lines(conn, row["id"])
    credited = sorted({line["credits_invoice"] for line in lines if line["credits_invoice"]})
    before = [invoices.get(conn, one) for one in credited]
    numbers = [one["number"] for one in before]
    subtotals = invoices.tax_subtotals(conn, row["id"])
    day = min([one["billed_on"] for one in before], default=row["billed_on"])
    own = exemptions.of_accounts(conn, [row["account_id"]], moment)[row["account_id"]]
    reasons = {
        tax["category"]: (found.code, found.told)
        for tax in subtotals
        if not tax["millionths"] and (found := exemptions.in_force(own, tax["category"], day))
    }
    return of_rows(row, lines, subtotals, seller, buyer, numbers, reasons)


def xml_of(
    database: Database, reader: Reader, key: DataKey | None, reference: str, fallback: Fallback
) -> bytes:
    """The e-invoice. Raises what `papers` raises; GivenOutWithout, CurrencyTooFine, TaxesApart where there is none."""
    found = papers(database, reader, key, reference, fallback)
    if found.xml is not None:
        return found.xml
    with database.read() as conn:
        paper = paper_of(conn, reader, key, _final(conn, reference), fallback)
    try:
        return e_invoice(paper)
    except FactMissing as error:
        raise GivenOutWithout(error) from error


def _make(paper: Paper, reader: Reader) -> tuple[dict[str, bytes], str]:
    xml, why = None, ""
    try:
        xml = e_invoice(paper)
    except (FactMissing, CurrencyTooFine, TaxesApart) as error:
        why = str(error)
    printed = pdf.printed(pdf.page(paper, reader), xml, f"{paper.entity}/{paper.number}", paper.issued_on)
    return ({PDF: printed} | ({XML: xml} if xml is not None else {})), why


def _keep(conn: Connection, invoice_id: str, made: dict[str, bytes]) -> dict[str, bytes]:
    """Whoever was first is kept."""
    conn.execute(db.lock_row(conn, sa.select(invoice.c.id).where(invoice.c.id == invoice_id)))
    kept = _kept(conn, invoice_id)
    if kept:
        return kept
    rows = [
        {
            "invoice_id": invoice_id, "form": form, "content": content,
            "digest": hashlib.sha256(content).hexdigest(), "made_at": clock.now(),
        }
        for form, content in made.items()
    ]  # fmt: skip
    conn.execute(sa.insert(invoice_paper), rows)
    return made


def _kept(conn: Connection, invoice_id: str) -> dict[str, bytes]:
    query = sa.select(invoice_paper.c.form, invoice_paper.c.content)
    return {
        row.form: row.content for row in conn.execute(query.where(invoice_paper.c.invoice_id == invoice_id))
    }


def _final(conn: Connection, reference: str) -> dict[str, Any]:
    row = invoices.get(conn, reference)
    if row["state"] != "final":
        raise NotFinal(reference, row["state"])
    return row


def _final_at(conn: Connection, row: dict[str, Any]) -> datetime:
    """When it was booked, which is when it became final."""
    query = sa.select(ledger_transaction.c.recorded_at)
    query = query.where(ledger_transaction.c.kind == row["kind"], ledger_transaction.c.source == row["id"])
    found = conn.execute(query).scalar()
    return clock.now() if found is None else found
