"""Accounts with a plan, chunk by chunk, with all their items."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import catalog, subscriptions
from billing.catalog import PriceVersion
from billing.errors import PriceCurrencyOther, PriceVersionUnknown
from billing.models import subscription, subscription_event, subscription_item
from billing.offers.whole import by_account
from billing.prices.deciding import Change
from billing.prices.errors import PlanUnknown, VersionUnsaid
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


def change_of(
    reader: Reader, plan: str, version: str | None, on: date, *, old: str | None, in_term: bool
) -> Change:
    """The change to a version (None: the plan's last in the operator's currency) from a day on, of those at `old`
    (None: at any other in its currency). Raises PlanUnknown, PriceVersionUnknown, VersionUnsaid, PriceCurrencyOther.
    """
    found = catalog.every_version(reader, plan)
    if not found:
        raise PlanUnknown(plan)
    chosen = catalog.named(found, version) if version is not None else _last(reader, plan, found)
    if chosen is None:
        raise PriceVersionUnknown(plan, str(version))
    was, currency = catalog.named(found, old), chosen.terms.price.currency
    if was is not None and was.terms.price.currency != currency:
        raise PriceCurrencyOther(plan, was.version, was.terms.price.currency, currency)
    return Change(terms=chosen.terms, on=on, old=old, in_term=in_term)


def _last(reader: Reader, plan: str, found: Sequence[PriceVersion]) -> PriceVersion:
    operator = catalog.operator_currency(reader)
    ours = [one for one in found if one.terms.price.currency == operator]
    if not ours:
        raise VersionUnsaid(plan, operator, [one.version for one in found])
    return ours[-1]


def today(reader: Reader) -> date:
    """The date where the operator is."""
    config: Any = reader.get("config", "trunkline")
    return clock.today(config.operator.timezone if config else "UTC")
