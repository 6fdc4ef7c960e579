"""What can go wrong with what goes beside a service."""

from collections.abc import Sequence
from datetime import date

from core.errors import Terminal


class NotForThis(Terminal):
    """A plan or an offer of another type than the command is for."""

    def __init__(self, name: str, found: str | None, wanted: str) -> None:
        what = "is not in the catalogue" if found is None else f"is of type {found}"
        super().__init__(f"{name} {what}; this takes one of type {wanted}")


class PromotionRefused(Terminal):
    """A promotion that cannot be had."""

    status = 422

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"promotion '{code}' cannot be had: {why}")


class NotHad(Terminal):
    """A service has no such add-on or offer."""

    def __init__(self, service: str, label: str, has: Sequence[str]) -> None:
        known = ", ".join(has) or "none"
        super().__init__(f"service {service} has no '{label}'; it has {known}")


class NotActive(Terminal):
    """Something for a service that is not active on the day."""

    def __init__(self, service: str, on: date) -> None:
        super().__init__(f"service {service} is not active on {on}; choose a day on which it is")


class NotInForce(Terminal):
    """An offer before or after the days on which it is given."""

    def __init__(self, offer: str, on: date, since: date | None, until: date | None) -> None:
        days = " ".join(
            text for text in (f"from {since}" if since else "", f"until {until}" if until else "") if text
        )
        super().__init__(f"offer {offer} is not given on {on}: it is given {days}")


class GivenBefore(Terminal):
    """A promotion is given once."""

    def __init__(self, offer: str, service: str, on: date) -> None:
        super().__init__(
            f"service {service} got {offer} on {on}; a promotion is given once, make another offer"
        )


class NotTogether(Terminal):
    """Services that a bundle is not for."""

    def __init__(self, offer: str, why: str) -> None:
        super().__init__(f"bundle {offer} is not for these services: {why}")
