"""Limit: one recorded reason why a service gets something else than its plan says. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Effect = Literal["throttle", "walled-garden", "block", "rate", "release", "credit", "full", "voucher"]
"""throttle, walled-garden, block: as of a hold · rate: instead of the plan's · release: nothing restricts ·
credit: a prepaid service has something left · full: as many sessions as may be · voucher: it is one.
"""

FAIR_USE, PREPAID, FULL, OVERRIDE, VOUCHER = "fair-use", "prepaid", "full", "override", "voucher"
PLAN = "plan:"
"""Before a plan's id: the limit is the slot of its schedule, and the cause is the time zone."""
OPERATOR = "operator"
"""Instead of a time zone: the operator's, where a site does not say its own."""
BEHIND, AT_DOOR = "behind", "door"
"""The sides of a radio line's AP on which a service may be full; one without an AP has all its sessions behind."""
VOUCHER_ID = "voucher-"
"""How the id of a voucher begins, where a service's would stand."""


class Limit(msgspec.Struct, frozen=True, array_like=True):
    """A row of `service_limit`. Rates in bit/s (0: none), `until` in epoch seconds (0: open)."""

    service: str
    cause: str
    effect: Effect
    down: int = 0
    up: int = 0
    until: int = 0
    data: dict[str, Any] = {}


class Limits(msgspec.Struct, frozen=True):
    """The limits that a compilation may ask for, by service (and `plan:<id>`)."""

    known: Mapping[str, tuple[Limit, ...]] = {}

    def of(self, service: str) -> tuple[Limit, ...]:
        """A service's limits, by cause."""
        return self.known.get(service, ())

    def one(self, service: str, cause: str) -> Limit | None:
        """The limit of this cause."""
        return next((limit for limit in self.of(service) if limit.cause == cause), None)

    def slot(self, plan: str, zone: str) -> Limit | None:
        """The slot of the plan's schedule that is open in this time zone; "": the operator's."""
        return self.one(PLAN + plan, zone or OPERATOR)


NONE = Limits()


def full_sides(full: Mapping[str, Any]) -> tuple[str, ...]:
    """BEHIND, AT_DOOR or both: where a service is full, by the data of its limit `full`."""
    return tuple(full.get("sides", (BEHIND,)))


def live_places(full: Mapping[str, Any]) -> tuple[bytes, ...]:
    """The circuit-ids and MACs of its sessions, by the same."""
    return tuple(bytes.fromhex(place) for place in full.get("live", ()))


def packed(limit: Limit) -> bytes:
    """The limit's bytes: the same limit gives the same ones."""
    return msgspec.msgpack.encode(limit, order="deterministic")
