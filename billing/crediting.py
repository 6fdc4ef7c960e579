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
from billing.accounts import Account
from billing.bill import Bill, Line, make
from billing.charges import Charge
from billing.deposits.models import deposit, deposit_movement
from billing.errors import CreditKeyReused, NotCreditable
from billing.models import charge, invoice, invoice_line
from billing.periods import Period
from billing.runs import numbering
from billing.runs.ranges import among
from billing.tax import Rate
from billing.taxing import surcharges
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
    lines = invoices.lines(conn, note)
    made = {line["credits_position"]: -line["amount"] for line in lines}
    of = {line["credits_invoice"] for line in lines}
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
    if row["state"] != "final":
        raise NotCreditable(row["number"] or row["id"], f"it is {row['state']}; a draft is voided instead")
    if row["kind"] != numbering.INVOICE:
        what = "it is a credit note; bill what it gave too much with 'trunkline billing fee'"
        raise NotCreditable(row["number"], what)
    before = _credited(conn, row["id"], row["currency"])
    lines_ = invoices.lines(conn, row["id"])
    back = taken_back(conn, [line["charge_id"] for line in lines_ if line["charge_id"]])
    told = [{**line, "gone": _gone(conn, line)} for line in lines_ if line["charge_id"] not in back]
    lines = list(_lines(row, told, before, parts, {line["position"] for line in lines_}))
    drawn = make(lines, row["currency"], before)
    together = make(before, row["currency"]).total + drawn.total
    if drawn.total.minor >= 0:
        why = " (a later bill took its days back)" if back else ""
        raise NotCreditable(row["number"], f"nothing is left of it that would be the customer's credit{why}")
    if -together.minor > row["total"]:
        left = Money(row["total"], row["currency"]) + make(before, row["currency"]).total
        raise NotCreditable(row["number"], f"that is {-drawn.total}, and {left} of it is left")
    return drawn


def _lines(
    row: Mapping[str, Any],
    told: Sequence[Mapping[str, Any]],
    before: Sequence[Line],
    parts: Parts | None,
    positions: set[int],
) -> Iterator[Line]:
    """The note's lines. What is left of a line is credited whole unless an amount says less. `positions`: all lines."""
    used: Counter[int] = Counter()
    for made in before:
        used[made.credits[1] if made.credits else 0] -= made.amount.minor
    if unknown := sorted(set(parts or ()) - positions):
        raise NotCreditable(row["number"], f"it has no line {unknown[0]}")
    for line in told:
        left = line["amount"] - used[line["position"]] - line["gone"]
        if not left or (parts is not None and line["position"] not in parts):
            continue
        given = parts.get(line["position"]) if parts else None
        amount = _amount(row, line, left, given)
        yield _line(row, line, Money(-amount, row["currency"]))


def taken_back(conn: Connection, charges: Sequence[str]) -> set[str]:
    """Those of the charges that a later bill took back: their lines were given back by it."""
    query = sa.select(charge.c.reverses).where(charge.c.reverses.in_(charges))
    return set(conn.execute(query).scalars())


def credited_of(conn: Connection, charges: Sequence[str]) -> dict[str, tuple[int, str]]:
    """What people credited of charges' lines: charge -> minor units as listed, and the notes' numbers."""
    note, line = sa.alias(invoice), sa.alias(invoice_line)
    query = sa.select(invoice_line.c.charge_id, line.c.amount, sa.func.coalesce(note.c.number, note.c.id))
    query = query.join(
        line,
        sa.and_(
            line.c.credits_invoice == invoice_line.c.invoice_id,
            line.c.credits_position == invoice_line.c.position,
        ),
    ).join(note, note.c.id == line.c.invoice_id)
    query = query.where(among(conn, invoice_line.c.charge_id, charges), note.c.state != "void")
    found: dict[str, tuple[int, str]] = {}
    if not charges:
        return found
    for charge_id, amount, number in conn.execute(query.where(invoice_line.c.kind != surcharges.KIND)):
        minor, names = found.get(charge_id, (0, ""))
        found[charge_id] = minor - amount, f"{names}, {number}".removeprefix(", ")
    return found


def given_twice(owner: Account, posted: Sequence[Charge], of_all: Mapping[str, tuple[int, str]]) -> str:
    """Why the charges that a run would post are looked at by a person: they take days back that a person credited, and
    together that is more than was billed. "" where it is not. `of_all`: `credited_of` what they take back. Pure.
    """
    back = {one.reverses: one for one in posted if one.reverses is not None}
    credited = {name: of_all[name] for name in back if name in of_all}
    for item in sorted({back[name].item for name in credited}):
        mine = [name for name in credited if back[name].item == item]
        given = sum(credited[name][0] for name in mine)
        anew = sum(one.slice.amount.minor for one in posted if one.item == item and not one.is_reversal)
        if given > max(anew, 0):
            notes = ", ".join(dict.fromkeys(credited[name][1] for name in mine))
            twice = owner.money(given - max(anew, 0))
            return (
                f"{notes} credited days that are taken back now, and {twice} would be given twice; charge that with "
                "'trunkline billing fee', then bill the account with --accept"
            )
    return ""


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
