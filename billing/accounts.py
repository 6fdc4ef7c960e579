"""Billing accounts: billing's own party. `customer_ref` is opaque to billing."""

from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import numbers
from billing.errors import AccountNotUsable, AccountUnknown
from billing.models import account
from billing.periods import zone
from core import clock, db
from core.money import Money

CHANGE_DAYS = ("new", "old")
"""To which state a change's own day belongs (pin 2); `new` is the default."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one account. `anchor` is a day of the month, `payment_days` the time to pay."""

    id: str
    customer_ref: str
    currency: str
    timezone: str
    anchor: int
    legal_entity: str
    tax_profile: str
    dunning_policy: str
    payment_days: int
    change_day: str

    @property
    def today(self) -> date:
        """The date where the account lives."""
        return clock.today(self.timezone)

    def money(self, minor: int) -> Money:
        """An amount in the account's currency."""
        return Money(minor, self.currency)


def open_account(
    conn: Connection,
    customer_ref: str,
    *,
    currency: str,
    timezone: str,
    anchor: int = 1,
    legal_entity: str = "main",
    tax_profile: str = "default",
    dunning_policy: str = "default",
    payment_days: int = 14,
    change_day: str = "new",
    parent: str | None = None,
) -> str:
    """Open an account and return its id (`A-10001`). Raises AccountNotUsable, TimeZoneUnknown."""
    _require_usable(customer_ref, currency, anchor, payment_days, change_day)
    zone(timezone)
    account_id = f"A-{10_000 + numbers.take(conn, 'account')}"
    values = {
        "id": account_id, "customer_ref": customer_ref, "currency": currency, "timezone": timezone,
        "anchor": anchor, "legal_entity": legal_entity, "tax_profile": tax_profile,
        "dunning_policy": dunning_policy, "payment_days": payment_days, "change_day": change_day,
        "parent_id": parent, "opened_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(account).values(**values))
    return account_id


def get(conn: Connection, account_id: str) -> Account:
    """An account. Raises AccountUnknown."""
    return _from(conn.execute(_select(account_id)).mappings().first(), account_id)


def lock(conn: Connection, account_id: str) -> Account:
    """An account, locked until the transaction ends: whoever moves its money comes through here."""
    return _from(conn.execute(db.lock_row(conn, _select(account_id))).mappings().first(), account_id)


def of_customer(conn: Connection, customer_ref: str) -> list[Account]:
    """The accounts of a customer, oldest first."""
    query = sa.select(account).where(account.c.customer_ref == customer_ref).order_by(account.c.id)
    return [_from(row, customer_ref) for row in conn.execute(query).mappings()]


def by_ids(conn: Connection, ids: list[str]) -> list[Account]:
    """Several accounts, locked, in the order of their ids (one order for all: no deadlock)."""
    query = sa.select(account).where(account.c.id.in_(ids)).order_by(account.c.id)
    return [_from(row, row["id"]) for row in conn.execute(db.lock_row(conn, query)).mappings()]


def _select(account_id: str) -> "sa.Select[Any]":
    return sa.select(account).where(account.c.id == account_id)


def _from(row: Any, account_id: str) -> Account:
    if row is None:
        raise AccountUnknown(account_id)
    return Account(**{name: row[name] for name in Account.__struct_fields__})


def _require_usable(ref: str, currency: str, anchor: int, payment_days: int, change_day: str) -> None:
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise AccountNotUsable(ref, f"currency '{currency}' is no ISO 4217 code such as AUD")
    if not 1 <= anchor <= 31:
        raise AccountNotUsable(ref, f"anchor day {anchor} is no day of a month; choose 1 to 31")
    if payment_days < 0:
        raise AccountNotUsable(ref, f"payment within {payment_days} days is in the past; choose 0 or more")
    if change_day not in CHANGE_DAYS:
        raise AccountNotUsable(ref, f"change day '{change_day}' is neither new nor old")
