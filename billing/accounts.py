"""Billing accounts: billing's own party. `customer_ref` is opaque to billing.

Some terms say what amounts and days mean: they are fixed once anything was billed or booked (`FIXED`). The others may
change at any time and count for what is billed or dunned from then on.
"""

import re
from collections.abc import Collection
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import numbers
from billing.bank.models import mandate
from billing.deposits.models import deposit
from billing.errors import AccountNotUsable, AccountTermsFixed, AccountUnknown, TimeZoneUnknown
from billing.models import (
    account,
    billable,
    charge,
    dunning_policy,
    invoice,
    ledger_transaction,
    payment,
    subscription,
    tax_rate,
)
from billing.periods import zone
from billing.taxes import EXEMPT
from billing.taxing.models import tax_engine
from billing.wallet.models import prepaid_service, wallet_movement
from core import clock, db, events
from core.money import Money

if TYPE_CHECKING:
    from billing.overview import Standing

CHANGE_DAYS = ("new", "old")
"""To which state a change's own day belongs (pin 2); `new` is the default."""
FIXED = ("currency", "timezone", "anchor", "legal_entity", "change_day", "parent")
"""Terms that change only while nothing was ever billed or booked."""
FREE = ("tax_profile", "dunning_policy", "payment_days")
"""Terms that change at any time."""
MOST_DAYS = 365
"""To pay."""
MAIN = "main"
"""The legal entity that is always there."""
_ENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
_CODES = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD "
    "HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL "
    "LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP "
    "PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT "
    "TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
)
CURRENCIES = frozenset(_CODES.split())
"""ISO 4217, what people pay with: `core.money` knows the decimals of each. Metals, funds and tests are left out."""
_IN_THE_WAY = (
    (subscription.c.account_id, "a service is billed to it"),
    (prepaid_service.c.account_id, "it has a prepaid service"),
    (invoice.c.account_id, "it was billed"),
    (charge.c.account_id, "it was charged"),
    (billable.c.account_id, "something waits for its next bill"),
    (payment.c.account_id, "a payment was taken"),
    (wallet_movement.c.account_id, "money went through its wallet"),
    (deposit.c.account_id, "it has a deposit"),
    (ledger_transaction.c.account_id, "it stands in the books"),
    (mandate.c.account_id, "it has a direct debit mandate, given to its legal entity in its currency"),
)
"""What an account has once it was used, and how that is said."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one account. `anchor` is a day of the month, `payment_days` the time to pay.

    `parent`: the account that this one is shown under. It is no payer: each account has bills of its own.
    """

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
    parent: str | None = None

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
    """Open an account and return its id (`A-10001`). Raises AccountNotUsable, TimeZoneUnknown.

    What people typed goes through `require_known` as well.
    """
    _require_usable(f"of {customer_ref}", currency, anchor, payment_days, change_day)
    zone(timezone)
    if parent is not None:
        above = _others(conn, [parent]).get(parent)
        _require_parent(f"of {customer_ref}", parent, above, currency, legal_entity)
    account_id = f"A-{10_000 + numbers.take(conn, 'account')}"
    values = {
        "id": account_id, "customer_ref": customer_ref, "currency": currency, "timezone": timezone,
        "anchor": anchor, "legal_entity": legal_entity, "tax_profile": tax_profile,
        "dunning_policy": dunning_policy, "payment_days": payment_days, "change_day": change_day,
        "parent_id": parent, "opened_at": clock.now(),
    }  # fmt: skip
    conn.execute(sa.insert(account).values(**values))
    return account_id


def change(
    conn: Connection, account_id: str, *, actor: str, entities: Collection[str] = (), **terms: Any
) -> Account:
    """Set some terms of an account (names of `Account`), which is locked; event `account.changed` with old and new.

    Saying what is so already changes nothing. `entities`: the legal entities that trunkline.yaml has.
    FREE terms count for what is billed or dunned from now on; documents never change. Raises AccountUnknown,
    AccountNotUsable, TimeZoneUnknown, and AccountTermsFixed for FIXED ones once anything was billed or booked.
    """
    wanted = terms.get("parent") or get(conn, account_id).parent
    held = _others(conn, [account_id, *([wanted] if wanted else [])])
    owner = held.get(account_id) or get(conn, account_id)
    new = msgspec.structs.replace(owner, **terms)
    told = sorted(name for name in terms if getattr(new, name) != getattr(owner, name))
    if not told:
        return owner
    require_known(conn, account_id, entities, {name: getattr(new, name) for name in told})
    _require_usable(account_id, new.currency, new.anchor, new.payment_days, new.change_day)
    if fixed := [name for name in FIXED if name in told]:
        _require_unused(conn, owner, fixed)
        if new.parent is not None:
            above = held.get(new.parent) or _others(conn, [new.parent]).get(new.parent)
            _require_parent(account_id, new.parent, above, new.currency, new.legal_entity)
    columns = {_column(name): getattr(new, name) for name in told}
    conn.execute(sa.update(account).where(account.c.id == account_id).values(**columns))
    before, after = ({name: getattr(one, name) for name in told} for one in (owner, new))
    events.emit(conn, "account.changed", account_id, {"old": before, "new": after}, actor=actor)
    return new


