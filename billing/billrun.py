"""The bill run: what is due on a date becomes drafts, chunk by chunk, then numbers are given in one ordered pass.

Resumable and repeatable: how far each item is billed is kept with its charges in one transaction, and a charge's
interval is unique. Any number of runners do what one does: accounts are locked and looked at again. Accounts of which
everything simply renews are billed by `runs.plain` in SQL; here are the others.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, bill, billables, charges, crediting, invoices, parked, subscriptions
from billing.accounts import Account
from billing.billables import Billable
from billing.charges import Charge
from billing.mailing import sending
from billing.models import bill_run, subscription
from billing.offers import due as offers
from billing.offers.whole import wanted
from billing.papers import parties
from billing.runs import alarms, choosing, crew, had, numbering, plain, ranges
from billing.runs.batch import Batch
from billing.runs.had import Corrections
from billing.runs.known import Known
from billing.runs.numbering import Numbers
from billing.runs.plain import OVER, Rules
from billing.runs.ranges import Range
from billing.runs.renewal import renews
from billing.subscriptions import DISCOUNT, Item
from billing.taxing import asking, special
from billing.taxing.errors import AnswerMissing
from billing.taxing.special import Special
from billing.timeline import TERMINATION, Slice, charged_through, is_over, state_on
from core import clock, faults, ids
from core.db import Database
from core.errors import Terminal
from intents.reader import Reader

_CHUNK, _CHUNK_SQLITE, _SOME = 5_000, 500, 500
P_CHUNK = faults.declare("billing.after_chunk")
P_DRAFTS = faults.declare("billing.before_numbers")


class BillRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. `parked`: account -> why a person must look at it. `silent`: why it cannot be right that nobody
    was billed for the date; `unusual`: what is far off the same day a month ago.
    """

    id: str
    billed_on: date
    drafts: int
    final: tuple[str, ...]
    parked: dict[str, str]
    lines: int = 0
    silent: str = ""
    unusual: tuple[str, ...] = ()


class _Due(msgspec.Struct, frozen=True):
    """What is due of one account: items with their differences, and billables."""

    work: tuple["_Work", ...]
    billables: tuple[Billable, ...]


class _Work(msgspec.Struct, frozen=True):
    """An item with what ought to be billed and what to change."""

    item: Item
    slices: tuple[Slice, ...]
    posted: tuple[Charge, ...]
    difference: charges.Difference
    is_past: bool = False
    off: str = ""
    """The item that a discount is off."""


class Progress(msgspec.Struct, frozen=True):
    """How far a run is: accounts looked at, of so many; lines billed, accounts parked; then numbers given."""

    accounts: int = 0
    of: int = 0
    lines: int = 0
    parked: int = 0
    numbered: int = 0


Watch = Callable[[Progress], None]


def run_billing(
    database: Database,
    reader: Reader,
    on: date,
    *,
    bounds: bill.Bounds = bill.BOUNDS,
    chunk: int | None = None,
    finalise: bool = True,
    workers: int | None = None,
    watch: Watch = lambda _: None,
) -> BillRun:
    """Bill everything that is due on the local date `on`; doing it again adds nothing (invariant 1).

    An odd account is parked, named, and the run goes on. Without `finalise` the invoices stay drafts. `chunk`: accounts
    in one transaction; `workers`: threads (default: by the database and the cores).
    """
    size = chunk_of(database, chunk)
    with database.write() as conn:
        parties.note_sellers(conn, reader)
    run = Run(database, Known(reader, on), _start(database, on), bounds, watch)
    with database.read() as conn:
        total, found = ranges.cut(conn, ranges.due(on), size)
    run.expect(total)
    hands = crew.hands(database, workers)
    crew.each(found if total else [], hands, run.take)
    crew.each(run.left_behind(size), hands, run.take_named)
    faults.point(P_DRAFTS)
    choice = choosing.of_run(reader, on)
    numbers = numbering.finalise(database, size, run.numbered, workers, choice) if finalise else []
    with database.write() as conn:
        sending.want(conn, reader)
    return _end(database, run.ended(numbers))


