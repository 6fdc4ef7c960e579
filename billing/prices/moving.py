"""Moving those who have an older price version to another one: from a day on, chunk by chunk, resumable.

Each chunk of accounts is a transaction: an event on each timeline, and one for each account for whoever tells it.
Who is moved already is not moved again, so the same command goes on where it was stopped.
"""

from collections.abc import Callable
from datetime import date, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import subscriptions
from billing.models import bill_park
from billing.prices import deciding, reading
from billing.prices.deciding import Change, Move
from billing.prices.errors import NoticeTooShort
from billing.runs import ranges
from billing.runs.ranges import Range
from billing.timeline import EventKind
from core import events, faults
from core.db import Database
from core.money import Money
from intents.reader import Reader

P_MOVED = faults.declare("billing.after_prices")
_CHUNK, _DAY = 500, 86_400
Watch = Callable[[int, int], None]


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or with `dry` would be. `monthly`: minor units by currency; `left`: service -> why."""

    plan: str
    version: str
    on: date
    moved: int
    accounts: int
    monthly: dict[str, int]
    left: dict[str, str]


class _Tally:
    def __init__(self) -> None:
        self.moved = self.accounts = 0
        self.monthly: dict[str, int] = {}
        self.left: dict[str, str] = {}

    def note(self, moves: list[Move]) -> None:
        self.moved += len(moves)
        self.accounts += 1
        for one in moves:
            more = one.monthly
            self.monthly[more.currency] = self.monthly.get(more.currency, 0) + more.minor


def apply(
    database: Database,
    reader: Reader,
    plan: str,
    version: str,
    on: date,
    *,
    actor: str,
    old: str | None = None,
    in_term: bool = False,
    dry: bool = False,
    chunk: int = _CHUNK,
    watch: Watch = lambda _, __: None,
) -> Applied:
    """Move all that have the plan in the currency of `version`, at another (or at `old`), to it from `on`; again it
    moves nobody.

    Raises PlanUnknown, PriceVersionUnknown, PriceCurrencyOther, NoticeTooShort.
    """
    require_notice(reader, plan, on)
    change = reading.change_of(reader, plan, version, on, old=old, in_term=in_term)
    total, found = reading.chunks(database, plan, chunk)
    tally, done = _Tally(), 0
    for within in found if total else []:
        with database.read() if dry else database.write() as conn:
            done += _chunk(conn, change, within, actor, tally, dry=dry)
        if not dry:
            faults.point(P_MOVED)
        watch(done, total)
    return Applied(
        plan=plan, version=version, on=on, moved=tally.moved, accounts=tally.accounts, monthly=tally.monthly,
        left=dict(sorted(tally.left.items())),
    )  # fmt: skip


def require_notice(reader: Reader, plan: str, on: date) -> None:
    """A change is told as long before as the plan promises, and none begins in the past. Raises NoticeTooShort."""
    intent = reader.get("plan", plan)
    days = -(-int(intent.notice) // _DAY) if intent is not None and intent.notice else 0
    earliest = reading.today(reader) + timedelta(days=days)
    if on < earliest:
        raise NoticeTooShort(plan, on, days, earliest)


def _chunk(conn: Connection, change: Change, within: Range, actor: str, tally: _Tally, *, dry: bool) -> int:
    accounts = list(conn.execute(reading.having(change.terms.plan, within)).scalars())
    if not dry:
        accounts = ranges.lock(conn, accounts, wait=True)
    parked = _parked(conn, accounts)
    for account, items in reading.items_of(conn, accounts):
        decided = [(item, deciding.decide(item, change)) for item in items]
        moves = [one for _, one in decided if isinstance(one, Move)]
        if account in parked and moves:
            tally.left |= {one.item.service: f"{account} is parked: {parked[account]}" for one in moves}
            continue
        tally.left |= {item.service: why for item, why in decided if isinstance(why, str)}
        if moves:
            tally.note(moves)
            if not dry:
                _move(conn, account, moves, change, actor)
    return len(accounts)


def _move(conn: Connection, account: str, moves: list[Move], change: Change, actor: str) -> None:
    for one in moves:
        subscriptions.record(conn, one.item.id, EventKind.CHANGED, change.on, actor, one.after)
    told = {
        "plan": change.terms.plan, "version": change.terms.version, "on": str(change.on),
        "items": [_told(one) for one in moves],
    }  # fmt: skip
    events.emit(conn, "price.changed", account, told, actor=actor)


def _told(one: Move) -> dict[str, object]:
    def price(money: Money) -> dict[str, object]:
        return {"amount": money.minor, "currency": money.currency}

    return {
        "service": one.item.service, "role": one.item.role, "name": one.item.label, "before": one.before.version,
        "from": price(one.before.price), "to": price(one.after.price), "monthly": price(one.monthly),
    }  # fmt: skip


def _parked(conn: Connection, accounts: list[str]) -> dict[str, str]:
    query = sa.select(bill_park.c.account_id, bill_park.c.reason)
    query = query.where(
        ranges.among(conn, bill_park.c.account_id, accounts), bill_park.c.accepted_by.is_(None)
    )
    return {row[0]: row[1] for row in conn.execute(query)}
