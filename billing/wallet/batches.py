"""Batches of vouchers: made, sold, voided. Their codes leave once, when they are made."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.ledger import Books, Entry, book
from billing.wallet.balance import VOUCHERS
from billing.wallet.codes import Hasher, new_code, normal
from billing.wallet.errors import BatchNotUsable, BatchUnknown
from billing.wallet.models import wallet_voucher, wallet_voucher_batch
from core import clock, db, events, ids
from core.money import Money

MOST = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch: `count` vouchers of `amount`; `expires_on` is the last day. `redeemed`: so many are used."""

    name: str
    legal_entity: str
    amount: Money
    count: int
    redeemed: int
    expires_on: date
    sold_on: date | None
    is_void: bool


def make(
    conn: Connection, hasher: Hasher, name: str, count: int, amount: Money, expires_on: date, *,
    actor: str, legal_entity: str = "main",
) -> list[tuple[str, str]]:  # fmt: skip
    """Make a batch in the caller's transaction; returns (serial, code) of each: nobody can read codes again.

    Unsold vouchers are no liability, so nothing is booked. Raises BatchNotUsable.
    """
    if not _NAME.fullmatch(name):
        raise BatchNotUsable(name, "a name is up to 64 letters, digits, dots, dashes")
    if not 1 <= count <= MOST:
        raise BatchNotUsable(name, f"{count} vouchers cannot be made at once; ask for 1 to {MOST}")
    if amount.minor <= 0:
        raise BatchNotUsable(name, f"a voucher of {amount} is worth nothing")
    if expires_on < clock.now().date():
        raise BatchNotUsable(name, f"its last day, {expires_on}, has passed")
    if _row(conn, name) is not None:
        raise BatchNotUsable(name, "there is one of this name already; its codes were given out once")
    row = {
        "name": name, "legal_entity": legal_entity, "amount": amount.minor, "currency": amount.currency,
        "size": count, "expires_on": expires_on, "actor": actor, "made_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(wallet_voucher_batch).values(**row))
    made = [(ids.new_id("wv"), new_code()) for _ in range(count)]
    rows = [{"id": serial, "batch": name, "digest": hasher.digest(normal(code))} for serial, code in made]
    db.insert_many(conn, wallet_voucher, rows)
    told = {"count": count, "amount": amount.minor, "currency": amount.currency}
    events.emit(conn, "wallet-vouchers.made", name, told, actor=actor)
    return made


def sell(conn: Connection, name: str, paid: Money, method: str, *, actor: str, on: date) -> None:
    """A reseller paid for a whole batch: from now on it is a liability. Less than its worth is his commission.

    Raises BatchUnknown, BatchNotUsable.
    """
    row = _lock(conn, name)
    worth = Money(row.amount * row.size, row.currency)
    if row.voided_at is not None or row.sold_on is not None:
        raise BatchNotUsable(name, "it is void" if row.voided_at else f"it was sold on {row.sold_on}")
    if paid.currency != row.currency or not 0 < paid.minor <= worth.minor:
        raise BatchNotUsable(name, f"it is worth {worth}; {paid} cannot be its price")
    entries = [
        Entry(f"cash:{method}", paid),
        Entry("fees:voucher-commission", worth - paid),
        Entry(VOUCHERS, -worth),
    ]
    book(conn, Books(row.legal_entity), "voucher-sale", name, on, entries)
    _set(conn, name, sold_on=on, sold_for=paid.minor)
    events.emit(
        conn, "wallet-vouchers.sold", name, {"paid": paid.minor, "currency": paid.currency}, actor=actor
    )


def void(conn: Connection, name: str, *, actor: str) -> int:
    """No voucher of a batch can be redeemed any more; returns how many were left. Doing it again changes nothing.

    What was paid for a sold batch stays a liability until somebody settles it with the reseller. Raises BatchUnknown.
    """
    row = _lock(conn, name)
    if row.voided_at is not None:
        return 0
    left = int(row.size) - _redeemed(conn, [name]).get(name, 0)
    _set(conn, name, voided_at=clock.now(), voided_by=actor)
    events.emit(
        conn, "wallet-vouchers.voided", name, {"left": left, "sold": row.sold_on is not None}, actor=actor
    )
    return left


def get(conn: Connection, name: str) -> Any:
    """The row of a batch. Raises BatchUnknown."""
    row = _row(conn, name)
    if row is None:
        raise BatchUnknown(name)
    return row


def batches(conn: Connection) -> list[Batch]:
    """Every batch, the newest first."""
    rows = conn.execute(sa.select(wallet_voucher_batch).order_by(wallet_voucher_batch.c.made_at.desc())).all()
    used = _redeemed(conn, [row.name for row in rows])
    return [
        Batch(
            name=row.name, legal_entity=row.legal_entity, amount=Money(row.amount, row.currency), count=row.size,
            redeemed=used.get(row.name, 0), expires_on=row.expires_on, sold_on=row.sold_on,
            is_void=row.voided_at is not None,
        )
        for row in rows
    ]  # fmt: skip


def _redeemed(conn: Connection, names: Sequence[str]) -> dict[str, int]:
    query = sa.select(wallet_voucher.c.batch, sa.func.count()).where(
        wallet_voucher.c.batch.in_(names), wallet_voucher.c.redeemed_at.is_not(None)
    )
    return {row[0]: int(row[1]) for row in conn.execute(query.group_by(wallet_voucher.c.batch))}


def _row(conn: Connection, name: str) -> Any:
    return conn.execute(sa.select(wallet_voucher_batch).where(wallet_voucher_batch.c.name == name)).first()


def _lock(conn: Connection, name: str) -> Any:
    query = sa.select(wallet_voucher_batch).where(wallet_voucher_batch.c.name == name)
    row = conn.execute(db.lock_row(conn, query)).first()
    if row is None:
        raise BatchUnknown(name)
    return row


def _set(conn: Connection, name: str, **values: Any) -> None:
    chosen = wallet_voucher_batch.c.name == name
    conn.execute(sa.update(wallet_voucher_batch).where(chosen).values(**values))
