"""Plans as a kind, which price version is valid on a day, and what currency its amounts are of."""

import datetime
from collections.abc import Iterator

from intents.kind import Complaint, Field, Kind, far_off
from intents.plan import usage
from intents.plan.schema import Contract, Plan, Price


def has_begun(plan: Plan, day: datetime.date) -> bool:
    """Whether a price version is valid on a day, in whatever currency."""
    return any(price.from_ <= day for price in plan.prices)


def prices_in(plan: Plan, currency: str, operator: str) -> list[Price]:
    """The price versions in a currency, as they are written; one that says none is in the operator's."""
    return [price for price in plan.prices if (price.currency or operator) == currency]


def contract_of(plan: Plan, price: Price) -> Contract | None:
    """What a price version binds to: its own contract, or else the plan's."""
    return plan.contract if price.contract is None else price.contract


def has_amounts(contract: Contract) -> bool:
    """Whether a contract is of a currency: a share of the price is of none."""
    return contract.fee is not None or contract.each_month is not None


BESIDE = ("addon", "rental", "fee")
"""Types that are sold beside a service, and are none."""
_NETWORK = ("rate", "fair_use", "prepaid", "schedule")


def complaints(plan: Plan) -> Iterator[Complaint]:
    """A rate where there must be one, price versions that can be told apart, and terms that go together."""
    yield from _beside(plan)
    yield from _contract(plan.contract, ("contract",))
    for index, price in enumerate(plan.prices):
        yield from far_off(("prices", index, "from"), price.from_)
        yield from _price(plan, index, price)
        yield from _contract(price.contract, ("prices", index, "contract"))
    if plan.type == "internet" and plan.rate is None:
        yield Complaint("plan.rate", ("type",), "an internet plan needs `rate`")
    yield from _twice(plan)


def _twice(plan: Plan) -> Iterator[Complaint]:
    """Ids are a plan's own, days are those of a currency."""
    ids: set[str] = set()
    days: set[tuple[str | None, datetime.date]] = set()
    for index, price in enumerate(plan.prices):
        if price.id in ids:
            yield Complaint(
                "plan.price-twice", ("prices", index, "id"), f"two price versions have id {price.id}"
            )
        if (price.currency, price.from_) in days:
            told = f"two price versions have from {price.from_}" + (
                f" in {price.currency}" if price.currency else ""
            )
            yield Complaint("plan.price-twice", ("prices", index, "from"), told)
        ids.add(price.id)
        days.add((price.currency, price.from_))


def _beside(plan: Plan) -> Iterator[Complaint]:
    """What is no service has no rate, and a fee is paid once."""
    if plan.type not in BESIDE:
        return
    for name in _NETWORK:
        if getattr(plan, name):
            key = name.replace("_", "-")
            yield Complaint(
                "plan.beside", (key,), f"`{key}` is for services; a plan of `type: {plan.type}` is none"
            )
    given: list[tuple[Field, Contract | None]] = [(("contract",), plan.contract)]
    given += [(("prices", index, "contract"), one.contract) for index, one in enumerate(plan.prices)]
    for place, contract in given:
        if contract is not None:
            yield Complaint("plan.beside", place, "a contract is the service's: put it on the service's plan")


def _contract(contract: Contract | None, place: Field) -> Iterator[Complaint]:
    """Leaving costs one thing, and more than nothing."""
    if contract is None:
        return
    given = [name for name in ("fee", "each_month", "share") if getattr(contract, name) is not None]
    if len(given) != 1:
        yield Complaint(
            "plan.contract",
            place,
            "a contract needs one of `fee`, `each-month` and `share`, and only one",
        )
    for name in given:
        value = getattr(contract, name)
        if (value <= 0) if name == "share" else _is_negative(value):
            key = name.replace("_", "-")
            yield Complaint(
                "plan.contract", (*place, key), f"`{key}` cannot be {value}: leaving costs something"
            )


def _price(plan: Plan, index: int, price: Price) -> Iterator[Complaint]:
    place = ("prices", index)
    yield from usage.complaints(plan, index, price)
    if plan.type == "fee" and price.every != "once":
        yield Complaint("plan.beside", (*place, "every"), "a fee is paid once: write `every: once`")
    if price.every == "once" and (price.bill == "arrears" or price.minimum or price.setup or price.contract):
        given = [key for key in ("minimum", "setup", "contract") if getattr(price, key)]
        key = "bill" if price.bill == "arrears" else given[0]
        yield Complaint(
            "plan.price", (*place, key), f"`{key}` is for a price that comes again, not for `every: once`"
        )
    elif price.minimum is not None and (price.every != "month" or plan.type in BESIDE):
        yield Complaint(
            "plan.price", (*place, "minimum"), "`minimum` is for a service's price of `every: month`"
        )
    for key in ("setup", "minimum"):
        if (value := getattr(price, key)) is not None and _is_negative(value):
            yield Complaint("plan.price", (*place, key), f"`{key}` cannot be below nothing, as {value} is")


def _is_negative(amount: str) -> bool:
    return amount.startswith("-")


KIND = Kind(
    name="plan", struct=Plan, pattern="catalog/plans/{id}.yaml", plural="plans", complaints=complaints
)
