"""Direct debits for what is due: a batch is written once, can be fetched again, and is pending until a statement says.

An invoice is in one batch at a time. One that came back twice is left to a person.
"""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.bank import calendar, collections, due, mandates, pain
from billing.bank.errors import BatchUnknown, CreditorNotUsable, DataKeyNeeded, TooLate
from billing.bank.models import batch as batch_table
from billing.bank.models import collection, creditor, mandate
from core import clock, db, events, faults, ids
from core.crypto import DataKey, open_, seal
from core.money import Money

P_BATCH = faults.declare("billing.before_batch_commit")


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A file for the bank. `left`: what was not collected, and why; `again`: it was written before."""

    id: str
    legal_entity: str
    collect_on: date
    count: int
    total: Money
    content: str
    again: bool
    left: tuple[str, ...] = ()


def collect(
    conn: Connection,
    legal_entity: str,
    on: date,
    key: DataKey | None,
    *,
    actor: str,
    today: date,
    version: str = pain.VERSIONS[0],
    another: bool = False,
) -> Batch | None:
    """The batch of a legal entity for a day; made when there is none yet, or `another` is asked for. None: nothing due.

    What is due by `on` of accounts with a usable mandate is collected on the first TARGET day from `on`. Raises
    DataKeyNeeded, CreditorNotUsable, TooLate.
    """
    if key is None:
        raise DataKeyNeeded
    day = calendar.open_from(on)
    who = _creditor(conn, legal_entity)  # locked: one at a time
    made = _batches(conn, legal_entity, day)
    if made and not another:
        return _fetched(made[-1], key)
    earliest = calendar.after(today, who["lead_days"])
    if day < earliest:
        raise TooLate(day, earliest)
    chosen, left = due.due(conn, legal_entity, on, day)
    if not chosen:
        return None
    return _write(conn, who, day, len(made) + 1, chosen, left, key, actor, version)


def fetch(conn: Connection, batch: str, key: DataKey | None) -> Batch:
    """A batch that was written before. Raises DataKeyNeeded, BatchUnknown."""
    if key is None:
        raise DataKeyNeeded
    row = conn.execute(sa.select(batch_table).where(batch_table.c.id == batch)).mappings().first()
    if row is None:
        raise BatchUnknown(batch)
    return _fetched(row, key)


def _write(
    conn: Connection, who: Any, day: date, ordinal: int, chosen: list[dict[str, Any]], left: list[str], key: DataKey,
    actor: str, version: str,
) -> Batch:  # fmt: skip
    batch_id = ids.new_id("bat")
    message = batch_id.replace("bat_", "TLB-")
    rows = [_row(one, batch_id, message) for one in chosen]
    debits = [_debit(one, row, key) for one, row in zip(chosen, rows, strict=True)]
    sender = pain.Creditor(who["name"], who["creditor_id"], who["iban"], who["bic"])
    made_at = clock.now()
    content = pain.write(sender, message, day, made_at, debits, version)
    total = sum(row["amount"] for row in rows)
    values = {
        "id": batch_id, "legal_entity": who["legal_entity"], "collect_on": day, "ordinal": ordinal,
        "count": len(rows), "total": total, "content": seal(key, content, f"collection_batch/{batch_id}", "content"),
        "recorded_at": made_at, "actor": actor,
    }  # fmt: skip
    conn.execute(sa.insert(batch_table).values(**values))
    db.insert_many(conn, collection, rows)
    final = [one["mandate_id"] for one in chosen if one["sequence"] in ("FNAL", "OOFF")]
    done = sa.update(mandate).where(mandate.c.id.in_(final)).values(state=mandates.ENDED, why="used")
    conn.execute(done)
    told = {"batch": batch_id, "count": len(rows), "total": total, "on": str(day)}
    events.emit(conn, "collection.batch", who["legal_entity"], told, actor=actor)
    faults.point(P_BATCH)
    return Batch(
        id=batch_id, legal_entity=who["legal_entity"], collect_on=day, count=len(rows), total=Money(total, "EUR"),
        content=content, again=False, left=tuple(left),
    )  # fmt: skip


def _row(one: dict[str, Any], batch_id: str, message: str) -> dict[str, Any]:
    collection_id = ids.new_id("col")
    return {
        "id": collection_id, "batch_id": batch_id, "mandate_id": one["mandate_id"], "account_id": one["account_id"],
        "invoice_id": one["id"], "amount": int(one["balance"]), "sequence": one["sequence"],
        "payment_info": pain.payment_info(message, one["sequence"]),
        "end_to_end": collection_id.replace("col_", "TLC-"), "state": collections.PENDING, "reason": "",
    }  # fmt: skip


def _debit(one: dict[str, Any], row: dict[str, Any], key: DataKey) -> pain.Debit:
    sealed = {"id": one["mandate_id"], "iban_sealed": one["iban_sealed"]}
    return pain.Debit(
        end_to_end=row["end_to_end"], amount=Money(row["amount"], "EUR"), mandate=one["mandate_id"],
        signed_on=one["signed_on"], holder=one["holder"], iban=mandates.iban_of(key, sealed), bic=one["bic"],
        text=f"{one['number']} {one['account_id']}", sequence=one["sequence"],
    )  # fmt: skip


def _creditor(conn: Connection, legal_entity: str) -> Any:
    query = sa.select(creditor).where(creditor.c.legal_entity == legal_entity)
    row = conn.execute(db.lock_row(conn, query)).mappings().first()
    if row is None:
        raise CreditorNotUsable(legal_entity, "no creditor identifier and IBAN of it are known")
    return row


def _batches(conn: Connection, legal_entity: str, day: date) -> list[Any]:
    query = sa.select(batch_table).where(
        batch_table.c.legal_entity == legal_entity, batch_table.c.collect_on == day
    )
    return list(conn.execute(query.order_by(batch_table.c.ordinal)).mappings())


def _fetched(row: Any, key: DataKey) -> Batch:
    content = open_(key, row["content"], f"collection_batch/{row['id']}", "content")
    return Batch(
        id=row["id"], legal_entity=row["legal_entity"], collect_on=row["collect_on"], count=row["count"],
        total=Money(row["total"], "EUR"), content=content, again=True,
    )  # fmt: skip
