"""The catalogue: price versions read from plan intents. A subscription pins one; nothing here is stored."""

from datetime import date
from typing import Any

import msgspec

from billing.errors import PriceMissing, PriceVersionUnknown
from billing.periods import MONTHS
from billing.timeline import Terms
from core.money import Money
from intents.reader import Reader


class PriceVersion(msgspec.Struct, frozen=True):
    """A plan's price from a date on."""

    plan: str
    version: str
    valid_from: date
    terms: Terms


def price_versions(reader: Reader, plan: str, currency: str) -> list[PriceVersion]:
    """Every recurring price version of a plan, oldest first; an unknown plan has none."""
    intent = reader.get("plan", plan)
    prices = () if intent is None else [price for price in intent.prices if price.every in MONTHS]
    found = [_version(plan, price, currency) for price in prices]
    return sorted(found, key=lambda version: version.valid_from)


def price_on(reader: Reader, plan: str, on: date, currency: str) -> PriceVersion:
    """The version in force on a date: the latest that has started. Raises PriceMissing."""
    started = [version for version in price_versions(reader, plan, currency) if version.valid_from <= on]
    if not started:
        raise PriceMissing(plan, on)
    return started[-1]


def price_version(reader: Reader, plan: str, version: str, currency: str) -> PriceVersion:
    """A version by its id. Raises PriceVersionUnknown."""
    for found in price_versions(reader, plan, currency):
        if found.version == version:
            return found
    raise PriceVersionUnknown(plan, version)


def _version(plan: str, price: Any, currency: str) -> PriceVersion:
    amount = Money.parse(str(price.amount), currency)
    setup = None if price.setup is None else Money.parse(str(price.setup), currency)
    terms = Terms(plan, price.id, amount, MONTHS[price.every], price.tax or "", setup)
    return PriceVersion(plan, price.id, price.from_, terms)
