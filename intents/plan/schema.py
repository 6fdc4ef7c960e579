"""catalog/plans/<id>.yaml: speeds, fair use, a contract, and price versions with the day from which they are valid."""

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from intents.scalars import Amount, Currency, Duration, Id, Line, Percent, Rate, TimeOfDay, Volume
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


class Contract(Intent, frozen=True, kw_only=True):
    """A term, and what leaving within it costs: `fee` once, `each-month` or `share` (percent of the price) for every
    month that is left, begun ones counted. `renew`: months that it goes on by when it ends; 0: it just ends.
    Amounts of a plan's contract are of the operator's currency, those of a price version's are of that one's.
    """

    months: Annotated[int, Meta(ge=1, le=120, description="months, 1 to 120")]
    fee: Amount | None = None
    each_month: Amount | None = None
    share: Percent | None = None
    renew: Annotated[int, Meta(ge=0, le=120, description="months, 0 to 120")] = 0


class UsageTier(Intent, frozen=True, kw_only=True):
    """A price per unit for what lies below `upto` (none: for all the rest)."""

    upto: Line | None = None
    price: Amount


class Usage(Intent, frozen=True, kw_only=True):
    """What of a month's use is billed after it. Quantities are text by meter: `200G`, `90m`, `30`.

    `unit` bills `price` per `per`, parts of it in proportion; `package` each one begun; `graduated` each tier at its
    own price; `volume` everything at the price of the tier that it reaches. `included` costs nothing; what is left of
    it is there for `rolls` months more; `shared`: all services of the account with this price have it together; `cap`
    is the most that a month costs. What throttles instead of costing is `fair-use`.
    """

    meter: Literal["bytes", "down", "up", "seconds", "sessions"]
    model: Literal["unit", "package", "graduated", "volume"] = "unit"
    per: Line | None = None
    price: Amount | None = None
    tiers: tuple[UsageTier, ...] = ()
    included: Line | None = None
    rolls: Annotated[int, Meta(ge=0, le=12, description="months, 0 to 12")] = 0
    shared: bool = False
    cap: Amount | None = None


class Calls(Intent, frozen=True, kw_only=True):
    """Calls are billed by a rate deck, loaded with `trunkline billing deck load`. `included` talk (`300m`) costs
    nothing; with `to` only to numbers that begin so (E.164, without +).
    """

    deck: Id
    included: Line | None = None
    to: tuple[Annotated[str, Meta(pattern=r"^[0-9]{1,15}$", description="digits of E.164")], ...] = ()


class Price(Intent, frozen=True, kw_only=True):
    """A price version: valid from a day on, until the next version's day in its `currency` (left out: the operator's),
    which is that of every amount in it. `bill: arrears` bills a period when it is over; `minimum` is the least that a
    month comes to, usage counted: what is missing is billed after it. `contract` is in place of the plan's.
    """

    id: Id
    from_: datetime.date = msgspec.field(name="from")
    currency: Currency | None = None
    amount: Amount
    every: Literal["month", "quarter", "year", "once"] = "month"
    setup: Amount | None = None
    tax: Id | None = None
    bill: Literal["advance", "arrears"] = "advance"
    minimum: Amount | None = None
    usage: tuple[Usage, ...] = ()
    calls: Calls | None = None
    contract: Contract | None = None


class Plan(Intent, frozen=True, kw_only=True):
    """What is sold: a service, or an `addon` or `rental` to one, or a one-off `fee`. `notice`: how long before a price
    change of those who have it already must be told.
    """

    type: Literal["internet", "voice", "iptv", "l3", "l2", "addon", "rental", "fee"]
    name: Line | None = None
    rate: RatePair | None = None
    fair_use: FairUse | None = None
    prepaid: Prepaid | None = None
    schedule: tuple[Slot, ...] = ()
    prices: tuple[Price, ...] = ()
    contract: Contract | None = None
    notice: Duration | None = None