def chunk_of(database: Database, asked: int | None) -> int:
    """How many accounts a transaction has: few on SQLite, where others wait for it to end."""
    return asked or (_CHUNK_SQLITE if database.is_sqlite else _CHUNK)


class Run:
    """One run while it goes on: what its threads share, and what they count."""

    def __init__(
        self, database: Database, known: Known, run_id: str, bounds: bill.Bounds, watch: Watch
    ) -> None:
        self.id, self._on = run_id, known.on
        self._database, self._known, self._bounds, self._watch = database, known, bounds, watch
        self._rules = Rules(known)
        self._lock = threading.Lock()
        self._so_far = Progress()
        self._bills = 0
        self._odd: dict[str, str] = {}
        self._skipped: list[str] = []

    def expect(self, total: int) -> None:
        """So many accounts have something due."""
        self._so_far = Progress(of=total)

    def take(self, within: Range) -> None:
        """Bill a range of accounts; those that somebody else has locked are left behind for later."""
        with self._database.write() as conn:
            due = list(conn.execute(ranges.due(self._on, within)).scalars())
            mine = ranges.lock(conn, due, wait=False)
            made = self._bill(conn, mine)
        self._note(mine, made, sorted(set(due).difference(mine)))
        faults.point(P_CHUNK)

    def bill_now(self, conn: Connection, within: Range) -> None:
        """Bill a range of accounts in the caller's transaction, waiting for whoever has them."""
        due = list(conn.execute(ranges.due(self._on, within)).scalars())
        mine = ranges.lock(conn, due, wait=True)
        self._note(mine, self._bill(conn, mine), [])

    def left_behind(self, size: int) -> list[list[str]]:
        """The accounts that somebody had locked, in chunks."""
        found = sorted(self._skipped)
        return [found[start : start + size] for start in range(0, len(found), size)]

    def take_named(self, account_ids: list[str]) -> None:
        """Bill these accounts, waiting for whoever has them."""
        with self._database.write() as conn:
            mine = ranges.lock(conn, account_ids, wait=True)
            made = self._bill(conn, mine)
        self._note(mine, made, [])
        faults.point(P_CHUNK)

    def numbered(self, count: int) -> None:
        """So many documents more have their number."""
        self._so_far = msgspec.structs.replace(self._so_far, numbered=self._so_far.numbered + count)
        self._watch(self._so_far)

    def ended(self, given: list[Numbers]) -> BillRun:
        """What it did."""
        return BillRun(
            id=self.id, billed_on=self._on, drafts=self._bills, parked=dict(sorted(self._odd.items())),
            lines=self._so_far.lines, final=tuple(text for one in given for text in one.texts()),
        )  # fmt: skip

    def _bill(self, conn: Connection, mine: list[str]) -> "_Made":
        done = plain.bill_plain(conn, self._rules, mine, self.id, self._bounds)
        batch = Batch()
        odd: dict[str, str] = {}
        for start in range(0, len(done.odd), _SOME):
            some = done.odd[start : start + _SOME]
            odd |= _bill_some(conn, self._known, some, self.id, self._bounds, batch)
        batch.store(conn)
        return _Made(done.bills + batch.bills, done.lines + batch.lines, odd)

    def _note(self, mine: Sequence[str], made: "_Made", skipped: list[str]) -> None:
        with self._lock:
            self._bills += made.bills
            self._odd |= made.odd
            self._skipped += skipped
            far = self._so_far
            self._so_far = Progress(
                far.accounts + len(mine), far.of, far.lines + made.lines, len(self._odd), far.numbered
            )
            self._watch(self._so_far)


class _Made(msgspec.Struct, frozen=True):
    bills: int
    lines: int
    odd: dict[str, str]


