"""What is due and may be collected, with the mandate to use and its sequence type; and what is left out, and why."""

from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import debts
from billing.bank import collections, mandates
from billing.bank.models import batch as batch_table
from billing.bank.models import collection, mandate
from billing.gateways.models import UNDECIDED, attempt, autopay
from billing.messages import announced
from billing.models import account, invoice
from core import db

TRIES = 2
"""How often an invoice is collected before a person looks at it."""
UNUSED = timedelta(days=36 * 30)
"""A mandate that was not used for 36 months is void by the scheme's rules."""


def due(conn: Connection, legal_entity: str, on: date, day: date) -> tuple[list[dict[str, Any]], list[str]]:
    """Open invoices that are due, whose accounts are locked, with the mandate to use; and what is left out."""
    waiting = sa.select(collection.c.invoice_id).where(collection.c.state == collections.PENDING)
    signed = sa.select(mandate.c.account_id).where(mandate.c.state.in_((mandates.ACTIVE, mandates.LAST)))
    query = sa.select(invoice.c.id, invoice.c.number, invoice.c.account_id, debts.BALANCE.label("balance")).where(
        debts.OPEN, invoice.c.legal_entity == legal_entity, invoice.c.due_on <= on, invoice.c.currency == "EUR",
        invoice.c.account_id.in_(signed), invoice.c.id.not_in(waiting),
    )  # fmt: skip
    charged = sa.select(attempt.c.invoice_id).where(sa.literal_column(UNDECIDED))
    query = query.where(invoice.c.id.not_in(charged))  # two debits would collect twice
    query = query.order_by(invoice.c.account_id, invoice.c.due_on, invoice.c.number)
    owners = sorted({row.account_id for row in conn.execute(query)})
    conn.execute(
        db.lock_row(conn, sa.select(account.c.id).where(account.c.id.in_(owners)).order_by(account.c.id))
    )
    chosen: list[dict[str, Any]] = []
    left: list[str] = []
    ended: set[str] = set()
    rows = conn.execute(query).mappings().all()
    early = announced.too_early(conn, rows, day)
    by_gateway = set(
        conn.execute(sa.select(autopay.c.account_id).where(autopay.c.account_id.in_(owners))).scalars()
    )
    for row in rows:
        if row["account_id"] in by_gateway:
            left.append(f"{row['number']}: {row['account_id']} pays by autopay through a gateway")
            continue
        if row["number"] in early:
            left.append(f"{row['number']}: {early[row['number']]}")
            continue
        if (tries := _tries(conn, row["id"])) >= TRIES:
            left.append(f"{row['number']} came back {tries} times")
            continue
        found = _mandate(conn, row["account_id"], day, ended)
        if isinstance(found, str):
            left.append(f"{row['number']}: {found}")
            continue
        first = [one for one in chosen if one["mandate_id"] == found["id"]]
        sequence = "RCUR" if first and found["sequence"] == "FRST" else found["sequence"]
        if sequence in ("FNAL", "OOFF"):
            ended.add(found["id"])
        chosen.append({**row, **{name: found[name] for name in ("signed_on", "holder", "bic", "iban_sealed")},
                       "mandate_id": found["id"], "sequence": sequence})  # fmt: skip
    return chosen, left


def _mandate(conn: Connection, owner: str, day: date, ended: set[str]) -> Any:
    """The newest mandate that may be used, with its sequence type; or why there is none."""
    query = sa.select(mandate).where(
        mandate.c.account_id == owner,
        mandate.c.state.in_((mandates.ACTIVE, mandates.LAST)),
        mandate.c.id.not_in(ended),
    )
    row = conn.execute(query.order_by(mandate.c.signed_on.desc(), mandate.c.id.desc())).mappings().first()
    if row is None:
        return "its mandate is for one direct debit, and that is used"
    used = sa.select(sa.func.max(batch_table.c.collect_on)).select_from(collection.join(batch_table)).where(
        collection.c.mandate_id == row["id"], collection.c.state != collections.FAILED
    )  # fmt: skip
    last = conn.execute(used).scalar()
    if day - (last or row["signed_on"]) > UNUSED:
        return f"mandate {row['id']} was not used for 36 months"
    if row["one_off"]:
        return {**row, "sequence": "OOFF"}
    if row["state"] == mandates.LAST:
        return {**row, "sequence": "FNAL"}
    return {**row, "sequence": "RCUR" if last else "FRST"}


def _tries(conn: Connection, invoice_id: str) -> int:
    query = sa.select(sa.func.count()).select_from(collection).where(
        collection.c.invoice_id == invoice_id,
        collection.c.state.in_((collections.FAILED, collections.RETURNED)),
    )  # fmt: skip
    return int(conn.execute(query).scalar_one())
