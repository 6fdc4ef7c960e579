"""Billing anew what a wrong run billed: its charges are taken back with the note, so that the next run bills them.

A charge that the run posted gets a reversal; one that it took back is posted again, as it was. What a later bill took
back already is left alone: the customer has it back. A billable gets a revision that takes it back and one that waits.
The rows hang on the lines of the credit note: should the note be voided as a draft, they go with it.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import charges, invoices
from billing.bill import Bill, Line, make
from billing.charges import Charge
from billing.models import billable, charge, invoice, invoice_line, subscription_item
from billing.periods import Period
from billing.tax import Rate
from billing.taxing import surcharges
from core import clock, ids
from core.money import Money

Parts = dict[int, Money | None]
"""Positions of lines, as `crediting` has them."""


def standing(conn: Connection, invoice_id: str) -> Parts | None:
    """The lines that no later bill took back or billed again, as parts to credit; None where that is all of them."""
    told = invoices.lines(conn, invoice_id)
    open_ = _open(_charges(conn, told))
    found: Parts = {
        line["position"]: None for line in told if not line["charge_id"] or line["charge_id"] in open_
    }
    return None if len(found) == len(told) else found


def opposite(conn: Connection, row: Mapping[str, Any], parts: Parts | None) -> Bill:
    """A document that takes another one back line by line: an invoice for a credit note, or for nothing at all."""
    currency = row["currency"]
    return make(
        [
            Line(
                description=f"{row['number']}, line {line['position']}: {line['description']}",
                amount=Money(-line["amount"], currency), kind=line["kind"], service=line["service"],
                period=Period(line["period_start"], line["period_end"]) if line["period_start"] else None,
                rate=Rate(line["tax_category"], line["tax_millionths"], line["tax_inclusive"]),
                credits=(row["id"], line["position"]),
            )
            for line in invoices.lines(conn, row["id"])
            if parts is None or line["position"] in parts
        ],
        currency,
    )  # fmt: skip


def is_opposed(conn: Connection, row: Mapping[str, Any], parts: Parts | None) -> bool:
    """Whether a document is taken back by its opposite, because nothing of it could be credited."""
    if row["kind"] != "invoice":
        return True
    return not credited_before(conn, row) and opposite(conn, row, parts).total.minor >= 0


def credited_before(conn: Connection, row: Mapping[str, Any]) -> str:
    """What people credited of an invoice before: it is not given again when it is billed anew; empty for nothing."""
    query = sa.select(invoice.c.id, invoice.c.number, invoice.c.total).where(
        invoice.c.id.in_(
            sa.select(invoice_line.c.invoice_id).where(invoice_line.c.credits_invoice == row["id"])
        ),
        invoice.c.state != "void",
    )
    found = conn.execute(query.order_by(invoice.c.id)).all()
    if not found:
        return ""
    together = Money(-sum(one.total for one in found), row["currency"])
    names = ", ".join(one.number or one.id for one in found)
    said = f"{row['number']} was credited with {together} before ({names})"
    return f"{said}: that is not given again when it is billed anew"


def take_back(conn: Connection, row: Mapping[str, Any], note: str | None, actor: str) -> int:
    """Take back what an invoice charged, once; returns how much is to be billed anew. The account is locked.

    `note`: its credit note; None only counts.
    """
    told = invoices.lines(conn, row["id"])
    posted = _charges(conn, told)
    open_ = _open(posted)
    # A surcharge has the charge of the line before it, and comes again with that.
    wanted = [line for line in told if line["charge_id"] in open_ and line["kind"] != surcharges.KIND]
    added = [
        line for line in told
        if line["billable_id"] and line["kind"] != surcharges.KIND and not _is_back(conn, line["billable_id"])
    ]  # fmt: skip
    if note is not None:
        by_id = {one.id: one for one in posted}
        for line in wanted:
            _store(conn, row, note, line, _opposite(by_id[line["charge_id"]], posted))
        _look_again(conn, [by_id[line["charge_id"]] for line in wanted])
        for line in added:
            _bill_again(conn, row, note, line, actor)
    return len(wanted) + len(added)


def _charges(conn: Connection, told: list[dict[str, Any]]) -> list[Charge]:
    """The lines' charges with everything that was ever posted for their items."""
    mine = sa.select(charge.c.item_id).where(
        charge.c.id.in_([line["charge_id"] for line in told if line["charge_id"]])
    )
    query = sa.select(charge).where(charge.c.item_id.in_(mine)).order_by(charge.c.part_start, charge.c.id)
    return [charges.from_row(one) for one in conn.execute(query)]


