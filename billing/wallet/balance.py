"""A wallet: what a customer has paid ahead. Its balance is the sum of its movements (invariant 37)."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.accounts import Account
from billing.errors import PaymentKeyReused
from billing.ledger import Books, Entry, book
from billing.wallet.errors import WalletTooSmall
from billing.wallet.models import wallet_movement
from core import clock, ids
from core.money import Money

WALLET, VOUCHERS = "wallet", "vouchers"
TOP_UP, VOUCHER, FEE, PAYOUT = "top-up", "voucher", "fee", "payout"
RETURNED, WON = "returned", "won"
"""A top-up was charged back; and the chargeback was won."""
BREAKAGE, RESTORED = "breakage", "restored"
"""What nobody used in time, and what was given back of it all the same."""


def balance(conn: Connection, owner: Account) -> Money:
    """What the wallet of an account has now."""
    query = sa.select(sa.func.coalesce(sa.func.sum(wallet_movement.c.amount), 0))
    return owner.money(int(conn.execute(query.where(wallet_movement.c.account_id == owner.id)).scalar_one()))


def known(conn: Connection, owner: Account, kind: str, source: str, amount: Money) -> bool:
    """Whether this movement was made already. Raises PaymentKeyReused where it was another one."""
    chosen = sa.and_(wallet_movement.c.kind == kind, wallet_movement.c.source == source)
    row = conn.execute(sa.select(wallet_movement).where(chosen)).first()
    if row is None:
        return False
    if (row.account_id, row.amount, row.currency) != (owner.id, amount.minor, amount.currency):
        raise PaymentKeyReused(source)
    return True


def move(
    conn: Connection,
    owner: Account,
    kind: str,
    source: str,
    amount: Money,
    against: str,
    *,
    on: date,
    actor: str,
    below: bool = False,
) -> str:
    """Put an amount in (or take it out: negative) and book it against an account of the books. `owner` is locked.

    Returns the movement's id. Raises WalletTooSmall rather than let a wallet go below nothing, but for `below`: what
    a bank took back is gone.
    """
    there = balance(conn, owner)
    if amount.minor < 0 and there.minor + amount.minor < 0 and not below:
        raise WalletTooSmall(owner.id, -amount, there)
    movement = ids.new_id("wmv")
    values = {
        "id": movement, "account_id": owner.id, "kind": kind, "source": source, "amount": amount.minor,
        "currency": amount.currency, "moved_on": on, "recorded_at": clock.now(), "actor": actor,
    }  # fmt: skip
    conn.execute(sa.insert(wallet_movement).values(**values))
    entries = [Entry(against, amount), Entry(WALLET, -amount)]
    book(conn, Books(owner.legal_entity, owner.id), f"wallet-{kind}", movement, on, entries)
    return movement


def movements(conn: Connection, owner: Account, limit: int = 100) -> list[dict[str, object]]:
    """The newest movements first, as rows."""
    query = sa.select(wallet_movement).where(wallet_movement.c.account_id == owner.id)
    query = query.order_by(wallet_movement.c.id.desc()).limit(limit)
    return [dict(row) for row in conn.execute(query).mappings()]
