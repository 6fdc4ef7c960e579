"""A bank statement as every format is read: balances, and a line for each payment in or out. Amounts in minor units."""

import hashlib
from datetime import date

import msgspec


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One payment. `amount`: positive came in. `place`: where in the statement, `3` or `3.2` of a batch.

    `reason`: the code of a return (AC04, AM04, MD06). `references`: structured ones. `iban`, `name`: the other side's.
    """

    place: str
    booked_on: date
    amount: int
    currency: str
    reversal: bool = False
    end_to_end: str = ""
    mandate: str = ""
    payment_info: str = ""
    bank_reference: str = ""
    references: tuple[str, ...] = ()
    text: str = ""
    name: str = ""
    iban: str = ""
    reason: str = ""


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """`account`: our IBAN. `opening` and `closing` are None where the file does not say. `overlaps`: no identity of
    its own (CSV); its lines are told apart by their content, so that files may overlap.
    """

    account: str
    id: str
    number: int | None
    currency: str
    opening: int | None
    closing: int | None
    closed_on: date
    lines: tuple[Line, ...]
    overlaps: bool = False

    def digest(self) -> str:
        """SHA-256 of all that it says."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    def keys(self) -> list[str]:
        """What tells each line from all others, of all statements."""
        if not self.overlaps:
            place = f"{self.account}|{self.id}|{self.closed_on}"
            return [_hash(f"{place}|{line.place}") for line in self.lines]
        seen: dict[str, int] = {}
        keys = []
        for line in self.lines:
            content = msgspec.json.encode(msgspec.structs.replace(line, place="")).decode()
            seen[content] = seen.get(content, 0) + 1
            keys.append(_hash(f"{self.account}|{content}|{seen[content]}"))
        return keys


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
