"""Usage prices of a plan: quantities as text, and whether tiers make sense."""

import re
from collections.abc import Iterator

from intents.kind import Complaint, Field
from intents.plan.schema import Plan, Price, Usage

_DATA = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_TIME = {"s": 1, "m": 60, "h": 3600, "d": 86400}
UNITS = {"bytes": _DATA, "down": _DATA, "up": _DATA, "seconds": _TIME, "sessions": {"": 1}}
DEFAULT_PER = {"bytes": "1G", "down": "1G", "up": "1G", "seconds": "1m", "sessions": "1"}
_EXPECTS = {"seconds": "a time such as 60s, 90m or 12h", "sessions": "a number such as 30"}
_WRITTEN = re.compile(r"([0-9]{1,15})([A-Za-z]?)")


def quantity(meter: str, text: str) -> int:
    """Bytes, seconds or sessions from `200G`, `90m`, `30`. Raises ValueError."""
    found = _WRITTEN.fullmatch(text)
    if found is None or found[2] not in UNITS[meter]:
        raise ValueError(f"'{text}' is not {_EXPECTS.get(meter, 'a volume such as 500M or 200G')}")
    return int(found[1]) * UNITS[meter][found[2]]


def complaints(plan: Plan, index: int, price: Price) -> Iterator[Complaint]:
    """What is wrong with the usage prices of a price version."""
    for number, one in enumerate(price.usage):
        place = ("prices", index, "usage", number)
        if price.every != "month" or plan.type in ("addon", "rental", "fee"):
            yield Complaint(
                "plan.usage", place, "usage is billed by the month: it needs a service's `every: month`"
            )
        yield from _quantities(place, one)
        yield from _prices(place, one)
    yield from call_complaints(index, price)


def call_complaints(index: int, price: Price) -> Iterator[Complaint]:
    """What is wrong with how a price version bills calls."""
    if price.calls is None:
        return
    place = ("prices", index, "calls")
    if price.every != "month":
        yield Complaint("plan.usage", place, "calls are billed by the month: they need `every: month`")
    if price.calls.included is not None:
        try:
            quantity("seconds", price.calls.included)
        except ValueError as error:
            yield Complaint("plan.usage", (*place, "included"), str(error))
    elif price.calls.to:
        yield Complaint(
            "plan.usage", (*place, "to"), "`to` says for which numbers talk is `included`; nothing is"
        )


def _quantities(place: Field, one: Usage) -> Iterator[Complaint]:
    given = [(("per",), one.per), (("included",), one.included)]
    given += [(("tiers", number, "upto"), tier.upto) for number, tier in enumerate(one.tiers)]  # type: ignore[misc]
    last = 0
    for where, text in given:
        if text is None:
            continue
        try:
            found = quantity(one.meter, text)
        except ValueError as error:
            yield Complaint("plan.usage", (*place, *where), str(error))
            continue
        if where == ("per",) and found == 0:
            yield Complaint("plan.usage", (*place, *where), "nothing is priced per nothing")
        if where[0] == "tiers":
            if found <= last:
                yield Complaint(
                    "plan.usage", (*place, *where), "tiers go up: each `upto` is above the one before it"
                )
            last = found


def _prices(place: Field, one: Usage) -> Iterator[Complaint]:
    tiered = one.model in ("graduated", "volume")
    if tiered and (one.price is not None or not one.tiers):
        yield Complaint(
            "plan.usage", (*place, "model"), f"`model: {one.model}` needs `tiers`, and no `price`"
        )
    if not tiered and (one.price is None or one.tiers):
        yield Complaint(
            "plan.usage", (*place, "model"), f"`model: {one.model}` needs a `price`, and no `tiers`"
        )
    open_ended = [number for number, tier in enumerate(one.tiers) if tier.upto is None]
    if one.tiers and open_ended != [len(one.tiers) - 1]:
        yield Complaint("plan.usage", (*place, "tiers"), "the last tier, and only it, goes on without `upto`")
    amounts = [("price", one.price), ("cap", one.cap)]
    amounts += [("tiers", tier.price) for tier in one.tiers]
    for key, amount in amounts:
        if amount is not None and amount.startswith("-"):
            yield Complaint("plan.usage", (*place, key), f"`{key}` cannot be below nothing, as {amount} is")
    if one.rolls and one.included is None:
        yield Complaint("plan.usage", (*place, "rolls"), "nothing is `included` that could be left over")