def _open(posted: list[Charge]) -> set[str]:
    """Charges of which the opposite can be posted: those that stand, and reversals that nothing came after."""
    return {one.id for one in charges.net(posted)} | _reposted(posted)


def _reposted(posted: list[Charge]) -> set[str]:
    """Reversals whose interval nobody has posted again since."""
    stands = {(one.item, one.slice) for one in charges.net(posted)}
    return {one.id for one in posted if one.is_reversal and (one.item, one.slice) not in stands}


def _opposite(one: Charge, posted: list[Charge]) -> Charge:
    """What undoes a charge: its reversal, or for a reversal the same interval posted again."""
    if not one.is_reversal:
        return Charge(
            id=ids.new_id("chg"),
            item=one.item,
            slice=one.slice,
            revision=one.revision,
            rate=one.rate,
            reverses=one.id,
        )
    place = (one.item, one.slice.period, one.slice.part.start, one.slice.kind)
    taken = [
        other.revision for other in posted
        if not other.is_reversal and place == (other.item, other.slice.period, other.slice.part.start, other.slice.kind)
    ]  # fmt: skip
    return Charge(
        id=ids.new_id("chg"), item=one.item, slice=one.slice, revision=max(taken) + 1, rate=one.rate
    )


def _store(
    conn: Connection, row: Mapping[str, Any], note: str, line: Mapping[str, Any], made: Charge
) -> None:
    conn.execute(sa.insert(charge).values(**charges.row_of(row["account_id"], made)))
    _hang(conn, note, line, charge_id=made.id)


def _hang(conn: Connection, note: str, line: Mapping[str, Any], **what: str) -> None:
    """On the note's line, while it is a draft: what is final is sealed."""
    draft = sa.select(invoice.c.id).where(invoice.c.id == note, invoice.c.state == "draft")
    mine = sa.and_(
        invoice_line.c.invoice_id.in_(draft), invoice_line.c.credits_invoice == line["invoice_id"],
        invoice_line.c.credits_position == line["position"],
    )  # fmt: skip
    conn.execute(sa.update(invoice_line).where(mine).values(**what))


def _look_again(conn: Connection, found: list[Charge]) -> None:
    """Let the next run look at these items from the earliest of these days on."""
    for item in sorted({one.item for one in found}):
        since = min(one.slice.part.start for one in found if one.item == item)
        column = subscription_item.c.recalculate_from
        chosen = sa.and_(subscription_item.c.id == item, sa.or_(column.is_(None), column > since))
        conn.execute(sa.update(subscription_item).where(chosen).values(recalculate_from=since))


def _is_back(conn: Connection, billable_id: str) -> bool:
    """Whether a billable was taken back: a later revision of its source says so."""
    one = conn.execute(sa.select(billable).where(billable.c.id == billable_id)).one()
    query = sa.select(billable.c.why).where(
        billable.c.source == one.source, billable.c.revision > one.revision
    )
    return any(why.get("takes back") == one.id for why in conn.execute(query).scalars())


def _bill_again(
    conn: Connection, row: Mapping[str, Any], note: str, line: Mapping[str, Any], actor: str
) -> None:
    """Two revisions: one takes it back and is billed by the note, one waits for the next run; their sum is nothing."""
    one = conn.execute(sa.select(billable).where(billable.c.id == line["billable_id"])).mappings().one()
    last = sa.select(sa.func.max(billable.c.revision)).where(billable.c.source == one["source"])
    revision = int(conn.execute(last).scalar_one())
    stamp = {"actor": actor, "recorded_at": clock.now()}
    back = {
        **one, **stamp, "id": ids.new_id("bbl"), "revision": revision + 1, "amount": -one["amount"], "invoice_id": note,
        "why": {"takes back": one["id"], "because": f"{row['number']} was undone"},
    }  # fmt: skip
    again = {**one, **stamp, "id": ids.new_id("bbl"), "revision": revision + 2, "invoice_id": None}
    for values in (back, again):
        conn.execute(sa.insert(billable).values(**values))
    _hang(conn, note, line, billable_id=back["id"])