def _bill_some(
    conn: Connection, known: Known, account_ids: list[str], run_id: str, bounds: bill.Bounds, batch: Batch
) -> dict[str, str]:
    """Bill accounts by their timelines and billables; returns those that are parked, and why."""
    on = known.on
    owners = accounts.by_ids(conn, account_ids)
    due = _due(conn, owners, on)
    last = invoices.last_totals(conn, account_ids)
    accepted = parked.accepted(conn, account_ids)
    work = [one for mine in due.values() for one in mine.work]
    back = [old.id for one in work for old in one.difference.reverse]
    taxed, credited = special.of(conn, known, account_ids, back), crediting.credited_of(conn, back)
    under = had.under(conn, [(one.off, one.difference.post) for one in work])
    earlier = had.corrections(conn, [one for mine in due.values() for one in mine.billables])
    odd: dict[str, str] = {}
    for owner in owners:
        mine = due[owner.id]
        try:
            posted = _charges(conn, owner, mine.work, taxed, under)
            lines = list(_lines(conn, owner, mine, posted, known, taxed, earlier))
            drawn = bill.make(
                taxed.with_surcharges(conn, owner, lines, posted, earlier.before), owner.currency
            )
        except Terminal as error:
            if isinstance(error, AnswerMissing):
                asking.queue(conn, owner, error.category, on)
            odd[owner.id] = str(error)
            continue
        why = crediting.given_twice(owner, posted, credited) or bill.oddity(
            drawn, last.get(owner.id, 0), _expected(mine, on), bounds
        )
        if why and owner.id not in accepted:
            odd[owner.id] = why
            continue
        for one in mine.work:
            _advance(owner, one, [new for new in posted if new.item == one.item.id], on, batch)
        if drawn.lines:
            batch.bill(owner, posted, mine.billables, drawn, on, run_id)
    parked.note(conn, run_id, account_ids, odd)
    return odd


def unbilled(conn: Connection, account_ids: Sequence[str], on: date) -> list[str]:
    """Which of these accounts have items that the run of a date would still change; nothing is locked."""
    found: list[str] = []
    for start in range(0, len(account_ids), _SOME):
        owners = [accounts.get(conn, one) for one in account_ids[start : start + _SOME]]
        work = _work(conn, owners, on)
        found += [owner.id for owner in owners if any(not one.difference.is_empty for one in work[owner.id])]
    return found


def _due(conn: Connection, owners: Sequence[Account], on: date) -> dict[str, _Due]:
    work = _work(conn, owners, on)
    waiting = billables.waiting(conn, {owner.id: owner.currency for owner in owners}, on)
    return {owner.id: _Due(tuple(work[owner.id]), tuple(waiting[owner.id])) for owner in owners}


def _work(conn: Connection, owners: Sequence[Account], on: date) -> dict[str, list[_Work]]:
    anchors = {owner.id: owner.anchor for owner in owners}
    mine = subscription.c.account_id.in_(list(anchors))
    due = subscriptions.items(conn, sa.and_(mine, ranges.is_due(on)))
    due = [item for item in due if item.role != DISCOUNT]
    since = {item.id: _since(item) for item in due}
    posted = charges.of_items(conn, since)
    days = {item.id: _as_of(on, posted[item.id]) for item in due}
    work: dict[str, list[_Work]] = defaultdict(list)
    for item in due:
        ought = wanted(item, anchors[item.account], days[item.id], since[item.id])
        change = charges.difference(ought, posted[item.id])
        work[item.account].append(_Work(item, tuple(ought), tuple(posted[item.id]), change))
    for item, ought, before, is_past, off in offers.discounts(
        conn, offers.Run(on, anchors, due, days, since)
    ):
        change = charges.difference(ought, before)
        work[item.account].append(_Work(item, tuple(ought), tuple(before), change, is_past, off))
    return work


def _as_of(on: date, posted: Sequence[Charge]) -> date:
    """A run for an earlier date than the last takes nothing back that was rightly billed since."""
    return max([on, *(offers.reached(one) for one in charges.net(posted))])


