"""Deposits: money that stays the customer's. A liability from the invoice that asks for it until it is used.

`take` puts a line of kind `deposit` (without tax) on the next bill. Once that invoice is paid the deposit is held; it
bears no interest. It is applied to what is owed, forfeited for what will not be paid otherwise, or returned.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, billables, debts, payments, releases
from billing.accounts import Account
from billing.billables import Billable
from billing.deposits.errors import DepositNotUsable, DepositUnknown
from billing.deposits.models import deposit, deposit_movement
from billing.errors import AmountNotPayable, CurrencyWrong, PaymentKeyReused
from billing.ledger import CREDIT, Books, Entry, book
from billing.models import billable, invoice, invoice_line, payment
from billing.writeoffs import records
from core import clock, events, faults, ids
from core.money import Money

DEPOSITS = "deposits"
APPLIED, RETURNED, FORFEITED = "applied", "returned", "forfeited"
P_MOVED = faults.declare("billing.before_deposit_commit")


class Deposit(msgspec.Struct, frozen=True, kw_only=True):
    """A deposit: `held` is what could be used now. `state`: asked, billed (not paid yet), held, used, credited."""

    id: str
    account: str
    amount: Money
    held: Money
    state: str
    asked_on: date
    service: str | None


class Moved(msgspec.Struct, frozen=True):
    """What became of it: `amount` is now credit `payment`, what it paid is paid; `left` is still held."""

    deposit: str
    amount: Money
    left: Money
    payment: str
    set_ids: tuple[str, ...]


def take(
    conn: Connection, account: str, amount: Money, key: str, *,
    actor: str, service: str | None = None, on: date | None = None,
) -> str:  # fmt: skip
    """Ask for a deposit on the next bill; returns its id. The same key again changes nothing.

    Raises AccountUnknown, CurrencyWrong, AmountNotPayable, PaymentKeyReused.
    """
    owner = accounts.lock(conn, account)
    if amount.currency != owner.currency:
        raise CurrencyWrong(owner.id, owner.currency, amount.currency)
    if amount.minor <= 0:
        raise AmountNotPayable(amount)
    row = conn.execute(sa.select(deposit).where(deposit.c.idempotency_key == key)).first()
    if row is not None:
        if (row.account_id, row.amount) != (owner.id, amount.minor):
            raise PaymentKeyReused(key)
        return str(row.id)
    day, deposit_id = on or owner.today, ids.new_id("dep")
    asked = Billable(
        account=account, kind="deposit", source=f"deposit:{deposit_id}", description=f"Deposit {deposit_id}",
        amount=amount, billed_from=day, service=service, why={"how": "a deposit: it stays yours, without interest"},
    )  # fmt: skip
    values = {
        "id": deposit_id, "account_id": account, "amount": amount.minor, "currency": amount.currency,
        "service": service, "asked_on": day, "billable_id": billables.add(conn, asked, actor=actor),
        "idempotency_key": key, "actor": actor, "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(deposit).values(**values))
    told = {"deposit": deposit_id, "amount": amount.minor, "currency": amount.currency}
    events.emit(conn, "deposit.asked", account, told, actor=actor)
    return deposit_id


def apply(
    conn: Connection, deposit_id: str, *, actor: str, on: date | None = None, forfeit: bool = False
) -> Moved:
    """Let a deposit pay what is open, oldest first; nothing overdue any more releases services at once.

    `forfeit` says that it covers a bad debt. Raises DepositUnknown, DepositNotUsable.
    """
    owner, one = _lock(conn, deposit_id)
    owed = _owed(conn, owner)
    if not owed.minor:
        raise DepositNotUsable(deposit_id, f"account {owner.id} owes nothing; return it instead")
    amount = min(one.held, owed)
    day = on or owner.today
    payment_id = _move(conn, owner, one, FORFEITED if forfeit else APPLIED, amount, day, actor)
    payments.settle(conn, owner, day)
    set_ids = releases.release_if_clear(conn, owner, day, cause=payment_id)
    faults.point(P_MOVED)
    return Moved(deposit_id, amount, one.held - amount, payment_id, set_ids)


def give_back(conn: Connection, deposit_id: str, *, actor: str, on: date | None = None) -> Moved:
    """Make a deposit the customer's credit, to be refunded (event `refund.due`). Not while something is open.

    Raises DepositUnknown, DepositNotUsable.
    """
    owner, one = _lock(conn, deposit_id)
    owed = _owed(conn, owner)
    if owed.minor:
        raise DepositNotUsable(deposit_id, f"account {owner.id} owes {owed}; apply it first")
    payment_id = _move(conn, owner, one, RETURNED, one.held, on or owner.today, actor)
    told = {
        "payment": payment_id, "amount": one.held.minor, "currency": owner.currency, "why": f"deposit {deposit_id}",
    }  # fmt: skip
    events.emit(conn, "refund.due", owner.id, told, actor=actor)
    faults.point(P_MOVED)
    return Moved(deposit_id, one.held, owner.money(0), payment_id, ())


def listed(conn: Connection, account: str | None = None) -> list[Deposit]:
    """Deposits, of one account or of all, the oldest first. Raises AccountUnknown."""
    query = sa.select(deposit).order_by(deposit.c.id)
    if account is not None:
        accounts.get(conn, account)
        query = query.where(deposit.c.account_id == account)
    return [_told(conn, row) for row in conn.execute(query).all()]


def _told(conn: Connection, row: Any) -> Deposit:
    used, credited = _moved(conn, row.id), 0
    document = conn.execute(
        sa.select(invoice)
        .join(billable, billable.c.invoice_id == invoice.c.id)
        .where(billable.c.id == row.billable_id)
    ).first()
    state = "asked"
    if document is not None and document.state == "final":
        credited = _credited(conn, document.id, row.billable_id)
        is_open = any(one.invoice == document.id for one in debts.open_balances(conn, row.account_id))
        left = row.amount - credited - used
        state = (
            "credited" if credited >= row.amount
            else "used" if not left
            else "billed" if is_open
            else "written-off" if records.lost(conn, document.id)
            else "held"
        )  # fmt: skip
    held = row.amount - credited - used if state == "held" else 0
    return Deposit(
        id=row.id, account=row.account_id, amount=Money(row.amount, row.currency),
        held=Money(held, row.currency), state=state, asked_on=row.asked_on, service=row.service,
    )  # fmt: skip


def _lock(conn: Connection, deposit_id: str) -> tuple[Account, Deposit]:
    """The deposit and its account, locked. Raises DepositUnknown, DepositNotUsable where nothing of it is held."""
    row = conn.execute(sa.select(deposit).where(deposit.c.id == deposit_id)).first()
    if row is None:
        raise DepositUnknown(deposit_id)
    owner = accounts.lock(conn, row.account_id)
    one = _told(conn, row)
    if not one.held.minor:
        why = {
            "asked": "it is not billed yet", "billed": "its invoice is not paid yet",
            "credited": "its line was credited", "used": "nothing is left of it",
            "written-off": "its invoice was written off, so it was not paid in full",
        }  # fmt: skip
        raise DepositNotUsable(deposit_id, why[one.state])
    return owner, one


def _move(
    conn: Connection, owner: Account, one: Deposit, kind: str, amount: Money, day: date, actor: str
) -> str:
    """The liability becomes the customer's credit; returns the credit's id."""
    movement, payment_id = ids.new_id("dmv"), ids.new_id("pay")
    values = {
        "id": payment_id, "account_id": owner.id, "kind": "deposit", "currency": owner.currency,
        "amount": amount.minor, "method": "deposit", "idempotency_key": f"deposit:{movement}",
        "received_at": clock.now(), "actor": actor, "sets": [],
    }  # fmt: skip
    conn.execute(sa.insert(payment).values(**values))
    said = {
        "id": movement, "deposit_id": one.id, "kind": kind, "amount": amount.minor, "payment_id": payment_id,
        "moved_on": day, "actor": actor, "recorded_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(deposit_movement).values(**said))
    entries = [Entry(DEPOSITS, amount), Entry(CREDIT, -amount)]
    book(conn, Books(owner.legal_entity, owner.id), kind, movement, day, entries)
    told = {"deposit": one.id, "amount": amount.minor, "currency": owner.currency, "payment": payment_id}
    events.emit(conn, f"deposit.{kind}", owner.id, told, actor=actor)
    return payment_id


def _owed(conn: Connection, owner: Account) -> Money:
    """What is open, less the credit that will pay it anyway."""
    total = sum(one.balance for one in debts.open_balances(conn, owner.id))
    return owner.money(max(0, total - payments.credit(conn, owner).minor))


def _moved(conn: Connection, deposit_id: str) -> int:
    query = sa.select(sa.func.coalesce(sa.func.sum(deposit_movement.c.amount), 0))
    return int(conn.execute(query.where(deposit_movement.c.deposit_id == deposit_id)).scalar_one())


def _credited(conn: Connection, document: str, billable_id: str) -> int:
    """How much of the deposit's line credit notes have taken back."""
    position: Sequence[int] = list(
        conn.execute(
            sa.select(invoice_line.c.position).where(
                invoice_line.c.invoice_id == document, invoice_line.c.billable_id == billable_id
            )
        ).scalars()
    )
    query = sa.select(sa.func.coalesce(sa.func.sum(invoice_line.c.amount), 0))
    query = query.join(invoice, invoice.c.id == invoice_line.c.invoice_id).where(
        invoice_line.c.credits_invoice == document,
        invoice_line.c.credits_position.in_(position),
        invoice.c.state != "void",
    )
    return -int(conn.execute(query).scalar_one())
