"""Redeeming a voucher: once, whoever tries at the same moment; guesses are counted and soon refused."""

import hmac
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.accounts import Account
from billing.wallet import balance as wallet
from billing.wallet import breakage, topping
from billing.wallet.codes import Hasher, normal
from billing.wallet.errors import GuessesTooMany, VoucherNotUsable, past
from billing.wallet.models import wallet_voucher, wallet_voucher_batch, wallet_voucher_guess
from billing.wallet.prepaid import Renewed
from billing.wallet.topping import TopUp
from core import clock, events, ids
from core.db import Database
from core.money import Money

GUESSES = 5
"""Codes that no voucher has, for one account within an hour. There is no limit for all: it would lock everybody out."""
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_UNKNOWN = "no voucher has this code; look at it again, letter by letter"


def redeem(
    database: Database, hasher: Hasher, account: str, code: str, *, actor: str, on: date | None = None
) -> TopUp:
    """Put a voucher's worth into a wallet, with all that a top-up does; the same account again changes nothing.

    A code that no voucher has is counted, also when the caller gives up. Raises AccountUnknown, VoucherNotUsable,
    GuessesTooMany.
    """
    letters = normal(code)
    if not letters:
        raise VoucherNotUsable(
            "it is mistyped; a code is 16 letters and digits, and its last one checks the others"
        )
    with database.write() as conn:
        owner = accounts.lock(conn, account)
        _require_patience(conn, owner)
        row = _find(conn, hasher.digest(letters))
        if row is not None:
            return _take(conn, owner, row, on or owner.today, actor)
        conn.execute(
            sa.insert(wallet_voucher_guess).values(
                id=ids.new_id("gue"), account_id=account, guessed_at=clock.now()
            )
        )
    raise VoucherNotUsable(_UNKNOWN)


def _take(conn: Connection, owner: Account, row: Any, day: date, actor: str) -> TopUp:
    amount = Money(row.amount, row.currency)
    if row.redeemed_by == owner.id:
        return TopUp(owner.id, amount, wallet.balance(conn, owner), Renewed(), already=True)
    if why := _why_not(row, owner, day):
        raise VoucherNotUsable(why)
    if breakage.is_broken(conn, row.batch):
        raise VoucherNotUsable(past(row.expires_on))
    fresh = sa.and_(wallet_voucher.c.id == row.id, wallet_voucher.c.redeemed_at.is_(None))
    values = {"redeemed_at": clock.now(), "redeemed_by": owner.id}
    if conn.execute(sa.update(wallet_voucher).where(fresh).values(**values)).rowcount != 1:
        raise VoucherNotUsable("it was redeemed by somebody else just now")
    wallet.move(conn, owner, wallet.VOUCHER, row.id, amount, wallet.VOUCHERS, on=day, actor=actor)
    told = {"voucher": row.id, "batch": row.batch, "account": owner.id}
    events.emit(conn, "wallet-voucher.redeemed", row.id, told, actor=actor)
    return topping.credited(conn, owner, amount, day, f"voucher:{row.batch}", actor)


def _why_not(row: Any, owner: Account, day: date) -> str:
    if row.redeemed_at is not None:
        return "it was redeemed already"
    if row.voided_at is not None:
        return "its batch is void"
    if day > row.expires_on:
        return past(row.expires_on)
    if row.currency != owner.currency:
        return f"it is in {row.currency}, and account {owner.id} in {owner.currency}"
    if row.legal_entity != owner.legal_entity:
        return f"it was issued by {row.legal_entity}, and account {owner.id} is with {owner.legal_entity}"
    return ""


def _find(conn: Connection, digest: str) -> Any:
    """The voucher and its batch, which is locked against being voided meanwhile."""
    batch = wallet_voucher_batch.c
    query = (
        sa.select(
            wallet_voucher,
            batch.amount,
            batch.currency,
            batch.expires_on,
            batch.voided_at,
            batch.legal_entity,
        )
        .join(wallet_voucher_batch)
        .where(wallet_voucher.c.digest == digest)
    )
    if conn.dialect.name != "sqlite":
        query = query.with_for_update(read=True, of=wallet_voucher_batch)
    row = conn.execute(query).first()
    return row if row is not None and hmac.compare_digest(row.digest, digest) else None


def _require_patience(conn: Connection, owner: Account) -> None:
    """Raises GuessesTooMany. The account is locked, so that no two guesses count as one."""
    guess, now = wallet_voucher_guess.c, clock.now()
    conn.execute(
        sa.delete(wallet_voucher_guess).where(guess.guessed_at < now - _DAY, guess.account_id == owner.id)
    )
    recent = (
        sa.select(sa.func.count()).select_from(wallet_voucher_guess).where(guess.guessed_at > now - _HOUR)
    )
    mine = conn.execute(recent.where(guess.account_id == owner.id)).scalar_one()
    if mine >= GUESSES:
        raise GuessesTooMany(owner.id, int(_HOUR.total_seconds() // 60))