def _charges(
    conn: Connection, owner: Account, work: Sequence[_Work], taxed: Special, under: Mapping[str, Sequence[Charge]]
) -> list[Charge]:  # fmt: skip
    """New charges: what is taken back, what of those days is posted anew, and what is taken off them, at the rate that
    they had; else today's. `under`: charges of items that discounts are off.

    Raises TaxRateMissing, AnswerMissing.
    """
    made: list[Charge] = []
    for one in work:
        made += [_reversal(old) for old in one.difference.reverse]
        off = charges.net([*under.get(one.off, ()), *(new for new in made if new.item == one.off)])
        for part, revision in one.difference.post:
            again = [old for old in one.difference.reverse if old.slice.kind == part.kind]
            rate = had.of_day([*again, *off], part) or taxed.rate(conn, owner, part.terms.tax)
            made.append(
                Charge(id=ids.new_id("chg"), item=one.item.id, slice=part, revision=revision, rate=rate)
            )
    return made


def _lines(
    conn: Connection, owner: Account, due: _Due, posted: Sequence[Charge], known: Known, taxed: Special,
    earlier: Corrections,
) -> Iterator[bill.Line]:  # fmt: skip
    """The lines of a bill: charges, then billables. Raises TaxRateMissing."""
    services = {one.item.id: one.item.service for one in due.work}
    for one in posted:
        yield bill.line_of(one, known.name(one.slice.terms.plan), services[one.item])
    for other in due.billables:
        rate = earlier.rate(other) or taxed.rate(conn, owner, other.tax)
        yield billables.line_of(other, rate)


def _reversal(old: Charge) -> Charge:
    return msgspec.structs.replace(old, id=ids.new_id("chg"), reverses=old.id)


def _advance(owner: Account, work: _Work, new: Sequence[Charge], on: date, batch: Batch) -> None:
    """Remember how far the item is billed, and whether it simply renews from there."""
    item = work.item
    if item.role == DISCOUNT:
        batch.advance(item.id, offers.through(work.is_past), None)
        return
    through = charged_through(item.events, work.slices, _since(item)) or item.charged_through
    ended = is_over(item.events) and item.events and max(e.effective for e in item.events) <= on
    if ended:
        batch.advance(item.id, OVER, None)
    else:
        known = renews(item, owner.anchor, through, [*work.posted, *new])
        later = offers.due_from(item.events, owner.anchor, item.cadence_base, through)
        batch.advance(item.id, through, known, later)


def _expected(due: _Due, on: date) -> int:
    """What a full period of everything costs, and what was added: the yardstick where there is no last invoice."""
    found = [state_on(one.item.events, on).terms for one in due.work]
    setups = sum(terms.setup.minor for terms in found if terms and terms.setup)
    added = sum(abs(one.amount.minor) for one in due.billables)
    new = [part for one in due.work for part, _ in one.difference.post]
    added += sum(part.amount.minor for part in new if part.kind == TERMINATION)
    return setups + added + sum(terms.price.minor for terms in found if terms)


def _since(item: Item) -> date | None:
    if item.charged_through is None:
        return None
    return min(item.charged_through, item.recalculate_from or item.charged_through)


def _start(database: Database, on: date) -> str:
    run_id = ids.new_id("bill")
    with database.write() as conn:
        conn.execute(sa.insert(bill_run).values(id=run_id, billed_on=on, started_at=clock.now()))
    return run_id


def _end(database: Database, run: BillRun) -> BillRun:
    """Keep what the run did, and compare the day with others."""
    outcome = {"drafts": run.drafts, "final": len(run.final), "parked": run.parked, "lines": run.lines}
    with database.write() as conn:
        day = alarms.look(conn, run.billed_on, len(run.parked))
        silent, unusual = alarms.silence(day), alarms.unusual(day)
        alarms.tell(conn, day, silent, unusual)
        values = {"ended_at": clock.now(), "outcome": {**outcome, "silent": silent, "unusual": list(unusual)}}
        conn.execute(sa.update(bill_run).where(bill_run.c.id == run.id).values(**values))
    return msgspec.structs.replace(run, silent=silent, unusual=unusual)
