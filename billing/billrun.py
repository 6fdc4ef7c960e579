"""The bill run: what is due on a date becomes drafts, chunk by chunk, then numbers are given in one ordered pass.

Resumable and repeatable: how far each subscription is billed is kept with its charges in one transaction, and a
charge's interval is unique. Any number of runners do what one does: accounts are locked and looked at again.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, bill, billables, charges, invoices, parked, subscriptions, taxes
from billing.accounts import Account
from billing.billables import Billable
from billing.charges import Charge
from billing.models import bill_run, billable, charge, subscription, subscription_item
from billing.subscriptions import Item
from billing.timeline import Slice, charged_through, is_over, ought, state_on
from core import clock, db, faults, ids
from core.db import Database
from core.errors import Terminal
from intents.reader import Reader

OVER = date.max
"""`charged_through` of what has ended and is billed to its end."""
P_CHUNK = faults.declare("billing.after_chunk")
P_DRAFTS = faults.declare("billing.before_numbers")


class BillRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. `parked`: account -> why a person must look at it."""

    id: str
    billed_on: date
    drafts: int
    final: tuple[str, ...]
    parked: dict[str, str]


class _Due(msgspec.Struct, frozen=True):
    """What is due of one account: items with their differences, and billables."""

    work: tuple["_Work", ...]
    billables: tuple[Billable, ...]


class _Work(msgspec.Struct, frozen=True):
    """An item with what ought to be billed and what to change."""

    item: Item
    slices: tuple[Slice, ...]
    difference: charges.Difference


def run_billing(
    database: Database,
    reader: Reader,
    on: date,
    *,
    bounds: bill.Bounds = bill.BOUNDS,
    chunk: int = 200,
    finalise: bool = True,
) -> BillRun:
    """Bill everything that is due on the local date `on`; doing it again adds nothing (invariant 1).

    An odd account is parked, named, and the run goes on. Without `finalise` the invoices stay drafts.
    """
    run_id = _start(database, on)
    drafts, left_out = 0, {}
    for account_ids in _chunks(database, on, chunk):
        with database.write() as conn:
            made, odd = _bill_chunk(conn, reader, account_ids, on, run_id, bounds)
        drafts += made
        left_out.update(odd)
        faults.point(P_CHUNK)
    faults.point(P_DRAFTS)
    numbers = tuple(invoices.finalise(database)) if finalise else ()
    run = BillRun(id=run_id, billed_on=on, drafts=drafts, final=numbers, parked=left_out)
    _end(database, run)
    return run


def _bill_chunk(
    conn: Connection, reader: Reader, account_ids: list[str], on: date, run_id: str, bounds: bill.Bounds
) -> tuple[int, dict[str, str]]:
    owners = accounts.by_ids(conn, account_ids)
    due = _due(conn, owners, on)
    last = invoices.last_totals(conn, account_ids)
    accepted = parked.accepted(conn, account_ids)
    made, odd = 0, {}
    for owner in owners:
        mine = due[owner.id]
        try:
            posted = _charges(conn, owner, mine.work, on)
            drawn = bill.make(_lines(conn, reader, owner, mine, posted, on), owner.currency)
        except Terminal as error:
            odd[owner.id] = str(error)
            continue
        why = bill.oddity(drawn, last.get(owner.id, 0), _expected(mine, on), bounds)
        if why and owner.id not in accepted:
            odd[owner.id] = why
            continue
        made += _store(conn, owner, mine, posted, drawn, on, run_id)
    parked.note(conn, run_id, account_ids, odd)
    return made, odd


def _due(conn: Connection, owners: Sequence[Account], on: date) -> dict[str, _Due]:
    work = _work(conn, owners, on)
    waiting = billables.waiting(conn, {owner.id: owner.currency for owner in owners}, on)
    return {owner.id: _Due(tuple(work[owner.id]), tuple(waiting[owner.id])) for owner in owners}


def _work(conn: Connection, owners: Sequence[Account], on: date) -> dict[str, list[_Work]]:
    anchors = {owner.id: owner.anchor for owner in owners}
    due = subscriptions.items(conn, sa.and_(subscription.c.account_id.in_(list(anchors)), _is_due(on)))
    since = {item.id: _since(item) for item in due}
    posted = charges.of_items(conn, since)
    work: dict[str, list[_Work]] = defaultdict(list)
    for item in due:
        day = _as_of(on, posted[item.id])
        wanted = ought(item.events, anchors[item.account], item.cadence_base, day, since[item.id])
        work[item.account].append(_Work(item, tuple(wanted), charges.difference(wanted, posted[item.id])))
    return work


def _as_of(on: date, posted: Sequence[Charge]) -> date:
    """A run for an earlier date than the last takes nothing back that was rightly billed since."""
    return max([on, *(one.slice.part.start for one in charges.net(posted))])


