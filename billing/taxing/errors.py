"""What can be wrong with exemptions, surcharges and tax engines."""

from datetime import date

from core.errors import Retryable, Terminal


class ExemptionNotUsable(Terminal):
    """An exemption makes no sense."""

    def __init__(self, account: str, why: str) -> None:
        super().__init__(f"exemption of {account}: {why}")


class SurchargeNotUsable(Terminal):
    """A surcharge makes no sense."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"surcharge '{name}': {why}")


class EngineNotUsable(Terminal):
    """A tax engine is unknown, or its settings are no good."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"tax engine '{name}': {why}")


class EngineSilent(Retryable):
    """A tax engine gave no answer that can be used; it is asked again."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"tax engine '{name}' did not answer: {why}")


class AnswerMissing(Terminal):
    """A bill waits for a tax engine: the account is parked, and the next run after the answer bills it."""

    def __init__(self, engine: str, category: str, on: date) -> None:
        self.category = category
        super().__init__(
            f"tax engine '{engine}' has not said its rate for '{category}' on {on} yet; a job asks it: run again"
        )
