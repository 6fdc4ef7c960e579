"""The catalogue: price versions read from plan intents. A subscription pins one; nothing here is stored."""

from datetime import date
from fractions import Fraction
from typing import Any

import msgspec

from billing.errors import PriceMissing, PriceVersionUnknown
from billing.periods import MONTHS
from billing.timeline import RECURRING, Contract, Terms
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
    found = [_version(plan, intent, price, currency) for price in prices]
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


def fee_on(reader: Reader, plan: str, on: date, currency: str) -> PriceVersion:
    """What is paid once for a plan on a date (`every: once`). Raises PriceMissing."""
    intent = reader.get("plan", plan)
    once = () if intent is None else [price for price in intent.prices if price.every == "once"]
    begun = [price for price in once if price.from_ <= on]
    if not begun:
        raise PriceMissing(plan, on)
    return _version(plan, intent, max(begun, key=lambda price: price.from_), currency)


def _version(plan: str, intent: Any, price: Any, currency: str) -> PriceVersion:
    terms = Terms(
        plan, price.id, Money.parse(str(price.amount), currency), MONTHS.get(price.every, 1), price.tax or "",
        _money(price.setup, currency), "rental" if intent.type == "rental" else RECURRING,
        arrears=price.bill == "arrears", minimum=_money(price.minimum, currency),
        contract=_contract(intent.contract, currency),
    )  # fmt: skip
    return PriceVersion(plan, price.id, price.from_, terms)


def _contract(intent: Any, currency: str) -> Contract | None:
    if intent is None:
        return None
    return Contract(
        months=intent.months, fee=_money(intent.fee, currency), each=_money(intent.each_month, currency),
        share=millionths(intent.share), renew=intent.renew,
    )  # fmt: skip


def millionths(percent: float | None) -> int:
    """A percentage as it is written, exactly: 12.5 is 125000."""
    return 0 if percent is None else int(Fraction(str(percent)) * 10_000)


def _money(amount: Any, currency: str) -> Money | None:
    return None if amount is None else Money.parse(str(amount), currency)
