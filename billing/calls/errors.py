"""What can be wrong with calls, decks and numbers."""

from core.errors import Terminal


class ColumnsMissing(Terminal):
    """A file without the columns that it needs."""

    def __init__(self, path: str, missing: list[str], there: list[str]) -> None:
        super().__init__(
            f"{path}:1:1: no column for {', '.join(missing)}; the file has {', '.join(there) or 'no heading'}; "
            f"name them: --columns {missing[0]}=NAME"
        )


class DeckNotUsable(Terminal):
    """A line of a rate deck that cannot be meant."""

    def __init__(self, path: str, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}:1: {why}; nothing was loaded")


class NumberNotUsable(Terminal):
    """Not E.164."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"'{text}' is no telephone number: digits with + and country, or national with --country"
        )


class NumberTaken(Terminal):
    """A number is somebody else's."""

    def __init__(self, number: str, service: str) -> None:
        super().__init__(
            f"+{number} is {service}'s; end that first: trunkline billing number end {number} --on DATE"
        )
