"""Plans as a kind, and which price version is valid on a day."""

import datetime
from collections.abc import Iterator

from intents.kind import Complaint, Kind
from intents.plan.schema import Plan, Price


def price_on(plan: Plan, day: datetime.date) -> Price | None:
    """The price version that is valid on a day: the latest that began; None before the first."""
    begun = [price for price in plan.prices if price.from_ <= day]
    return max(begun, key=lambda price: price.from_, default=None)


def complaints(plan: Plan) -> Iterator[Complaint]:
    """A rate where there must be one, and price versions that can be told apart."""
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


KIND = Kind(
    name="plan", struct=Plan, pattern="catalog/plans/{id}.yaml", plural="plans", complaints=complaints
)
