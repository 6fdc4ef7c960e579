"""What a quantity costs: per unit, by begun packages, graduated, by volume. Pure, and exact until the last step.

Quantities are integers of the meter's base unit: bytes, seconds, sessions. A cost is a Fraction of minor units; it is
rounded half-up once, for the whole line (pin 4).
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import msgspec

from core.money import Money, digits, half_up
from intents.plan.usage import DEFAULT_PER, quantity


class Tier(msgspec.Struct, frozen=True):
    """Up to `upto` of the base unit (None: the rest) each `per` costs `price` minor units (a Fraction: "0.0125")."""

    upto: int | None
    price: Fraction


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A usage price. `included` costs nothing in a whole month; `cap` in minor units."""

    meter: str
    model: str
    per: int
    tiers: tuple[Tier, ...]
    included: int = 0
    rolls: int = 0
    shared: bool = False
    cap: int | None = None


class Step(msgspec.Struct, frozen=True):
    """A part of a cost: `units` (of `per`) at `price` each."""

    units: Fraction
    price: Fraction

    @property
    def cost(self) -> Fraction:
        """In minor units."""
        return self.units * self.price


def rule_of(usage: Any, currency: str) -> Rule:
    """The rule of a plan's usage price (`intents.plan.schema.Usage`), which was checked when it was written."""
    scale = 10 ** digits(currency)
    tiers = [Tier(_quantity(usage, tier.upto), Fraction(str(tier.price)) * scale) for tier in usage.tiers]
    if not tiers:
        tiers = [Tier(None, Fraction(str(usage.price)) * scale)]
    cap = None if usage.cap is None else Money.parse(str(usage.cap), currency).minor
    return Rule(
        meter=usage.meter, model=usage.model, per=_quantity(usage, usage.per or DEFAULT_PER[usage.meter]) or 1,
        tiers=tuple(tiers), included=_quantity(usage, usage.included) or 0, rolls=usage.rolls,
        shared=usage.shared, cap=cap,
    )  # fmt: skip


def steps(rule: Rule, over: int) -> list[Step]:
    """What `over` (beyond what is included) costs, part by part; nothing for nothing."""
    if over <= 0:
        return []
    if rule.model == "graduated":
        return list(_graduated(rule, over))
    units = Fraction(over, rule.per)
    if rule.model == "package":
        return [Step(Fraction(-(-over // rule.per)), rule.tiers[0].price)]
    if rule.model == "volume":
        return [
            Step(units, next(tier.price for tier in rule.tiers if tier.upto is None or over <= tier.upto))
        ]
    return [Step(units, rule.tiers[0].price)]


def cost(rule: Rule, over: int, currency: str) -> Money:
    """The whole cost, rounded once, at most the cap."""
    minor = half_up(sum((step.cost for step in steps(rule, over)), Fraction(0)))
    return Money(minor if rule.cap is None else min(minor, rule.cap), currency)


def _graduated(rule: Rule, over: int) -> Iterator[Step]:
    below = 0
    for tier in rule.tiers:
        top = over if tier.upto is None else min(over, tier.upto)
        if top > below:
            yield Step(Fraction(top - below, rule.per), tier.price)
        below = max(below, top)


def _quantity(usage: Any, text: str | None) -> int | None:
    return None if text is None else quantity(usage.meter, str(text))
