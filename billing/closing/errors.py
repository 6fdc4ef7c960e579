"""What can go wrong with closing."""

from datetime import date, timedelta

from core.errors import Terminal


class PeriodClosed(Terminal):
    """Something is to be booked on a day that is closed."""

    def __init__(self, entity: str, through: date, on: date) -> None:
        super().__init__(
            f"the books of '{entity}' are closed until {through}: nothing is booked on {on}; book it on "
            f"{through + timedelta(days=1)} or later, or let a named person reopen the period"
        )


class NotClosable(Terminal):
    """A period cannot be closed yet."""

    def __init__(self, entity: str, until: date, why: list[str]) -> None:
        self.why = why
        super().__init__(f"the books of '{entity}' cannot be closed until {until}: {'; '.join(why)}")


class NotReopenable(Terminal):
    """A period cannot be reopened like this."""

    def __init__(self, entity: str, why: str) -> None:
        super().__init__(f"the books of '{entity}' cannot be reopened: {why}")


class EntityUnknown(Terminal):
    """No such legal entity."""

    def __init__(self, entity: str) -> None:
        super().__init__(f"there is no legal entity '{entity}': no billing account belongs to it")


class RecognitionNotUsable(Terminal):
    """Recognition until a day that makes no sense."""

    def __init__(self, until: date, why: str) -> None:
        super().__init__(f"revenue cannot be recognised until {until}: {why}")
