"""Top-ups: money in, and in the same transaction whatever it buys and releases."""

from datetime import date

import msgspec
from sqlalchemy.engine import Connection

from billing import accounts
from billing.accounts import Account
from billing.errors import AmountNotPayable, CurrencyWrong
from billing.ledger import CREDIT
from billing.models import payment
from billing.wallet import balance as wallet
from billing.wallet import prepaid
from billing.wallet.prepaid import Renewed
from core import clock, events, faults, ids
from core.money import Money

P_TOPPED = faults.declare("billing.before_top_up_commit")


class TopUp(msgspec.Struct, frozen=True):
    """What a top-up did. `already`: the same key had been used for it, and nothing changed."""

    account: str
    amount: Money
    balance: Money
    renewed: Renewed
    already: bool = False


def top_up(
    conn: Connection,
    account: str,
    amount: Money,
    method: str,
    key: str,
    *,
    actor: str,
    on: date | None = None,
) -> TopUp:
    """Take money for a wallet in the caller's transaction; the same key again changes nothing.

    Services that it pays for are bought and released at once. `on`: local date (default: today). Raises AccountUnknown,
    CurrencyWrong, AmountNotPayable, PaymentKeyReused.
    """
    owner = accounts.lock(conn, account)
    require_payable(owner, amount)
    if wallet.known(conn, owner, wallet.TOP_UP, key, amount):
        return TopUp(account, amount, wallet.balance(conn, owner), Renewed(), already=True)
    day = on or owner.today
    wallet.move(conn, owner, wallet.TOP_UP, key, amount, f"cash:{method}", on=day, actor=actor)
    return credited(conn, owner, amount, day, f"top-up:{method}", actor)


def credited(conn: Connection, owner: Account, amount: Money, day: date, cause: str, actor: str) -> TopUp:
    """A wallet got money: buy, release, tell. `owner` is locked."""
    renewed = prepaid.renew(conn, owner, day, cause=owner.id, actor=actor)
    left = wallet.balance(conn, owner)
    told = {
        "account": owner.id, "amount": amount.minor, "currency": owner.currency, "balance": left.minor,
        "by": cause, "sets": list(renewed.set_ids),
    }  # fmt: skip
    events.emit(conn, "wallet.topped-up", owner.id, told, actor=actor)
    faults.point(P_TOPPED)
    return TopUp(owner.id, amount, left, renewed)


def pay_out(
    conn: Connection, account: str, amount: Money, key: str, *, actor: str, on: date | None = None
) -> str:
    """Make money of a wallet the customer's credit, for a refund or for what is owed; returns the credit's id.

    The same key again changes nothing. Raises AccountUnknown, CurrencyWrong, AmountNotPayable, WalletTooSmall.
    """
    owner = accounts.lock(conn, account)
    require_payable(owner, amount)
    day = on or owner.today
    chosen = payment.c.idempotency_key == f"wallet:payout:{key}"
    if wallet.known(conn, owner, wallet.PAYOUT, key, -amount):
        return str(conn.execute(payment.select().where(chosen)).one().id)
    wallet.move(conn, owner, wallet.PAYOUT, key, -amount, CREDIT, on=day, actor=actor)
    payment_id = ids.new_id("pay")
    values = {
        "id": payment_id, "account_id": owner.id, "kind": "wallet", "currency": owner.currency,
        "amount": amount.minor, "method": "wallet", "idempotency_key": f"wallet:payout:{key}",
        "received_at": clock.now(), "actor": actor, "sets": [],
    }  # fmt: skip
    conn.execute(payment.insert().values(**values))
    told = {"payment": payment_id, "amount": amount.minor, "currency": owner.currency, "why": "wallet"}
    events.emit(conn, "refund.due", owner.id, told, actor=actor)
    return payment_id


def require_payable(owner: Account, amount: Money) -> None:
    """Raises CurrencyWrong, AmountNotPayable."""
    if amount.currency != owner.currency:
        raise CurrencyWrong(owner.id, owner.currency, amount.currency)
    if amount.minor <= 0:
        raise AmountNotPayable(amount)
