"""catalog/offers/<id>.yaml: promotions take something off for a while, bundles while all of them are had."""

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from intents.scalars import Amount, Id, Line, Percent
from intents.structs import Intent


class Offer(Intent, frozen=True, kw_only=True):
    """Something off: `percent` of the price, or an `amount` a month. It is given `from` a day, `until` before one.

    A `promotion` lasts `months` (none: for ever), takes off at most `cap` in all, of `plans` (none: the service's).
    A `bundle` is for services that have all its `plans`, and ends when one leaves.

    A promotion that comes with an order is named by its `code`, or its id. At most `limit` may redeem it in all, one
    customer `per_customer` times; `new_customers`: who had no service before. One that is not `combinable` is alone.
    """

    type: Literal["promotion", "bundle"]
    name: Line | None = None
    plans: tuple[Id, ...] = ()
    percent: Percent | None = None
    amount: Amount | None = None
    months: Annotated[int, Meta(ge=1, le=600, description="months, 1 to 600")] | None = None
    cap: Amount | None = None
    from_: datetime.date | None = msgspec.field(name="from", default=None)
    until: datetime.date | None = None
    code: (
        Annotated[str, Meta(pattern=r"^[A-Z0-9][A-Z0-9-]{2,31}$", description="a code such as SPRING-26")]
        | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=10_000_000, description="how many may redeem it")] | None = None
    per_customer: Annotated[int, Meta(ge=1, le=100, description="how often one customer may")] | None = None
    new_customers: bool = False
    combinable: bool = True
