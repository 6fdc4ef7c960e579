"""A customer with everything that belongs to them, as API and console show it."""

from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from api.amounts import amount
from api.here import Installed
from billing import accounts, overview
from core import clock
from core.money import Money
from crm import customers, orders
from intents.reader import Reader


def customer(here: Installed, conn: Connection, name: str) -> dict[str, Any]:
    """Who they are, places, accounts with their standing, orders. Raises CustomerUnknown."""
    found: dict[str, Any] = msgspec.to_builtins(customers.get(conn, here.context.key, name))
    theirs = accounts.of_customer(conn, name)
    return found | {
        "locations": customers.locations(conn, here.context.key, name),
        "accounts": [account(conn, one.id) for one in theirs],
        "orders": [order(one) for one in orders.of_customer(conn, name)],
    }


def account(conn: Connection, name: str) -> dict[str, Any]:
    """A billing account and how it stands. Raises AccountUnknown."""
    return _standing(overview.standing(conn, name))


def family(conn: Connection, name: str) -> dict[str, Any]:
    """How an account stands, each of its children, and all of them together. Raises AccountUnknown."""
    stand = accounts.family(conn, name)
    sums = {
        what: Money(sum(getattr(one, what).minor for one in stand), stand[0].open.currency)
        for what in ("open", "overdue", "credit")
    }
    return {
        "standing": _standing(stand[0]), "children": [_standing(one) for one in stand[1:]],
        "together": {what: amount(money) for what, money in sums.items()},
    }  # fmt: skip


def _standing(stands: overview.Standing) -> dict[str, Any]:
    return {
        "id": stands.account, "stage": stands.stage, "held": list(stands.held), "asked": stands.asked,
        "overridden": list(stands.overridden),
        "overdue": amount(stands.overdue), "open": amount(stands.open), "credit": amount(stands.credit),
    }  # fmt: skip


def order(one: orders.Order) -> dict[str, Any]:
    """An order, without what its service authenticates with."""
    shown: dict[str, Any] = msgspec.to_builtins(one)
    shown["terms"] |= {"price": amount(one.terms.price)}
    return {key: value for key, value in shown.items() if key != "options"}


def today(reader: Reader) -> Any:
    """The date where the operator is."""
    config = reader.get("config", "trunkline")
    return clock.today(config.operator.timezone if config else "UTC")
