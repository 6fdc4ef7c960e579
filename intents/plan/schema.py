"""catalog/plans/<id>.yaml: speeds, fair use, and price versions with the day from which they are valid."""

import datetime
from typing import Literal

import msgspec

from intents.scalars import Amount, Id, Line, Rate, TimeOfDay, Volume
from intents.structs import Intent

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class RatePair(Intent, frozen=True, kw_only=True):
    """bit/s from the subscriber's point of view."""

    down: Rate
    up: Rate


class FairUse(Intent, frozen=True, kw_only=True):
    """After `quota` in a period the rate becomes `then`."""

    quota: Volume
    count: Literal["total", "down", "up"] = "total"
    period: Literal["billing", "month", "week", "day"] = "billing"
    then: RatePair


class Prepaid(Intent, frozen=True, kw_only=True):
    """Nothing without credit: what is left is recorded, and what a service without any gets is said here."""

    exhausted: Literal["walled-garden", "block"] = "walled-garden"


class Slot(Intent, frozen=True, kw_only=True):
    """Another rate in a part of the day, in site time."""

    days: Literal["all", "workdays", "weekend"] | tuple[Weekday, ...] = "all"
    from_: TimeOfDay = msgspec.field(name="from")
    to: TimeOfDay
    rate: RatePair


class Price(Intent, frozen=True, kw_only=True):
    """A price version: valid from a day on, until the next version's day."""

    id: Id
    from_: datetime.date = msgspec.field(name="from")
    amount: Amount
    every: Literal["month", "quarter", "year", "once"] = "month"
    setup: Amount | None = None
    tax: Id | None = None


class Plan(Intent, frozen=True, kw_only=True):
    """What is sold."""

    type: Literal["internet", "voice", "iptv", "l3", "l2"]
    name: Line | None = None
    rate: RatePair | None = None
    fair_use: FairUse | None = None
    prepaid: Prepaid | None = None
    schedule: tuple[Slot, ...] = ()
    prices: tuple[Price, ...] = ()
