"""What can go wrong with a price change."""

from datetime import date

from core.errors import Terminal


class PlanUnknown(Terminal):
    """No such plan in the catalogue, or one without prices that come again."""

    def __init__(self, plan: str) -> None:
        super().__init__(f"plan {plan} is not in the catalogue, or has no price that comes again")


class VersionUnsaid(Terminal):
    """No version was named, and none is in the operator's currency."""

    def __init__(self, plan: str, currency: str, known: list[str]) -> None:
        super().__init__(
            f"plan {plan} has no price in {currency}, the operator's currency; name the version: {', '.join(known)}"
        )


class NoticeTooShort(Terminal):
    """A price change earlier than it may be told."""

    def __init__(self, plan: str, on: date, days: int, earliest: date) -> None:
        if days:
            why = f"plan {plan} promises {days} days of notice, so the earliest day is {earliest}"
        else:
            why = f"that day has passed; the earliest is {earliest}"
        super().__init__(f"prices cannot change on {on}: {why}")
