"""What can go wrong with collecting."""

from datetime import date

from core.errors import Terminal


class InstalmentsNotUsable(Terminal):
    """Instalments of a promise that do not add up."""

    def __init__(self, account: str, why: str) -> None:
        super().__init__(f"account {account} cannot promise that: {why}")


class HardshipNotUsable(Terminal):
    """A hardship exemption that makes no sense."""

    def __init__(self, account: str, why: str) -> None:
        super().__init__(f"account {account} cannot be exempted: {why}")


class HardshipEnded(HardshipNotUsable):
    """An exemption until a day that has passed."""

    def __init__(self, account: str, until: date) -> None:
        super().__init__(account, f"{until} has passed; name a day to come")
