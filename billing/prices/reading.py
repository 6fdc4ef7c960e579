"""Accounts with a plan, chunk by chunk, with all their items."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import catalog, subscriptions
from billing.catalog import PriceVersion
from billing.models import subscription, subscription_event, subscription_item
from billing.offers.whole import by_account
from billing.prices.errors import PlanUnknown
from billing.runs import ranges
from billing.runs.ranges import Range
from billing.subscriptions import Item
from core import clock
from core.db import Database
from intents.reader import Reader


def having(plan: str, within: Range = ranges.EVERYBODY) -> "sa.Select[Any]":
    """Ids of accounts that ever had a plan, each once."""
    said = subscription_event.c.terms.cast(sa.Text).contains(f'"plan":"{plan}"', autoescape=True)
    joined = subscription.join(subscription_item).join(subscription_event)
    query = sa.select(subscription.c.account_id).select_from(joined)
    return query.where(said, within.holds(subscription.c.account_id)).distinct()


def chunks(database: Database, plan: str, size: int) -> tuple[int, list[Range]]:
    """How many accounts there are to look at, and ranges of them."""
    with database.read() as conn:
        return ranges.cut(conn, having(plan), size)


def items_of(conn: Connection, accounts: list[str]) -> Iterator[tuple[str, list[Item]]]:
    """Every item of these accounts, account by account."""
    chosen = ranges.among(conn, subscription.c.account_id, accounts)
    yield from sorted(by_account(subscriptions.items(conn, chosen)).items())


def version_of(reader: Reader, plan: str, version: str | None) -> PriceVersion:
    """A price version in the operator's currency; None: the plan's last. Raises PlanUnknown, PriceVersionUnknown."""
    config: Any = reader.get("config", "trunkline")
    currency = config.operator.currency if config else "XXX"
    found = catalog.price_versions(reader, plan, currency)
    if not found:
        raise PlanUnknown(plan)
    return catalog.price_version(reader, plan, version, currency) if version else found[-1]


def today(reader: Reader) -> date:
    """The date where the operator is."""
    config: Any = reader.get("config", "trunkline")
    return clock.today(config.operator.timezone if config else "UTC")
