"""What billing has on an account, in one fixed form without ids and moments: equal texts, equal books."""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.models import (
    allocation,
    charge,
    invoice,
    invoice_line,
    invoice_tax,
    ledger_entry,
    ledger_transaction,
    payment,
    subscription,
    subscription_item,
)

_LEAVE_OUT = {"id", "run_id", "seal", "invoice_id", "charge_id", "transaction_id", "payment_id", "item_id",
              "billable_id", "credits_invoice"}  # fmt: skip


def export(conn: Connection, account: str) -> str:
    """JSON lines, sorted: items, charges, invoices with lines and taxes, allocations, ledger."""
    invoices = invoice.c.account_id == account
    of_invoice = invoice_line.join(invoice, invoice_line.c.invoice_id == invoice.c.id)
    queries: dict[str, sa.Select[Any]] = {
        "item": sa.select(subscription.c.service, *_said(subscription_item, {"subscription_id"}))
        .select_from(subscription_item.join(subscription)).where(subscription.c.account_id == account),
        "charge": sa.select(
            subscription.c.service, *_said(charge, {"reverses", "account_id"})
        ).select_from(charge.join(subscription_item).join(subscription)).where(charge.c.account_id == account),
        "invoice": sa.select(*_said(invoice)).where(invoices),
        "line": sa.select(invoice.c.number, *_said(invoice_line)).select_from(of_invoice).where(invoices),
        "tax": sa.select(invoice.c.number, *_said(invoice_tax)).select_from(invoice_tax.join(invoice)).where(invoices),
        "allocation": sa.select(invoice.c.number, payment.c.idempotency_key, allocation.c.amount)
        .select_from(allocation.join(invoice).join(payment)).where(invoices),
        "entry": sa.select(ledger_transaction.c.kind, ledger_transaction.c.booked_on, *_said(ledger_entry))
        .select_from(ledger_entry.join(ledger_transaction)).where(ledger_transaction.c.account_id == account),
    }  # fmt: skip
    found = (
        msgspec.json.encode([name, dict(row)]).decode()
        for name, query in queries.items()
        for row in conn.execute(query).mappings()
    )
    return "\n".join(sorted(found))


def _said(table: sa.Table, also: frozenset[str] | set[str] = frozenset()) -> list["sa.Column[Any]"]:
    return [column for column in table.c if column.name not in _LEAVE_OUT | set(also)]
