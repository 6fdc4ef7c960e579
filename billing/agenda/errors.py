"""What can go wrong with what was agreed for a service."""

from core.errors import Retryable, Terminal


class AgendaEntryUnknown(Terminal):
    """No such entry."""

    def __init__(self, entry: str) -> None:
        super().__init__(f"nothing was agreed as '{entry}'; 'trunkline billing agenda' lists what waits")


class NotAgreeable(Terminal):
    """Something that cannot be agreed for a service."""

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"service {service}: {why}")


class NotYet(Retryable):
    """Its day has not begun where the account lives."""

    def __init__(self, entry: str, day: object) -> None:
        super().__init__(f"agenda entry {entry} is for {day}, which has not begun where its account lives")
