"""Credit notes that a person makes for a final invoice: of the whole, of lines, or of a part of a line.

A line is never credited beyond its amount, nor the invoice beyond its total; whatever the order of the parts, all of
them together are exactly the invoice (invariants 18 and 19). The note is a draft until numbers are given next.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, invoices
from billing.bill import Bill, Line, make
from billing.deposits.models import deposit, deposit_movement
from billing.errors import CreditKeyReused, NotCreditable
from billing.models import invoice, invoice_line
from billing.periods import Period
from billing.runs import numbering
from billing.tax import Rate
from core import events
from core.money import Money

DEPOSIT = "deposit"
Parts = Mapping[int, Money | None]
"""Position of a line -> how much of it as listed (None: what is left of it)."""


def credit(
    conn: Connection,
    reference: str,
    parts: Parts | None = None,
    *,
    actor: str,
    reason: str,
    key: str,
    on: date | None = None,
) -> str:
    """Draft a credit note of an invoice and return its id; the same key again changes nothing. None: all that is left.

    `reason` is a code; `on` the local date (default: today). Raises InvoiceUnknown, NotCreditable, CreditKeyReused.
    """
    row = invoices.get(conn, reference)
    owner = accounts.lock(conn, row["account_id"])
    if (note := earlier(conn, owner.id, key)) is not None:
        _require_same(conn, note, row["id"], parts)
        return note
    return keep(conn, row, preview(conn, reference, parts), actor=actor, reason=reason, key=key, on=on)


def _require_same(conn: Connection, note: str, invoice_id: str, parts: Parts | None) -> None:
    made = {line["credits_position"]: -line["amount"] for line in invoices.lines(conn, note)}
    of = {line["credits_invoice"] for line in invoices.lines(conn, note)}
    asked = parts or {}
    other = any(amount is not None and made.get(place) != amount.minor for place, amount in asked.items())
    if of != {invoice_id} or other or (asked and set(asked) != set(made)):
        raise CreditKeyReused(note)


def keep(
    conn: Connection,
    row: Mapping[str, Any],
    drawn: Bill,
    *,
    actor: str,
    reason: str,
    key: str,
    on: date | None = None,
) -> str:
    """Draft what takes something of a document (a row) back, under a key; returns its id. The account is locked."""
    owner = accounts.lock(conn, row["account_id"])
    note = invoices.draft(conn, owner, drawn, on or owner.today, _run(key))
    told = {"invoice": row["number"], "note": note, "reason": reason, "total": drawn.total.minor}
    events.emit(conn, "invoice.credited", owner.id, told, actor=actor)
    return note


def earlier(conn: Connection, account: str, key: str) -> str | None:
    """The note that was made under a key, if it was not voided."""
    query = sa.select(invoice.c.id).where(
        invoice.c.account_id == account, invoice.c.run_id == _run(key), invoice.c.state != "void"
    )
    found = conn.execute(query).scalar()
    return None if found is None else str(found)


def _run(key: str) -> str:
    return f"credit:{hashlib.sha256(key.encode()).hexdigest()[:48]}"


def preview(conn: Connection, reference: str, parts: Parts | None = None) -> Bill:
    """The credit note as it would be, its amounts negative. Raises InvoiceUnknown, NotCreditable."""
    row = invoices.get(conn, reference)
    if row["state"] != "final" or row["kind"] != numbering.INVOICE:
        raise NotCreditable(
            row["number"] or row["id"], "only a final invoice can be; a draft is voided instead"
        )
    before = _credited(conn, row["id"], row["currency"])
    told = [{**line, "gone": _gone(conn, line)} for line in invoices.lines(conn, row["id"])]
    lines = list(_lines(row, told, before, parts))
    drawn = make(lines, row["currency"], before)
    together = make(before, row["currency"]).total + drawn.total
    if drawn.total.minor >= 0:
        raise NotCreditable(row["number"], "nothing is left of it that would be the customer's credit")
    if -together.minor > row["total"]:
        left = Money(row["total"], row["currency"]) + make(before, row["currency"]).total
        raise NotCreditable(row["number"], f"that is {-drawn.total}, and {left} of it is left")
    return drawn


def _lines(
    row: Mapping[str, Any], told: Sequence[Mapping[str, Any]], before: Sequence[Line], parts: Parts | None
) -> Iterator[Line]:
    """The note's lines. What is left of a line is credited whole unless an amount says less."""
    used: Counter[int] = Counter()
    for made in before:
        used[made.credits[1] if made.credits else 0] -= made.amount.minor
    if unknown := sorted(set(parts or ()) - {line["position"] for line in told}):
        raise NotCreditable(row["number"], f"it has no line {unknown[0]}")
    for line in told:
        left = line["amount"] - used[line["position"]] - line["gone"]
        if not left or (parts is not None and line["position"] not in parts):
            continue
        given = parts.get(line["position"]) if parts else None
        amount = _amount(row, line, left, given)
        yield _line(row, line, Money(-amount, row["currency"]))


def _gone(conn: Connection, line: Mapping[str, Any]) -> int:
    """What a deposit's line is no more: it was returned to the customer, or paid what was owed."""
    if line["kind"] != DEPOSIT or not line["billable_id"]:
        return 0
    moved = sa.select(sa.func.coalesce(sa.func.sum(deposit_movement.c.amount), 0))
    moved = moved.join(deposit, deposit.c.id == deposit_movement.c.deposit_id)
    return int(conn.execute(moved.where(deposit.c.billable_id == line["billable_id"])).scalar_one())


def _amount(row: Mapping[str, Any], line: Mapping[str, Any], left: int, given: Money | None) -> int:
    if given is None:
        return left
    whole = Money(left, row["currency"])
    if given.currency != row["currency"]:
        raise NotCreditable(row["number"], f"it is in {row['currency']}, not in {given.currency}")
    if left < 0 and given != whole:
        raise NotCreditable(row["number"], f"line {line['position']} takes back {whole}: credit it whole")
    if left > 0 and not 0 < given.minor <= left:
        raise NotCreditable(
            row["number"], f"{given} of line {line['position']} is not within the {whole} left of it"
        )
    return given.minor


def _credited(conn: Connection, invoice_id: str, currency: str) -> list[Line]:
    """The lines of its credit notes so far, voided drafts left out, in the order in which they were made."""
    query = (
        sa.select(invoice_line)
        .join(invoice, invoice.c.id == invoice_line.c.invoice_id)
        .where(invoice_line.c.credits_invoice == invoice_id, invoice.c.state != "void")
        .order_by(invoice_line.c.invoice_id, invoice_line.c.position)
    )
    rows = [dict(row) for row in conn.execute(query).mappings()]
    return [
        _as_line(row, Money(row["amount"], currency), (invoice_id, row["credits_position"])) for row in rows
    ]


def _line(row: Mapping[str, Any], line: Mapping[str, Any], amount: Money) -> Line:
    return _as_line(
        {**line, "description": f"{row['number']}, line {line['position']}: {line['description']}"},
        amount,
        (row["id"], line["position"]),
    )


def _as_line(row: Mapping[str, Any], amount: Money, credits_: tuple[str, int]) -> Line:
    period = (
        Period(row["period_start"], row["period_end"]) if row["period_start"] and row["period_end"] else None
    )
    return Line(
        description=row["description"], amount=amount, kind=row["kind"], service=row["service"], period=period,
        rate=Rate(row["tax_category"], row["tax_millionths"], row["tax_inclusive"]), credits=credits_,
    )  # fmt: skip
