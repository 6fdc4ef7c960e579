"""An account's story, for people: how its items were billed over time, what it owed day by day, how it was dunned."""

from collections.abc import Iterator, Sequence
from datetime import date

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import subscriptions
from billing.ledger import CREDIT, RECEIVABLE
from billing.models import (
    billing_override,
    dunning_stage,
    ledger_entry,
    ledger_transaction,
    promise,
    subscription,
)
from billing.subscriptions import Item
from billing.timeline import Terms, state_on


class Stretch(msgspec.Struct, frozen=True):
    """Days `[start, end)` of an item in one state; `end` None: until further notice. `blocked`: it is not billed."""

    start: date
    end: date | None
    terms: Terms
    blocked: bool


class Story(msgspec.Struct, frozen=True):
    """An item and its stretches, in order."""

    item: Item
    stretches: tuple[Stretch, ...]


class Step(msgspec.Struct, frozen=True, order=True):
    """What happened on a day of a case: a stage (`rank` tells the order of a day's), a promise, an override."""

    on: date
    rank: int
    what: str
    by: str = ""


def stories(conn: Connection, account: str) -> list[Story]:
    """Every item of an account with how it went."""
    found = subscriptions.items(conn, subscription.c.account_id == account)
    return [Story(one, tuple(_stretches(one))) for one in found]


def balances(conn: Connection, account: str) -> list[tuple[date, int]]:
    """What the account owed by the end of each day on which that changed, in minor units; credit is below zero."""
    query = (
        sa.select(ledger_transaction.c.booked_on, sa.func.sum(ledger_entry.c.amount))
        .join(ledger_entry, ledger_entry.c.transaction_id == ledger_transaction.c.id)
        .where(ledger_transaction.c.account_id == account, ledger_entry.c.ledger.in_((RECEIVABLE, CREDIT)))
        .group_by(ledger_transaction.c.booked_on)
        .order_by(ledger_transaction.c.booked_on)
    )
    steps: list[tuple[date, int]] = []
    for day, change in conn.execute(query):
        before = steps[-1][1] if steps else 0
        if change:
            steps.append((day, before + int(change)))
    return steps


def case(conn: Connection, account: str) -> list[Step]:
    """What dunning did and what people told it, the newest first."""
    stages = conn.execute(sa.select(dunning_stage).where(dunning_stage.c.account_id == account))
    promises = conn.execute(sa.select(promise).where(promise.c.account_id == account))
    overrides = conn.execute(sa.select(billing_override).where(billing_override.c.account_id == account))
    found = [
        Step(row.entered_on, row.stage, f"{row.name} (stage {row.stage}) for what was due {row.debt_due}")
        for row in stages
    ]
    found += [Step(row.made_on, 0, f"promise to pay until {row.until}", row.actor) for row in promises]
    found += [
        Step(
            row.recorded_at.date(),
            99,
            f"hold of {row.service} lifted: what was due until {row.debt_through} does not hold it again"
            + ("" if row.ended_at is None else f" (until {row.ended_at.date()}, ended by {row.ended_by})"),
            row.actor,
        )
        for row in overrides
    ]
    return sorted(found, reverse=True)


def _stretches(item: Item) -> Iterator[Stretch]:
    """Cut at the days on which something took effect."""
    days: Sequence[date] = sorted({event.effective for event in item.events})
    for day, following in zip(days, [*days[1:], None], strict=True):
        state = state_on(item.events, day)
        if state.terms is not None:
            yield Stretch(day, following, state.terms, state.blocked)
