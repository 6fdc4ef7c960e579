"""Plans as a kind, and which price version is valid on a day."""

import datetime
from collections.abc import Iterator

from intents.kind import Complaint, Kind
from intents.plan import usage
from intents.plan.schema import Plan, Price


def price_on(plan: Plan, day: datetime.date) -> Price | None:
    """The price version that is valid on a day: the latest that began; None before the first."""
    begun = [price for price in plan.prices if price.from_ <= day]
    return max(begun, key=lambda price: price.from_, default=None)


BESIDE = ("addon", "rental", "fee")
"""Types that are sold beside a service, and are none."""
_NETWORK = ("rate", "fair_use", "prepaid", "schedule")


def complaints(plan: Plan) -> Iterator[Complaint]:
    """A rate where there must be one, price versions that can be told apart, and terms that go together."""
    yield from _beside(plan)
    yield from _contract(plan)
    for index, price in enumerate(plan.prices):
        yield from _price(plan, index, price)
    if plan.type == "internet" and plan.rate is None:
        yield Complaint("plan.rate", ("type",), "an internet plan needs `rate`")
    for key in ("id", "from_"):
        seen: set[object] = set()
        for index, price in enumerate(plan.prices):
            value = getattr(price, key)
            if value in seen:
                place = ("prices", index, key.strip("_"))
                yield Complaint(
                    "plan.price-twice", place, f"two price versions have {key.strip('_')} {value}"
                )
            seen.add(value)


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
    if plan.contract is not None:
        yield Complaint(
            "plan.beside", ("contract",), "a contract is the service's: put it on the service's plan"
        )


def _contract(plan: Plan) -> Iterator[Complaint]:
    """Leaving costs one thing, and more than nothing."""
    if plan.contract is None:
        return
    given = [name for name in ("fee", "each_month", "share") if getattr(plan.contract, name) is not None]
    if len(given) != 1:
        yield Complaint(
            "plan.contract",
            ("contract",),
            "a contract needs one of `fee`, `each-month` and `share`, and only one",
        )
    for name in given:
        value = getattr(plan.contract, name)
        if (value <= 0) if name == "share" else _is_negative(value):
            key = name.replace("_", "-")
            yield Complaint(
                "plan.contract", ("contract", key), f"`{key}` cannot be {value}: leaving costs something"
            )


def _price(plan: Plan, index: int, price: Price) -> Iterator[Complaint]:
    place = ("prices", index)
    yield from usage.complaints(plan, index, price)
    if plan.type == "fee" and price.every != "once":
        yield Complaint("plan.beside", (*place, "every"), "a fee is paid once: write `every: once`")
    if price.every == "once" and (price.bill == "arrears" or price.minimum or price.setup):
        key = "bill" if price.bill == "arrears" else "minimum" if price.minimum else "setup"
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
