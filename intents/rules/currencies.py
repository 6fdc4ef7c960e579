"""Prices of plans in their currencies: one version a day in each, its decimals, its contract's amounts, its deck."""

from collections.abc import Iterator
from typing import NamedTuple

from core.money import AmountNotReadable, Money, digits
from intents.checks import Finding, Scope, check
from intents.kind import Field
from intents.plan.kind import has_amounts
from intents.plan.schema import Contract, Plan, Price
from intents.reader import Reader

_CONFIG = ("config", "trunkline")


class _Deck(NamedTuple):
    """A price version that bills calls: where it stands, by which deck, in which currency."""

    plan: str
    number: int
    version: str
    deck: str
    currency: str


@check("currencies")
def currencies(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """What each plan shows by itself, once the operator's currency is known."""
    if (operator := _operator(reader)) is None:
        return
    for name, plan in _wide(scope).of(reader, "plan"):
        yield from _days(name, plan, operator)
        yield from _contracts(name, plan, operator)
        yield from _decimals(name, plan, operator)


@check("decks")
def decks(reader: Reader, scope: Scope) -> Iterator[Finding]:
    """A deck says no currency: its prices are read in that of the price version, so all that name it have one."""
    operator, wide = _operator(reader), _wide(scope)
    if operator is None:
        return
    mine = [one for name, plan in wide.of(reader, "plan") for one in _named(name, plan, operator)]
    every = [one for name, plan in reader.all("plan") for one in _named(name, plan, operator)] if mine else []
    for one in mine:
        against = [
            other for other in every
            if other.deck == one.deck and other.currency != one.currency and _is_told_at(wide, one, other)
        ]  # fmt: skip
        if against:
            yield _clash(one, against[0])


def _operator(reader: Reader) -> str | None:
    config = reader.get(*_CONFIG)
    return None if config is None else str(config.operator.currency)


def _wide(scope: Scope) -> Scope:
    """All plans where trunkline.yaml changed, which names the currency of a price that says none."""
    return Scope() if scope.changed is not None and _CONFIG in scope.changed else scope


def _days(name: str, plan: Plan, operator: str) -> Iterator[Finding]:
    """A price without a currency beside one that says the operator's; that of two alike the file itself shows."""
    said = {price.from_: index for index, price in enumerate(plan.prices) if price.currency == operator}
    for index, price in enumerate(plan.prices):
        if price.currency is None and price.from_ in said:
            place: Field = ("prices", max(index, said[price.from_]), "from")
            told = f"two price versions have from {price.from_} in {operator}, the operator's currency"
            yield Finding("plan.price-twice", "plan", name, place, told)


def _contracts(name: str, plan: Plan, operator: str) -> Iterator[Finding]:
    """What leaving costs is never converted."""
    if plan.contract is None or not has_amounts(plan.contract):
        return
    key = "fee" if plan.contract.fee is not None else "each-month"
    for index, price in enumerate(plan.prices):
        currency = price.currency or operator
        if currency != operator and price.every != "once" and price.contract is None:
            told = f"`{key}` of the contract is in {operator}, this price in {currency}"
            hint = f"say `contract` in this price version too, with its `{key}` in {currency}"
            yield Finding("plan.contract", "plan", name, ("prices", index, "currency"), told, hint)


def _decimals(name: str, plan: Plan, operator: str) -> Iterator[Finding]:
    """What is billed as it stands; the price of a unit of usage may be finer, it is rounded in the sum."""
    found = [(operator, one) for one in _of_contract(("contract",), plan.contract)]
    for index, price in enumerate(plan.prices):
        found += [(price.currency or operator, one) for one in _of_price(("prices", index), price)]
    for currency, (place, amount) in found:
        try:
            Money.parse(amount, currency)
        except AmountNotReadable:
            many = digits(currency) or "none"
            told = f"`{place[-1]}` {amount} has more decimals than {currency}, which has {many}"
            yield Finding("plan.decimals", "plan", name, place, told)


def _of_price(place: Field, price: Price) -> Iterator[tuple[Field, str]]:
    for key in ("amount", "setup", "minimum"):
        if (value := getattr(price, key)) is not None:
            yield (*place, key), value
    for number, one in enumerate(price.usage):
        if one.cap is not None:
            yield (*place, "usage", number, "cap"), one.cap
    yield from _of_contract((*place, "contract"), price.contract)


def _of_contract(place: Field, contract: Contract | None) -> Iterator[tuple[Field, str]]:
    for key in ("fee", "each_month"):
        if contract is not None and (value := getattr(contract, key)) is not None:
            yield (*place, key.replace("_", "-")), value


def _named(name: str, plan: Plan, operator: str) -> Iterator[_Deck]:
    for index, price in enumerate(plan.prices):
        if price.calls is not None:
            yield _Deck(name, index, price.id, price.calls.deck, price.currency or operator)


def _is_told_at(scope: Scope, one: _Deck, other: _Deck) -> bool:
    """Once: at the later version of a plan, at the plan that changed, or else at the later one."""
    if one.plan == other.plan:
        return one.number > other.number
    return scope.reported_at(("plan", one.plan), ("plan", other.plan))


def _clash(one: _Deck, other: _Deck) -> Finding:
    told = (
        f"deck {one.deck} is in {other.currency} by price version {other.version} of plan {other.plan}, and this "
        f"price is in {one.currency}"
    )
    hint = f"load a deck of its own with the prices in {one.currency}, and name that"
    others = () if one.plan == other.plan else (("plan", other.plan),)
    place: Field = ("prices", one.number, "calls", "deck")
    return Finding("plan.deck", "plan", one.plan, place, told, hint, others=others)
