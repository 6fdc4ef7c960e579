"""What can go wrong with deposits."""

from core.errors import Terminal


class DepositUnknown(Terminal):
    """No such deposit."""

    def __init__(self, deposit: str) -> None:
        super().__init__(f"there is no deposit '{deposit}'; 'trunkline billing deposit list' shows them")


class DepositNotUsable(Terminal):
    """A deposit that cannot be taken, applied or returned."""

    def __init__(self, deposit: str, why: str) -> None:
        super().__init__(f"deposit {deposit}: {why}")
