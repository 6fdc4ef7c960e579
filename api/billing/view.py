"""What the billing pages show."""

import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from api.amounts import amount
from api.billing import pictures
from api.customers import view as customers
from api.here import Installed
from api.invoices import view as invoices
from billing import accounts, billables, explain, glance, history
from billing import invoices as documents
from billing.bank import mandates
from billing.books import reports
from billing.gateways import autopay
from billing.gateways import listing as tries
from billing.models import invoice, invoice_line, payment
from billing.refunding import listing
from billing.refunding.found import RECEIPT
from billing.wallet import balance, records
from core.ids import new_id
from core.money import Money

_MOST = 24
_FRESH = 60.0
"""Seconds for which the sums over all invoices are shown again: they cost seconds where there are millions."""
_Sums = tuple[float, list[pictures.AgeBar], list[pictures.Columns]]
_kept: dict[tuple[Path, date], _Sums] = {}


def overview(here: Installed) -> dict[str, Any]:
    """The business: tiles, receivables by age, what was invoiced and came in, runs, what waits for a person."""
    with here.context.reader() as reader, here.context.db.read() as conn:
        today = customers.today(reader)
        at, bars, months = _sums(here, conn, today)
        waits = glance.waiting(conn, today)
        return {
            "today": today, "ages": bars, "months": months, "waits": waits, "runs": glance.runs(conn),
            "counted": time.time() - at,
        }  # fmt: skip


def account(here: Installed, name: str) -> dict[str, Any]:
    """An account with its pictures, invoices, payments, dunning. Raises AccountUnknown."""
    with here.context.db.read() as conn:
        owner = accounts.get(conn, name)
        stories, steps = history.stories(conn, name), history.balances(conn, name)
        along = _axis(owner.today, stories, steps)
        waiting = billables.waiting(conn, {name: owner.currency}, date.max).get(name, [])
        return {
            "owner": owner, "today": owner.today, "axis": along, **customers.family(conn, name),
            "fixed": accounts.in_the_way(conn, name),
            "strips": pictures.strips(stories, along), "curve": pictures.curve(steps, owner.currency, along),
            "invoices": invoices.newest(conn, name, owner.today, _MOST), "payments": _payments(conn, name),
            "case": history.case(conn, name)[:_MOST], "waiting": waiting, "payment_key": new_id("console"),
            "autopay": autopay.of_account(conn, name), "tries": tries.of_account(conn, name, 12),
            "wallet": balance.balance(conn, owner), "prepaid": records.of_account(conn, name),
            "mandates": mandates.of_account(conn, name),
        }  # fmt: skip


def document(here: Installed, reference: str) -> dict[str, Any]:
    """An invoice: every line and why, tax, what paid it, what was credited of it. Raises InvoiceUnknown."""
    with here.context.db.read() as conn:
        row = documents.get(conn, reference)
        owner = accounts.get(conn, row["account_id"])
        told = explain.explain(conn, row["id"])
        lines = documents.lines(conn, row["id"])
        return {
            "row": row, "owner": owner, "told": told, "money": {
                name: Money(row[name], row["currency"]) for name in ("net", "tax", "total")
            },
            "lines": [{**line, **one} for line, one in zip(lines, told["lines"], strict=True)],
            "sealed": None if row["state"] != "final" else documents.seal_of(conn, row) == row["seal"],
            "notes": _notes(conn, row["id"]), "credits": _credited(conn, lines),
            "credit_key": new_id("console"),
        }  # fmt: skip


def _sums(here: Installed, conn: Connection, today: date) -> _Sums:
    known = _kept.get((here.context.settings.home, today))
    if known is not None and time.time() - known[0] < _FRESH:
        return known
    totals = {one.account: one for one in reports.aged_totals(conn, today)}
    bars = [pictures.age_bar(currency, one.ages, one.together) for currency, one in totals.items()]
    months = [pictures.columns(currency, found) for currency, found in glance.months(conn, today).items()]
    _kept.clear()
    _kept[here.context.settings.home, today] = found = (time.time(), bars, months)
    return found


def _axis(today: date, stories: list[history.Story], steps: list[tuple[date, int]]) -> pictures.Axis:
    """The last year and a half at most, and a little of what is to come."""
    starts = [one.stretches[0].start for one in stories if one.stretches]
    first = min([today - timedelta(days=60), *starts, *(day for day, _ in steps[:1])])
    return pictures.axis(today, max(first, today - timedelta(days=540)), today + timedelta(days=45))


def _payments(conn: Connection, account_id: str) -> list[dict[str, Any]]:
    """The newest first, each with the invoices that it pays and what happened to it: refunds, chargebacks, moves."""
    listed = {one.id: one for one in listing.payments_of(conn, account_id, _MOST)}
    query = sa.select(payment).where(payment.c.id.in_(listed))
    rows = {row["id"]: dict(row) for row in conn.execute(query).mappings()}
    return [
        rows[name]
        | {
            "money": amount(one.amount),
            "shares": list(one.pays.items()),
            "state": one.state,
            "events": one.events,
            "free": _free(one),
        }
        for name, one in listed.items()
    ]


def _free(one: listing.Listed) -> str:
    """What of a payment can go back at once, as a form has it; empty where nothing can."""
    return str(one.unapplied).split()[1] if one.kind == RECEIPT and one.unapplied.minor > 0 else ""


def _notes(conn: Connection, invoice_id: str) -> list[dict[str, Any]]:
    """The credit notes of an invoice."""
    mine = sa.select(invoice_line.c.invoice_id).where(invoice_line.c.credits_invoice == invoice_id)
    query = sa.select(invoice).where(invoice.c.id.in_(mine), invoice.c.state != "void").order_by(invoice.c.id)
    return [{**row, "money": Money(row["total"], row["currency"])} for row in conn.execute(query).mappings()]


def _credited(conn: Connection, lines: list[dict[str, Any]]) -> list[str]:
    """The invoices that a credit note's lines take back, by number."""
    of = sorted({line["credits_invoice"] for line in lines if line["credits_invoice"]})
    return [str(documents.get(conn, one)["number"]) for one in of]
