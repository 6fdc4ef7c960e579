"""What can go wrong with bank files: the file, the line, and what to do."""

from datetime import date

from core.errors import Terminal


class StatementNotReadable(Terminal):
    """A file is no statement that we read; nothing of it was kept."""

    status = 422

    def __init__(self, path: str, line: int, why: str) -> None:
        super().__init__(f"{path}:{line}: {why}")


class StatementWrong(Terminal):
    """A statement that contradicts itself, or one that was imported; nothing of it was kept."""

    def __init__(self, path: str, statement: str, why: str) -> None:
        super().__init__(f"{path}: statement {statement}: {why}")


class IbanWrong(Terminal):
    """No IBAN."""

    def __init__(self, text: str) -> None:
        shown = f"{text[:4]}…" if len(text) > 4 else text
        super().__init__(f"'{shown}' is no IBAN: its length or its check digits are wrong; copy it once more")


class CreditorNotUsable(Terminal):
    """What banks know us by is missing or wrong."""

    def __init__(self, legal_entity: str, why: str) -> None:
        super().__init__(
            f"legal entity {legal_entity} cannot collect: {why}; see 'trunkline billing bank creditor'"
        )


class MandateNotUsable(Terminal):
    """A mandate that cannot be."""

    def __init__(self, mandate: str, why: str) -> None:
        super().__init__(f"mandate {mandate}: {why}")


class TooLate(Terminal):
    """The bank would not have the file in time."""

    def __init__(self, on: date, earliest: date) -> None:
        super().__init__(f"the bank cannot collect on {on} any more; the earliest day is {earliest}")


class EntryUnknown(Terminal):
    """No such line of a statement."""

    def __init__(self, entry: str) -> None:
        super().__init__(f"there is no bank entry '{entry}'; 'trunkline billing bank unmatched' lists them")


class BatchUnknown(Terminal):
    """No batch of direct debits of that id."""

    status = 404

    def __init__(self, batch: str) -> None:
        super().__init__(f"no batch of direct debits is called '{batch[:40]}'")


class NotAssignable(Terminal):
    """A line that cannot be assigned."""

    def __init__(self, entry: str, why: str) -> None:
        super().__init__(f"bank entry {entry} cannot be assigned: {why}")


class DataKeyNeeded(Terminal):
    """IBANs are sealed, and there is no data key."""

    def __init__(self) -> None:
        super().__init__(
            "bank details are kept sealed and there is no data key; make one with 'trunkline secret init'"
        )