def _charges(conn: Connection, owner: Account, work: Sequence[_Work], on: date) -> list[Charge]:
    """New charges: what is taken back at the rate it had, what is posted at today's. Raises TaxRateMissing."""
    made: list[Charge] = []
    for one in work:
        made += [_reversal(old) for old in one.difference.reverse]
        for part, revision in one.difference.post:
            rate = taxes.rate_on(conn, owner.tax_profile, part.terms.tax, on)
            made.append(
                Charge(id=ids.new_id("chg"), item=one.item.id, slice=part, revision=revision, rate=rate)
            )
    return made


def _lines(
    conn: Connection, reader: Reader, owner: Account, due: _Due, posted: Sequence[Charge], on: date
) -> Iterator[bill.Line]:
    """The lines of a bill: charges, then billables. Raises TaxRateMissing."""
    services = {one.item.id: one.item.service for one in due.work}
    for one in posted:
        yield bill.line_of(one, _name(reader, one), services[one.item])
    for other in due.billables:
        yield billables.line_of(other, taxes.rate_on(conn, owner.tax_profile, other.tax, on))


def _reversal(old: Charge) -> Charge:
    return msgspec.structs.replace(old, id=ids.new_id("chg"), reverses=old.id)


def _store(
    conn: Connection,
    owner: Account,
    due: _Due,
    posted: Sequence[Charge],
    drawn: bill.Bill,
    on: date,
    run_id: str,
) -> int:
    for one in due.work:
        _advance(conn, one, on)
    if not drawn.lines:
        return 0
    db.insert_many(conn, charge, [charges.row_of(owner.id, one) for one in posted])
    invoice = invoices.draft(conn, owner, drawn, on, run_id)
    billables.billed(conn, due.billables, invoice)
    return 1


def _advance(conn: Connection, work: _Work, on: date) -> None:
    """Remember how far the item is billed."""
    item = work.item
    through = charged_through(work.slices) or item.charged_through
    ended = is_over(item.events) and item.events and max(e.effective for e in item.events) <= on
    values = {"charged_through": OVER if ended else through, "recalculate_from": None}
    conn.execute(sa.update(subscription_item).where(subscription_item.c.id == item.id).values(**values))


def _expected(due: _Due, on: date) -> int:
    """What a full period of everything costs, and what was added: the yardstick where there is no last invoice."""
    found = [state_on(one.item.events, on).terms for one in due.work]
    setups = sum(terms.setup.minor for terms in found if terms and terms.setup)
    added = sum(abs(one.amount.minor) for one in due.billables)
    return setups + added + sum(terms.price.minor for terms in found if terms)


def _name(reader: Reader, posted: Charge) -> str:
    plan = reader.get("plan", posted.slice.terms.plan)
    return str(getattr(plan, "name", None) or posted.slice.terms.plan)


def _since(item: Item) -> date | None:
    if item.charged_through is None:
        return None
    return min(item.charged_through, item.recalculate_from or item.charged_through)


def _is_due(on: date) -> "sa.ColumnElement[bool]":
    return sa.or_(
        subscription_item.c.charged_through.is_(None),
        subscription_item.c.charged_through <= on,
        subscription_item.c.recalculate_from.is_not(None),
    )


def _chunks(database: Database, on: date, size: int) -> Iterator[list[str]]:
    """Ranges of accounts with something due, in order of their ids."""
    last = ""
    while True:
        with database.read() as conn:
            found = _accounts_due(conn, on, last, size)
        if not found:
            return
        yield found
        last = found[-1]


def _accounts_due(conn: Connection, on: date, last: str, size: int) -> list[str]:
    items = sa.select(subscription.c.account_id).join(subscription_item)
    items = items.where(_is_due(on), subscription.c.account_id > last)
    added = sa.select(billable.c.account_id).where(
        billable.c.invoice_id.is_(None), billable.c.billed_from <= on, billable.c.account_id > last
    )
    due = sa.union(items, added).subquery()
    return list(conn.execute(sa.select(due.c.account_id).order_by(due.c.account_id).limit(size)).scalars())


def _start(database: Database, on: date) -> str:
    run_id = ids.new_id("bill")
    with database.write() as conn:
        conn.execute(sa.insert(bill_run).values(id=run_id, billed_on=on, started_at=clock.now()))
    return run_id


def _end(database: Database, run: BillRun) -> None:
    outcome = {"drafts": run.drafts, "final": len(run.final), "parked": run.parked}
    with database.write() as conn:
        values = {"ended_at": clock.now(), "outcome": outcome}
        conn.execute(sa.update(bill_run).where(bill_run.c.id == run.id).values(**values))
