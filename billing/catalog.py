"""The catalogue: price versions read from plan intents. A subscription pins one; nothing here is stored.

A version is in one currency, and only accounts kept in that currency are sold it: nothing is ever converted.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

import msgspec

from billing.errors import ContractCurrencyOther, PriceCurrencyOther, PriceMissing, PriceVersionUnknown
from billing.periods import MONTHS
from billing.timeline import RECURRING, Contract, Terms
from core.money import Money
from intents.plan.kind import contract_of, has_amounts, prices_in
from intents.plan.schema import Plan, Price
from intents.reader import Reader


class PriceVersion(msgspec.Struct, frozen=True):
    """A plan's price from a date on, in one currency."""

    plan: str
    version: str
    valid_from: date
    terms: Terms


NO_CURRENCY = "XXX"
"""ISO 4217's code for that."""


def operator_currency(reader: Reader, unsaid: str = NO_CURRENCY) -> str:
    """The operator's currency, in which a price is that says none; `unsaid` where there is no trunkline.yaml."""
    config = reader.get("config", "trunkline")
    return unsaid if config is None else str(config.operator.currency)


def every_version(reader: Reader, plan: str) -> list[PriceVersion]:
    """Every recurring price version of a plan in whatever currency, oldest first; an unknown plan has none.

    Raises ContractCurrencyOther.
    """
    intent = reader.get("plan", plan)
    return _versions(plan, intent, () if intent is None else intent.prices, operator_currency(reader))


def price_versions(reader: Reader, plan: str, currency: str) -> list[PriceVersion]:
    """Every recurring price version of a plan in a currency, oldest first; an unknown plan has none.

    Raises ContractCurrencyOther.
    """
    intent, operator = reader.get("plan", plan), operator_currency(reader, currency)
    return _versions(plan, intent, () if intent is None else prices_in(intent, currency, operator), operator)


def prices_said(reader: Reader, plan: str, currency: str) -> list[Price]:
    """A plan's prices in a currency as its file says them; an unknown plan has none."""
    intent = reader.get("plan", plan)
    return [] if intent is None else prices_in(intent, currency, operator_currency(reader, currency))


def price_on(reader: Reader, plan: str, on: date, currency: str) -> PriceVersion:
    """The version in force on a date: the latest in the currency that has started.

    Raises PriceMissing, ContractCurrencyOther.
    """
    started = [version for version in price_versions(reader, plan, currency) if version.valid_from <= on]
    if not started:
        raise PriceMissing(plan, on, currency)
    return started[-1]


def price_version(reader: Reader, plan: str, version: str, currency: str) -> PriceVersion:
    """A version by its id, in a currency. Raises PriceVersionUnknown, PriceCurrencyOther, ContractCurrencyOther."""
    if (found := named(price_versions(reader, plan, currency), version)) is not None:
        return found
    if (other := named(every_version(reader, plan), version)) is not None:
        raise PriceCurrencyOther(plan, version, other.terms.price.currency, currency)
    raise PriceVersionUnknown(plan, version)


def named(versions: Sequence[PriceVersion], version: str | None) -> PriceVersion | None:
    """The version with an id."""
    return next((one for one in versions if one.version == version), None)


def fee_on(reader: Reader, plan: str, on: date, currency: str) -> PriceVersion:
    """What is paid once for a plan on a date (`every: once`), in a currency. Raises PriceMissing."""
    begun = [
        price for price in prices_said(reader, plan, currency) if price.every == "once" and price.from_ <= on
    ]
    if not begun:
        raise PriceMissing(plan, on, currency)
    last = max(begun, key=lambda price: price.from_)
    return _version(plan, reader.get("plan", plan), last, operator_currency(reader, currency))


def _versions(plan: str, intent: Plan, prices: Iterable[Price], operator: str) -> list[PriceVersion]:
    found = [_version(plan, intent, price, operator) for price in prices if price.every in MONTHS]
    return sorted(found, key=lambda version: version.valid_from)


def _version(plan: str, intent: Plan, price: Price, operator: str) -> PriceVersion:
    currency = price.currency or operator
    terms = Terms(
        plan, price.id, Money.parse(str(price.amount), currency), MONTHS.get(price.every, 1), price.tax or "",
        _money(price.setup, currency), "rental" if intent.type == "rental" else RECURRING,
        arrears=price.bill == "arrears", minimum=_money(price.minimum, currency),
        contract=_contract(plan, intent, price, operator),
    )  # fmt: skip
    return PriceVersion(plan, price.id, price.from_, terms)


def _contract(plan: str, intent: Plan, price: Price, operator: str) -> Contract | None:
    said, currency = contract_of(intent, price), price.currency or operator
    if said is None:
        return None
    if price.contract is None and currency != operator and has_amounts(said):
        raise ContractCurrencyOther(plan, price.id, operator, currency)
    return Contract(
        months=said.months, fee=_money(said.fee, currency), each=_money(said.each_month, currency),
        share=millionths(said.share), renew=said.renew,
    )  # fmt: skip


def millionths(percent: float | None) -> int:
    """A percentage as it is written, exactly: 12.5 is 125000."""
    return 0 if percent is None else int(Fraction(str(percent)) * 10_000)


def _money(amount: Any, currency: str) -> Money | None:
    return None if amount is None else Money.parse(str(amount), currency)
