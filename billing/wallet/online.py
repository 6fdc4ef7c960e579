"""Redeeming over HTTP, for a portal, an IVR, a hotspot page: failures are limited by address and by account.

Whatever is wrong, the answer is one: it says neither whether the code exists nor whether the account does, and it takes
the same time. The audit (event `voucher.tried`) has the reason, and the address as a keyed hash.
"""

import time
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.errors import AccountUnknown
from billing.wallet import vouchers
from billing.wallet.codes import Hasher
from billing.wallet.errors import GuessesTooMany, RedemptionRefused, RedemptionsTooMany, VoucherNotUsable
from billing.wallet.models import redemption_try
from billing.wallet.topping import TopUp
from core import clock, db, events, ids
from core.db import Database

BY_ADDRESS, BY_ACCOUNT = 20, vouchers.GUESSES
"""Failures within an hour; behind one address there may be a whole hotel."""
FLOOR = 0.25
"""Seconds that a refusal takes at least: longer than any of its ways through the database."""
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def redeem(database: Database, hasher: Hasher, account: str, code: str, address: str, *, actor: str) -> TopUp:
    """Put a voucher's worth into a wallet; the same account again changes nothing. `address`: of who typed the code.

    Raises RedemptionRefused, RedemptionsTooMany.
    """
    begun = time.monotonic()
    keys = {hasher.place("address", address): BY_ADDRESS, hasher.place("account", account): BY_ACCOUNT}
    tries = _note(database, list(keys))
    why = ""
    try:
        _require_patience(database, keys)
        done = vouchers.redeem(database, hasher, account, code, actor=actor)
    except (AccountUnknown, VoucherNotUsable) as error:
        why = str(error)
    except GuessesTooMany as error:
        raise RedemptionsTooMany(int(_HOUR.total_seconds())) from error
    with database.write() as conn:
        if not why:
            conn.execute(sa.delete(redemption_try).where(redemption_try.c.id.in_(tries)))
        told = {"ok": not why, "why": why, "address": next(iter(keys))[:16]}
        events.emit(conn, "voucher.tried", account, told, actor=actor)
    if why:
        time.sleep(max(0.0, FLOOR - (time.monotonic() - begun)))
        raise RedemptionRefused
    return done


def _note(database: Database, keys: list[str]) -> list[str]:
    """Count the try before anything is looked at, so that of many at one moment each counts all before it."""
    moment = clock.now()
    rows = [{"id": ids.new_id("try"), "digest": key, "tried_at": moment} for key in keys]
    with database.write() as conn:
        conn.execute(sa.delete(redemption_try).where(redemption_try.c.tried_at < moment - _DAY))
        db.insert_many(conn, redemption_try, rows)
    return [str(row["id"]) for row in rows]


def _require_patience(database: Database, keys: dict[str, int]) -> None:
    """Raises RedemptionsTooMany."""
    with database.read() as conn:
        if any(_recent(conn, key) > limit for key, limit in keys.items()):
            raise RedemptionsTooMany(int(_HOUR.total_seconds()))


def _recent(conn: Connection, key: str) -> int:
    mine = sa.and_(redemption_try.c.digest == key, redemption_try.c.tried_at > clock.now() - _HOUR)
    return int(conn.execute(sa.select(sa.func.count()).select_from(redemption_try).where(mine)).scalar_one())
