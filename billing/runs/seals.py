"""The seal of a final document: SHA-256 of everything that it says, in a text that Python and SQL write alike.

Each value stands as its length, a colon and itself (`5:Fibre`), nothing as `-`: no two contents have one text. What is
sealed says with which version; a document keeps the seal that it was given.
"""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import msgspec

VERSION = 2
HEADER = (
    "id", "account_id", "kind", "legal_entity", "number", "billed_on", "issued_on", "due_on", "currency", "net", "tax",
    "total",
)  # fmt: skip
LINE = (
    "position", "charge_id", "billable_id", "kind", "service", "period_start", "period_end", "description", "amount",
    "net", "tax_category", "tax_millionths", "tax_inclusive", "credits_invoice", "credits_position",
)  # fmt: skip
TAX = ("category", "millionths", "inclusive", "base", "tax")
_HEADER_1 = ("id", "account_id", "kind", "number", "issued_on", "due_on", "currency")
_LINE_1 = (
    "invoice_id", "position", "charge_id", "description", "amount", "tax_category", "tax_millionths",
    "tax_inclusive",
)  # fmt: skip
_TAX_1 = ("invoice_id", "category", "millionths", "inclusive", "base", "tax")
Row = Mapping[str, Any]


def seal(version: int, document: Row, lines: Iterable[Row], taxes: Iterable[Row]) -> str:
    """The seal of a document with its lines and taxes in order, as rows of their tables."""
    if version == 1:
        return _first(document, lines, taxes)
    text = "".join(
        (
            _text(document, HEADER),
            *(f"|{_text(line, LINE)}" for line in lines),
            *(f"%{_text(tax, TAX)}" for tax in sorted(taxes, key=lambda tax: [tax[name] for name in TAX])),
        )
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _text(row: Row, names: Iterable[str]) -> str:
    return "".join([_field(row[name]) for name in names])


def _field(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "1:1" if value else "1:0"
    text = value.isoformat() if isinstance(value, date) else str(value)
    return f"{len(text)}:{text}"


def _first(document: Row, lines: Iterable[Row], taxes: Iterable[Row]) -> str:
    """What documents were sealed with before lines had a kind, days and a net."""
    said = {name: document[name] for name in _HEADER_1}
    totals = [document["net"], document["tax"], document["total"]]
    told = [{name: line[name] for name in _LINE_1} for line in lines]
    subtotals = [{name: tax[name] for name in _TAX_1} for tax in taxes]
    return hashlib.sha256(msgspec.json.encode([said, totals, told, subtotals])).hexdigest()
