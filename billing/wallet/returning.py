"""A top-up is charged back: the wallet has less, and in the red what it bought is held; or the chargeback is won.

The wallet of the books is a liability; in the red it is what the customer owes us, and what comes in fills it first.
"""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts
from billing.accounts import Account
from billing.errors import PaymentKeyReused
from billing.models import ledger_entry, ledger_transaction
from billing.refunding import books
from billing.wallet import balance as wallet
from billing.wallet import holds, prepaid, topping
from billing.wallet.errors import TopUpNotReturned, TopUpUnknown
from billing.wallet.models import wallet_movement
from billing.wallet.topping import TopUp
from core import events, faults
from core.money import Money
from intents.reader import Reader

_CASH = "cash:"
P_RETURNED = faults.declare("billing.before_returned_commit")


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """What a chargeback did: services that are held now, the change set, services that are left to a person."""

    account: str
    amount: Money
    balance: Money
    held: tuple[str, ...] = ()
    manual: tuple[str, ...] = ()
    hold_set: str | None = None
    problem: str = ""
    already: bool = False


def charge_back(
    conn: Connection,
    reader: Reader,
    top_up: str,
    amount: Money | None,
    method: str | None,
    key: str,
    *,
    actor: str,
    on: date | None = None,
    cost: Money | None = None,
) -> Returned:
    """Take out what the bank took back of a top-up (its key; `amount` None: all that is left of it). `method` None: the
    way in which it came.

    In the red every service that is bought is held at once. The same key again changes nothing. `cost`: what the bank
    took from us. Raises TopUpUnknown, TopUpNotReturned, CurrencyWrong, AmountNotPayable, PaymentKeyReused.
    """
    owner, row = _lock(conn, top_up)
    source = f"{row.id}:{key}"
    earlier = _movement(conn, wallet.RETURNED, source)
    if earlier is not None:
        if amount is not None and earlier.amount != -amount.minor:
            raise PaymentKeyReused(key)
        there = wallet.balance(conn, owner)
        return Returned(account=owner.id, amount=owner.money(-earlier.amount), balance=there, already=True)
    left = row.amount + _sum(conn, row.id)
    taken = amount or owner.money(left)
    if left <= 0 or taken.minor > left:
        raise TopUpNotReturned(
            top_up, f"of {owner.money(row.amount)} only {owner.money(left)} are left to take back"
        )
    topping.require_payable(owner, taken)
    day = on or owner.today
    method = method or _method(conn, row.id)
    cash = f"cash:{method}"
    moved = wallet.move(conn, owner, wallet.RETURNED, source, -taken, cash, on=day, actor=actor, below=True)
    if cost is not None and cost.minor:
        books.cost(conn, owner, moved, cost, method, day)
    done = _held(conn, reader, owner, taken, moved)
    told = {
        "top_up": top_up, "amount": taken.minor, "currency": owner.currency, "balance": done.balance.minor,
        "held": list(done.held),
    }  # fmt: skip
    events.emit(conn, "wallet.charged-back", owner.id, told, actor=actor)
    faults.point(P_RETURNED)
    return done


def won(
    conn: Connection, top_up: str, key: str, method: str | None, *, actor: str, on: date | None = None
) -> TopUp:
    """The bank gave it back: what is held for it is released, and what is due bought. Again changes nothing. `method`
    None: the way in which it was taken.

    Raises TopUpUnknown, TopUpNotReturned.
    """
    owner, row = _lock(conn, top_up)
    source = f"{row.id}:{key}"
    returned = _movement(conn, wallet.RETURNED, source)
    if returned is None:
        raise TopUpNotReturned(top_up, f"no chargeback '{key}' of it is known")
    amount = owner.money(-returned.amount)
    if wallet.known(conn, owner, wallet.WON, source, amount):
        return TopUp(owner.id, amount, wallet.balance(conn, owner), prepaid.Renewed(), already=True)
    day = on or owner.today
    cash = f"cash:{method or _method(conn, returned.id)}"
    wallet.move(conn, owner, wallet.WON, source, amount, cash, on=day, actor=actor)
    return topping.credited(conn, owner, amount, day, f"won:{key}", actor)


def _method(conn: Connection, movement: str) -> str:
    """By which account of the books a movement came in or went out."""
    query = sa.select(ledger_entry.c.ledger).join(
        ledger_transaction, ledger_transaction.c.id == ledger_entry.c.transaction_id
    )
    query = query.where(
        ledger_transaction.c.source == movement,
        ledger_transaction.c.kind.startswith("wallet-"),  # what the bank took for it is booked beside
        ledger_entry.c.ledger.startswith(_CASH),
    )
    return str(conn.execute(query).scalars().one()).removeprefix(_CASH)


def currency_of(conn: Connection, top_up: str) -> str:
    """The currency of a top-up. Raises TopUpUnknown."""
    row = _movement(conn, wallet.TOP_UP, top_up)
    if row is None:
        raise TopUpUnknown(top_up)
    return str(row.currency)


def _held(conn: Connection, reader: Reader, owner: Account, taken: Money, cause: str) -> Returned:
    there = wallet.balance(conn, owner)
    done = Returned(account=owner.id, amount=taken, balance=there)
    if there.minor >= 0:
        return done
    wanted = prepaid.owe(conn, owner)
    if wanted and not holds.may_hold(reader):
        return msgspec.structs.replace(done, problem=holds.MAY_NOT)
    held, manual, set_id = holds.hold(conn, reader, wanted, cause, None)
    return msgspec.structs.replace(done, held=tuple(held), manual=tuple(manual), hold_set=set_id)


def _lock(conn: Connection, top_up: str) -> tuple[Account, Any]:
    row = _movement(conn, wallet.TOP_UP, top_up)
    if row is None:
        raise TopUpUnknown(top_up)
    return accounts.lock(conn, row.account_id), row


def _movement(conn: Connection, kind: str, source: str) -> Any:
    mine = sa.and_(wallet_movement.c.kind == kind, wallet_movement.c.source == source)
    return conn.execute(sa.select(wallet_movement).where(mine)).first()


def _sum(conn: Connection, movement: str) -> int:
    """What was taken back of a top-up, below zero, with what was won again."""
    query = sa.select(sa.func.coalesce(sa.func.sum(wallet_movement.c.amount), 0)).where(
        wallet_movement.c.kind.in_([wallet.RETURNED, wallet.WON]),
        wallet_movement.c.source.startswith(f"{movement}:", autoescape=True),
    )
    return int(conn.execute(query).scalar_one())
