"""The prepaid run: buys what is due on its day, warns of low wallets, and holds what has lapsed in one change set."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.periods import days_after
from billing.wallet import holds, prepaid
from billing.wallet.models import prepaid_service, wallet_movement
from billing.wallet.prepaid import CEASED, LAPSED, ORDERED, OWED, Bought
from core import clock, faults, ids
from core.db import Database
from intents.reader import Reader

WARN_DAYS = 3
_AHEAD = timedelta(hours=14)
_CHUNK = 500
P_BOUGHT = faults.declare("billing.after_prepaid_account")
P_HELD = faults.declare("billing.before_prepaid_commit")


class PrepaidRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. `refused`: services that could not be bought for another reason than money."""

    id: str
    bought: tuple[Bought, ...]
    warned: tuple[str, ...]
    held: tuple[str, ...]
    manual: tuple[str, ...]
    refused: dict[str, str]
    hold_set: str | None
    problem: str = ""


def run_prepaid(
    database: Database,
    reader: Reader,
    on: date | None = None,
    *,
    actor: str = "billing",
    expect: int | None = None,
) -> PrepaidRun:
    """Buy, warn, hold, as of local date `on` (default: today where each account lives); again does nothing more.

    Each account is a transaction of its own, the holds are one change set. `expect`: the number of holds with which a
    person lets a run pass its guard.
    """
    run = ids.new_id("pre")
    bought: list[Bought] = []
    warned: list[str] = []
    refused: dict[str, str] = {}
    with database.read() as conn:
        named = _due(conn, on)
    for account in named:
        with database.write() as conn:
            owner = accounts.lock(conn, account)
            day = on or owner.today
            renewed = prepaid.renew(conn, owner, day, cause=run, actor=actor)
            warned += prepaid.warn(conn, owner, day, WARN_DAYS) if not renewed.refused else []
        bought += renewed.bought
        refused |= renewed.refused
        faults.point(P_BOUGHT)
    held, manual, set_id, problem = _hold(database, reader, named, on, run, expect)
    return PrepaidRun(
        id=run, bought=tuple(bought), warned=tuple(warned), held=tuple(held), manual=tuple(manual),
        refused=refused, hold_set=set_id, problem=problem,
    )  # fmt: skip


def _hold(
    database: Database, reader: Reader, named: Sequence[str], on: date | None, run: str, expect: int | None
) -> tuple[list[str], list[str], str | None, str]:
    """Look at everybody again, locked: who topped up meanwhile is not held (the release would outrun it anyway)."""
    with database.write() as conn:
        lapsed: list[Any] = []
        for start in range(0, len(named), _CHUNK):
            for owner in accounts.by_ids(conn, list(named[start : start + _CHUNK])):
                lapsed += prepaid.lapse(conn, owner, on or owner.today)
        if lapsed and not holds.may_hold(reader):
            return [], [], None, holds.MAY_NOT
        held, manual, set_id = holds.hold(conn, reader, lapsed, run, expect)
        faults.point(P_HELD)
    return held, manual, set_id, ""


def _due(conn: Connection, on: date | None) -> list[str]:
    """Accounts with a service whose period ends soon or has ended; of those held already only such with money."""
    last = days_after(on or (clock.now() + _AHEAD).date(), WARN_DAYS)
    paid, state = prepaid_service.c.paid_until, prepaid_service.c.state
    money = sa.select(sa.func.coalesce(sa.func.sum(wallet_movement.c.amount), 0))
    money = money.where(wallet_movement.c.account_id == prepaid_service.c.account_id)
    settled = sa.and_(state.in_([LAPSED, OWED]), sa.or_(prepaid_service.c.held, prepaid_service.c.lifted))
    query = sa.select(prepaid_service.c.account_id).where(
        state.not_in([ORDERED, CEASED]),
        sa.or_(paid.is_(None), paid <= last, state == OWED),
        sa.or_(~settled, money.scalar_subquery() > 0),
    )
    return list(conn.execute(query.distinct().order_by(prepaid_service.c.account_id)).scalars())
