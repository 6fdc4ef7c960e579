"""Every amount explains itself: a line's period, days, price version, arithmetic and rounding."""

from fractions import Fraction
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, billables, charges, debts, invoices
from billing.charges import Charge
from billing.models import allocation, charge, invoice_line, payment, subscription, subscription_item
from billing.offers import redeeming
from billing.offers.telling import discount_text, fee_text
from billing.tax import rate_text
from billing.taxing import surcharges
from billing.timeline import SETUP, TERMINATION, Discount
from billing.writeoffs import records
from core.money import Money


def explain(conn: Connection, reference: str) -> dict[str, Any]:
    """An invoice by number or id, as `{number, lines: [{what, why, amount}], taxes, payments, …}`, amounts as text.

    Raises InvoiceUnknown.
    """
    row = invoices.get(conn, reference)
    currency = row["currency"]
    return {
        "number": row["number"] or row["id"],
        "account": row["account_id"],
        "state": row["state"],
        "issued_on": _day(row["issued_on"]),
        "due_on": _day(row["due_on"]),
        "lines": [_line(conn, row, line, currency) for line in invoices.lines(conn, row["id"])],
        "taxes": [_tax(tax, currency) for tax in invoices.tax_subtotals(conn, row["id"])],
        "total": str(Money(row["total"], currency)),
        "payments": _payments(conn, row["id"], currency),
        "written_off": [
            {
                "on": _day(one["written_on"]),
                "reason": one["reason"],
                "amount": str(Money(one["amount"], currency)),
            }
            for one in records.of_invoice(conn, row["id"])
        ],
        "open": str(Money(_open(conn, row), currency)),
    }


def _line(conn: Connection, document: dict[str, Any], line: dict[str, Any], currency: str) -> dict[str, Any]:
    said = {"what": line["description"], "amount": str(Money(line["amount"], currency))}
    if line["kind"] == surcharges.KIND and line["credits_invoice"] is None:
        return {**said, "why": _surcharge(conn, document, line, currency), "service": line["service"] or ""}
    if line["billable_id"] is not None:
        added = billables.get(conn, line["billable_id"], currency)
        told = "; ".join(f"{name}: {value}" for name, value in added.why.items())
        return {**said, "why": told or f"added as {added.source}", "service": added.service or ""}
    if line["credits_invoice"] is not None:
        credited = invoices.get(conn, line["credits_invoice"])["number"]
        told = f"credits line {line['credits_position']} of {credited}"
        return {**said, "why": told, "service": line["service"] or ""}
    posted = _charge(conn, line["charge_id"])
    if posted is None:
        return {**said, "why": "the draft was voided: its interval was billed again", "service": ""}
    service = sa.select(subscription.c.service).join(subscription_item)
    service = service.where(subscription_item.c.id == posted.item)
    name = str(conn.execute(service).scalar_one())
    terms = posted.slice.terms
    parts = [_why(posted)]
    if terms.discount is not None:
        parts += [
            _base(conn, document["account_id"], posted, terms.discount),
            redeeming.told(conn, name, terms.plan),
        ]
    return {**said, "why": "; ".join(one for one in parts if one), "service": name}


def _base(conn: Connection, account: str, posted: Charge, discount: Discount) -> str:
    """What of the same days a discount is off, and how it was rounded; empty where no charge has just these days."""
    if posted.is_reversal:
        return ""
    service, role, label = discount.of.split(":", 2)
    base = sa.select(subscription_item.c.id).join(subscription).where(
        subscription.c.account_id == account, subscription.c.service == service,
        subscription_item.c.role == role, subscription_item.c.label == label,
    )  # fmt: skip
    part = posted.slice.part
    mine = sa.select(charge).where(
        charge.c.item_id.in_(base), charge.c.part_start == part.start, charge.c.part_end == part.end
    )
    found = charges.net(charges.from_row(row) for row in conn.execute(mine.order_by(charge.c.revision)))
    if len(found) != 1:
        return ""
    how = "its share of the days" if discount.amount is not None else "its part"
    return f"{how} of {found[0].slice.amount}, half-up over all parts of the period together"


