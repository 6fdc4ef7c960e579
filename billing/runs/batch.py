"""Rows that a chunk's odd accounts come to, gathered and then stored at once."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import charges, invoices
from billing.accounts import Account
from billing.bill import Bill
from billing.billables import Billable
from billing.charges import Charge
from billing.models import (
    billable,
    charge,
    invoice,
    invoice_line,
    invoice_tax,
    pinned_terms,
    subscription_item,
)
from billing.runs.copying import insert
from billing.runs.renewal import terms_id
from billing.timeline import Terms
from core import db

Row = dict[str, Any]


class Batch:
    """Gathers; `store` writes everything in the order that references ask for."""

    def __init__(self) -> None:
        self.bills = self.lines = 0
        self._charges: list[Row] = []
        self._documents: tuple[list[Row], list[Row], list[Row]] = [], [], []
        self._billed: list[Row] = []
        self._items: list[Row] = []
        self._terms: dict[str, Row] = {}

    def bill(
        self,
        owner: Account,
        posted: Sequence[Charge],
        billed: Sequence[Billable],
        drawn: Bill,
        on: date,
        run_id: str,
    ) -> None:
        """One account's draft with its charges; the billables that it bills wait no more."""
        document, lines, taxes = invoices.rows_of(owner, drawn, on, run_id)
        self.bills += 1
        self.lines += len(lines)
        self._charges += [charges.row_of(owner.id, one) for one in posted]
        for rows, more in zip(self._documents, ([document], lines, taxes), strict=True):
            rows += more
        self._billed += [{"chosen": one.id, "by": document["id"]} for one in billed]

    def advance(
        self, item: str, through: date | None, renews: Terms | None, due_from: date | None = None
    ) -> None:
        """How far an item is billed now, whether it simply renews from there, and before when nothing is due."""
        pinned = None if renews is None else terms_id(renews)
        if renews is not None and pinned is not None:
            terms = msgspec.to_builtins(renews)
            self._terms[pinned] = {"id": pinned, "months": renews.months, "terms": terms}
        self._items.append({"chosen": item, "through": through, "pinned": pinned, "later": due_from})

    def store(self, conn: Connection) -> None:
        """Write it all. Terms in the order of their ids: two chunks that pin the same ones wait, and never for ever."""
        insert(conn, charge, self._charges)
        for table, rows in zip((invoice, invoice_line, invoice_tax), self._documents, strict=True):
            insert(conn, table, rows)
        if self._billed:
            chosen = billable.c.id == sa.bindparam("chosen")
            conn.execute(
                sa.update(billable).where(chosen).values(invoice_id=sa.bindparam("by")), self._billed
            )
        db.upsert(conn, pinned_terms, [self._terms[one] for one in sorted(self._terms)], ["id"], [])
        if self._items:
            values: Row = {
                "charged_through": sa.bindparam("through"), "renews": sa.bindparam("pinned"), "recalculate_from": None,
                "due_from": sa.bindparam("later"),
            }  # fmt: skip
            chosen = subscription_item.c.id == sa.bindparam("chosen")
            conn.execute(sa.update(subscription_item).where(chosen).values(**values), self._items)
