"""What can go wrong with write-offs."""

from core.errors import Terminal


class NotWritable(Terminal):
    """An invoice of which this cannot be written off."""

    def __init__(self, invoice: str, why: str) -> None:
        super().__init__(f"{invoice} cannot be written off: {why}")