def _surcharge(conn: Connection, document: dict[str, Any], line: dict[str, Any], currency: str) -> str:
    """Which part or amount it is, of which line."""
    borne = invoice_line.c.charge_id == line["charge_id"]
    if line["charge_id"] is None:
        borne = invoice_line.c.billable_id == line["billable_id"]
    bearer = sa.select(invoice_line.c.position, invoice_line.c.amount, invoice_line.c.description).where(
        invoice_line.c.invoice_id == line["invoice_id"], borne, invoice_line.c.kind != surcharges.KIND
    )
    row = conn.execute(bearer).first()
    profile = accounts.get(conn, document["account_id"]).tax_profile
    for one in surcharges.on_day(conn, document["billed_on"]).get(profile, ()):
        if row is not None and line["description"] == f"{one.label}: {row.description}":
            of = f"line {row.position}, {Money(row.amount, currency)}"
            if one.fixed is not None:
                return f"a surcharge of {one.fixed} for {of}, once as long as something of it is billed"
            return f"a surcharge: {rate_text(one.millionths)} of {of}, half-up"
    return "takes back a surcharge that was billed, to the cent, with what bore it"


def _why(posted: Charge) -> str:
    part, terms = posted.slice, posted.slice.terms
    version = f"price version {terms.version} of plan {terms.plan}"
    if terms.discount is not None:
        version = f"the terms of offer {terms.plan}"
    if posted.is_reversal:
        return f"takes back what was billed at {version}, to the cent, because the timeline changed"
    if part.kind == SETUP:
        return f"set-up fee of {version}"
    if part.kind == TERMINATION:
        return f"{fee_text(terms, part.part.start)}, {version}"
    if terms.discount is not None:
        return discount_text(part)
    whole = f"{terms.price} for {part.period.start} to {part.period.end} ({part.period.days} days), {version}"
    if part.part == part.period:
        return whole
    exact = Fraction(terms.price.minor * part.part.days, part.period.days)
    rounded = f"{terms.price} x {part.part.days}/{part.period.days}"
    if exact.denominator == 1:
        return f"{whole}; {rounded} exactly"
    return f"{whole}; {rounded} half-up, the residue of a period on its last slice"


def _tax(tax: dict[str, Any], currency: str) -> dict[str, Any]:
    how = "contained in the prices" if tax["inclusive"] else "on top"
    return {
        "what": f"{tax['category'] or 'no tax'} {rate_text(tax['millionths'])}, {how}, rounded once over its lines",
        "base": str(Money(tax["base"], currency)),
        "amount": str(Money(tax["tax"], currency)),
    }


def _payments(conn: Connection, invoice_id: str, currency: str) -> list[dict[str, Any]]:
    """What pays it still: less what was taken back, by the day of the last move."""
    net, last = sa.func.sum(allocation.c.amount), sa.func.max(allocation.c.allocated_on)
    query = sa.select(net.label("amount"), last.label("allocated_on"), payment.c.id, payment.c.method)
    query = query.join(payment, payment.c.id == allocation.c.payment_id)
    query = query.where(allocation.c.invoice_id == invoice_id).group_by(payment.c.id, payment.c.method)
    query = query.having(net != 0).order_by(sa.func.max(allocation.c.seq))
    return [
        {
            "payment": row.id,
            "method": row.method,
            "on": _day(row.allocated_on),
            "amount": str(Money(row.amount, currency)),
        }
        for row in conn.execute(query)
    ]


def _open(conn: Connection, row: dict[str, Any]) -> int:
    balances = debts.open_balances(conn, row["account_id"])
    return sum(one.balance for one in balances if one.invoice == row["id"])


def _charge(conn: Connection, charge_id: str | None) -> Charge | None:
    row = conn.execute(sa.select(charge).where(charge.c.id == charge_id)).first()
    return None if row is None else charges.from_row(row)


def _day(value: Any) -> str | None:
    return None if value is None else value.isoformat()
