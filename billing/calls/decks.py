"""Rate decks: prices by the longest prefix of the number that was called, from a day on."""

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import catalog
from billing.calls.errors import ColumnsMissing, DeckNotUsable
from billing.calls.models import call_rate
from core import db
from intents.reader import Reader

COLUMNS = ("prefix", "destination", "per_minute")
"""What a deck's file must have; `connection` (0), `first` (1) and `step` (1) may be there."""


class CallRate(msgspec.Struct, frozen=True):
    """A price. `per_minute` and `connection` in major units of the deck's currency (`currency_of`), which is that of
    the accounts it is billed to; `first`, `step` in seconds.
    """

    prefix: str
    destination: str
    per_minute: Fraction
    connection: Fraction
    first: int
    step: int

    def billed(self, seconds: int) -> int:
        """The seconds that are billed: `first` at least, then whole steps; nothing for a call that was not answered."""
        if seconds <= 0:
            return 0
        return self.first + max(0, -(-(seconds - self.first) // self.step)) * self.step

    def cost(self, billed: int) -> Fraction:
        """In major units."""
        return self.connection + self.per_minute * billed / 60 if billed else Fraction(0)


class Deck:
    """A deck's versions: the longest prefix is found by one look-up for each length that there is."""

    def __init__(self, versions: Mapping[date, Mapping[str, CallRate]]) -> None:
        self._versions = [
            (since, rates, sorted({len(prefix) for prefix in rates}, reverse=True))
            for since, rates in sorted(versions.items(), reverse=True)
        ]

    def rate(self, number: str, day: date) -> CallRate | None:
        """The price of a call to a number on a day; None where the deck has none."""
        for since, rates, lengths in self._versions:
            if since <= day:
                return next((rates[number[:n]] for n in lengths if number[:n] in rates), None)
        return None


def load(conn: Connection, name: str, valid_from: date, path: Path) -> int:
    """Load a deck's file as its version from a day on, in place of one from the same day; returns the prefixes.

    Raises ColumnsMissing, DeckNotUsable: then nothing is loaded.
    """
    rows = {rate.prefix: rate for rate in _read(path)}
    same = sa.and_(call_rate.c.deck == name, call_rate.c.valid_from == valid_from)
    conn.execute(sa.delete(call_rate).where(same))
    values = [
        {
            "deck": name, "valid_from": valid_from, "prefix": one.prefix, "destination": one.destination,
            "per_minute": _text(one.per_minute), "connection": _text(one.connection), "first": one.first,
            "step": one.step,
        }
        for one in rows.values()
    ]  # fmt: skip
    db.insert_many(conn, call_rate, values)
    return len(values)


def currency_of(reader: Reader, name: str) -> str | None:
    """The currency of a deck: that of the price versions that name it, which is one; None where none does."""
    operator = catalog.operator_currency(reader)
    prices = (price for _, plan in reader.all("plan") for price in plan.prices if price.calls is not None)
    return next((price.currency or operator for price in prices if price.calls.deck == name), None)


def decks(conn: Connection, names: set[str]) -> dict[str, Deck]:
    """Decks by name; one that is not there prices nothing."""
    found: dict[str, dict[date, dict[str, CallRate]]] = {name: {} for name in names}
    for row in conn.execute(sa.select(call_rate).where(call_rate.c.deck.in_(sorted(names)))):
        one = CallRate(
            row.prefix,
            row.destination,
            Fraction(row.per_minute),
            Fraction(row.connection),
            row.first,
            row.step,
        )
        found[row.deck].setdefault(row.valid_from, {})[row.prefix] = one
    return {name: Deck(versions) for name, versions in found.items()}


def _read(path: Path) -> Iterator[CallRate]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        there = list(reader.fieldnames or ())
        if missing := [name for name in COLUMNS if name not in there]:
            raise ColumnsMissing(str(path), missing, there)
        seen: dict[str, int] = {}
        for row in reader:
            prefix = row["prefix"].strip().removeprefix("+")
            if not prefix.isascii() or not prefix.isdecimal() or len(prefix) > 15:
                raise DeckNotUsable(
                    str(path), reader.line_num, f"prefix '{row['prefix']}' is not digits of E.164"
                )
            if prefix in seen:
                raise DeckNotUsable(
                    str(path), reader.line_num, f"prefix {prefix} stands in line {seen[prefix]} too"
                )
            if "\0" in row["destination"]:
                raise DeckNotUsable(str(path), reader.line_num, "the destination has a NUL character")
            seen[prefix] = reader.line_num
            yield CallRate(
                prefix, row["destination"].strip()[:80], _price(path, reader.line_num, row["per_minute"]),
                _price(path, reader.line_num, row.get("connection") or "0"),
                _seconds(path, reader.line_num, row.get("first") or "1"),
                _seconds(path, reader.line_num, row.get("step") or "1"),
            )  # fmt: skip


def _price(path: Path, line: int, text: str) -> Fraction:
    plain = text.strip()
    whole, _, rest = plain.partition(".")
    if not (plain.isascii() and whole.isdecimal() and (rest.isdecimal() or not rest) and len(plain) <= 24):
        raise DeckNotUsable(str(path), line, f"'{text}' is no price such as 0.0125")
    return Fraction(plain.rstrip("."))


def _seconds(path: Path, line: int, text: str) -> int:
    plain = text.strip()
    if not (plain.isascii() and plain.isdecimal() and 1 <= int(plain) <= 86_400):
        raise DeckNotUsable(str(path), line, f"'{text}' is no number of seconds, 1 to 86400")
    return int(plain)


def _text(value: Fraction) -> str:
    """A decimal number, exactly: prices are read from one."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    scaled = str(int(value * 10**digits)).zfill(digits + 1)
    return f"{scaled[:-digits]}.{scaled[-digits:]}" if digits else scaled