def require_known(conn: Connection, whose: str, entities: Collection[str], terms: dict[str, Any]) -> None:
    """Whether what these terms name is there: currency, time zone, legal entity, tax profile, dunning policy.

    `entities`: those of trunkline.yaml; without any each name is one. Raises AccountNotUsable, TimeZoneUnknown.
    """
    if (currency := terms.get("currency")) is not None and currency not in CURRENCIES:
        raise AccountNotUsable(whose, f"'{currency}' is no currency of ISO 4217; write one such as AUD")
    if (timezone := terms.get("timezone")) is not None and timezone not in _zones():
        raise TimeZoneUnknown(timezone)
    entity = terms.get("legal_entity", MAIN)
    if entity != MAIN and (entity not in entities if entities else not _ENTITY.fullmatch(entity)):
        there = f"trunkline.yaml has {', '.join([MAIN, *sorted({*entities} - {MAIN})])} under entities"
        why = there if entities else "write letters, digits and hyphens, at most 32"
        raise AccountNotUsable(whose, f"there is no legal entity '{entity}': {why}")
    profile = terms.get("tax_profile", "default")
    if profile not in ("default", EXEMPT) and not _has_rates(conn, profile):
        raise AccountNotUsable(
            whose,
            f"tax profile '{profile}' has no rates; set one with 'trunkline billing tax gst 10% --profile NAME'",
        )
    policy = terms.get("dunning_policy", "default")
    stored = sa.select(dunning_policy.c.name).where(dunning_policy.c.name == policy)
    if policy != "default" and conn.execute(stored).first() is None:
        raise AccountNotUsable(
            whose,
            f"there is no dunning policy '{policy}'; 'trunkline billing dunning policy NAME --file FILE' sets one",
        )


def in_the_way(conn: Connection, account_id: str) -> list[str]:
    """Why the FIXED terms of an account cannot change any more, as clauses; empty while they can."""
    return [
        why
        for column, why in _IN_THE_WAY
        if conn.execute(sa.select(column).where(column == account_id).limit(1)).first() is not None
    ]


def children(conn: Connection, account_id: str) -> list[Account]:
    """The accounts whose parent it is, by id."""
    query = sa.select(account).where(account.c.parent_id == account_id).order_by(account.c.id)
    return [_from(row, row["id"]) for row in conn.execute(query).mappings()]


def family(conn: Connection, account_id: str) -> "list[Standing]":
    """How an account and its children stand, each on the day where it lives; the account first. All in one currency."""
    from billing import overview  # it asks for accounts

    names = [account_id, *(one.id for one in children(conn, account_id))]
    return [overview.standing(conn, one) for one in names]


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
    return Account(**{name: row[_column(name)] for name in Account.__struct_fields__})


def _column(term: str) -> str:
    return "parent_id" if term == "parent" else term


def _others(conn: Connection, ids: list[str]) -> dict[str, Account]:
    return {one.id: one for one in by_ids(conn, ids)}


@cache
def _zones() -> frozenset[str]:
    return frozenset(
        available_timezones() - {"localtime", "posixrules", "Factory"}
    )  # of this machine, not of IANA


def _has_rates(conn: Connection, profile: str) -> bool:
    rates = sa.select(tax_rate.c.profile).where(tax_rate.c.profile == profile).limit(1)
    engine = sa.select(tax_engine.c.profile).where(tax_engine.c.profile == profile, tax_engine.c.engine != "")
    return any(conn.execute(query).first() is not None for query in (rates, engine))


def _require_unused(conn: Connection, owner: Account, terms: list[str]) -> None:
    """Nothing was billed or booked, and no child relies on the terms. Raises AccountTermsFixed."""
    why = in_the_way(conn, owner.id)
    below = children(conn, owner.id) if {"currency", "legal_entity", "parent"} & {*terms} else []
    if below:
        why.append(f"it is the parent of {', '.join(one.id for one in below[:5])}")
    if why:
        raise AccountTermsFixed(owner.id, owner.customer_ref, [name.replace("_", " ") for name in terms], why)


def _require_parent(child: str, parent: str, above: Account | None, currency: str, entity: str) -> None:
    if above is None:
        raise AccountNotUsable(
            child,
            f"there is no account '{parent}' to be its parent; 'trunkline customer list' shows the accounts",
        )
    if parent == child:
        raise AccountNotUsable(child, "it cannot be its own parent; name another account, or none")
    if above.parent is not None:
        raise AccountNotUsable(
            child, f"{parent} is a child of {above.parent} itself; take that as the parent"
        )
    if (above.currency, above.legal_entity) != (currency, entity):
        raise AccountNotUsable(
            child,
            f"its parent {parent} is kept in {above.currency} by {above.legal_entity}, it would be in {currency} by "
            f"{entity}; both must be the same",
        )


def _require_usable(ref: str, currency: str, anchor: int, payment_days: int, change_day: str) -> None:
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise AccountNotUsable(ref, f"currency '{currency}' is no ISO 4217 code such as AUD")
    if not 1 <= anchor <= 31:
        raise AccountNotUsable(ref, f"anchor day {anchor} is no day of a month; choose 1 to 31")
    if not 0 <= payment_days <= MOST_DAYS:
        raise AccountNotUsable(ref, f"payment within {payment_days} days cannot be; choose 0 to {MOST_DAYS}")
    if change_day not in CHANGE_DAYS:
        raise AccountNotUsable(ref, f"change day '{change_day}' is neither new nor old; choose one of them")
