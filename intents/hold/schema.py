"""holds/<aa>/<bb>/<service>.<reason>.yaml: why a service is restricted now; lifting is deleting the file."""

import datetime
from typing import Annotated, Literal

from msgspec import Meta

from intents.plan.schema import RatePair
from intents.structs import Intent

Reference = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}$", description="a reference such as INV-99812, without blanks")
]


class Hold(Intent, frozen=True, kw_only=True):
    """A restriction. Strictest wins: block, walled-garden, throttle. `since` is information; nothing expires."""

    effect: Literal["walled-garden", "block", "throttle"]
    rate: RatePair | None = None
    since: (
        Annotated[datetime.datetime, Meta(tz=True, description="a time with its zone (RFC 3339)")] | None
    ) = None
    cause: Reference | None = None
    batch: Reference | None = None
