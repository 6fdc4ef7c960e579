"""Price versions that subscriptions have pinned and the catalogue has no more: what they say of usage is not known, so
it is neither billed nor taken back, and a person is told.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date

import msgspec
from sqlalchemy.engine import Connection

from billing.periods import Period
from billing.subscriptions import Item
from billing.timeline import Terms, segments
from core import events

EVENT = "billing.price-lost"
_NAMED = 3


class Lost(msgspec.Struct, frozen=True, order=True):
    """A price version, and the services whose usage nobody can rate without it."""

    plan: str
    version: str
    services: tuple[str, ...]

    def __str__(self) -> str:
        more = ", …" if len(self.services) > _NAMED else ""
        named = f"{', '.join(self.services[:_NAMED])}{more}; {len(self.services)} in all"
        return (
            f"price version {self.version} of plan {self.plan} is not in the catalogue any more; the usage of whoever "
            f"has it ({named}) is neither rated nor taken back; put the version back into the plan's file"
        )


def found(items: Iterable[Item], days: Period, knows: Callable[[Terms], bool]) -> Iterator[tuple[str, Terms]]:
    """Services that have a version that nobody `knows` in some of the days, with its terms."""
    for item in items:
        for one in segments(item.events):
            if days.clip(one.start, one.end) is not None and not knows(one.terms):
                yield item.service, one.terms


def tell(conn: Connection, lost: Iterable[Lost], on: date) -> None:
    """Raise the alarm, once a day for each version."""
    for one in lost:
        told = {"on": str(on), "why": str(one), "services": len(one.services)}
        unique = f"{EVENT}:{one.plan}:{one.version}:{on}"
        events.emit(conn, EVENT, f"{one.plan}/{one.version}", told, actor="billing", unique=unique)
