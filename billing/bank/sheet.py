"""A bank's CSV by a mapping of its columns. Such a file has no identity: files may overlap, each line counts once.

The mapping is TOML: `delimiter`, `decimal`, `dates` (as strftime), `encoding`, `skip` (lines before the heading),
`account` (our IBAN), `currency`, and `[columns]`: date, amount (or credit and debit), text, and where the bank has them
name, iban, end-to-end, mandate, reference, reason, balance.
"""

import csv
import io
import tomllib
from datetime import date, datetime

import msgspec

from billing.bank.checks import compact
from billing.bank.errors import StatementNotReadable
from billing.bank.statement import Line, Statement
from core import days
from core.money import AmountNotReadable, Money


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a bank writes its CSV; `columns`: what we call it -> the bank's heading."""

    account: str
    columns: dict[str, str]
    currency: str = "EUR"
    delimiter: str = ";"
    decimal: str = ","
    dates: str = "%d.%m.%Y"
    encoding: str = "utf-8-sig"
    skip: int = 0


_COLUMNS = ("date", "amount", "credit", "debit", "text", "name", "iban", "end-to-end", "mandate", "reference", "reason",
            "balance")  # fmt: skip


def mapping_of(raw: bytes, path: str) -> Mapping:
    """A mapping from its file. Raises StatementNotReadable."""
    try:
        found = msgspec.convert(tomllib.loads(raw.decode()), Mapping)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise StatementNotReadable(path, 1, f"no mapping of columns: {error}") from error
    if unknown := sorted(set(found.columns) - set(_COLUMNS)):
        raise StatementNotReadable(path, 1, f"'{unknown[0]}' is no column of ours; use {', '.join(_COLUMNS)}")
    if "date" not in found.columns or not {"amount", "credit", "debit"} & set(found.columns):
        raise StatementNotReadable(
            path, 1, "a mapping needs the columns 'date' and 'amount' (or 'credit' and 'debit')"
        )
    if len(found.delimiter) != 1 or found.decimal not in (",", "."):
        raise StatementNotReadable(path, 1, "'delimiter' is one character, 'decimal' is a comma or a point")
    return found


def read(raw: bytes, path: str, mapping: Mapping) -> Statement:
    """The statement of a CSV file. Raises StatementNotReadable with the line."""
    try:
        text = raw.decode(mapping.encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise StatementNotReadable(
            path, 1, f"it is not written in {mapping.encoding}; see 'encoding'"
        ) from error
    rest = "".join(text.splitlines(keepends=True)[mapping.skip :])
    rows = csv.DictReader(io.StringIO(rest, newline=""), delimiter=mapping.delimiter, strict=True)
    missing = sorted(set(mapping.columns.values()) - set(rows.fieldnames or ()))
    if missing:
        raise StatementNotReadable(
            path, mapping.skip + 1, f"it has no column '{missing[0]}'; see the mapping"
        )
    lines: list[Line] = []
    try:
        for row in rows:
            if any(row.get(name) for name in mapping.columns.values()):
                lines.append(_Row(path, mapping.skip + rows.line_num, mapping, row).line(str(len(lines) + 1)))
    except csv.Error as error:
        raise StatementNotReadable(path, mapping.skip + rows.line_num, str(error)) from error
    if not lines:
        raise StatementNotReadable(path, mapping.skip + 1, "it has no lines")
    account, last = compact(mapping.account), max(line.booked_on for line in lines)
    made = Statement(
        account=account, id="csv", number=None, currency=mapping.currency, opening=None, closing=None,
        closed_on=last, lines=tuple(lines), overlaps=True,
    )  # fmt: skip
    return msgspec.structs.replace(made, id=f"csv-{made.digest()[:16]}")


class _Row:
    def __init__(self, path: str, number: int, mapping: Mapping, row: dict[str, str | None]) -> None:
        self.path, self.number, self.mapping, self.row = path, number, mapping, row

    def line(self, place: str) -> Line:
        reference = self._said("reference")
        return Line(
            place=place, booked_on=self._day(), amount=self._amount(), currency=self.mapping.currency,
            end_to_end=self._said("end-to-end"), mandate=self._said("mandate"), text=self._said("text"),
            name=self._said("name"), iban=compact(self._said("iban")), reason=self._said("reason"),
            references=(reference,) if reference else (), bank_reference=self._said("balance"),
        )  # fmt: skip

    def _said(self, name: str) -> str:
        heading = self.mapping.columns.get(name)
        text = (self.row.get(heading) or "").strip() if heading else ""
        if "\0" in text:
            raise self._wrong(f"'{heading}' has a NUL character; take it out")
        return text

    def _day(self) -> date:
        text = self._said("date")
        try:
            day = datetime.strptime(text, self.mapping.dates).date()  # noqa: DTZ007 (a day without a time)
        except ValueError as error:
            raise self._wrong(f"'{text[:30]}' is no date like {self.mapping.dates}") from error
        if why := days.why_not(day):
            raise self._wrong(why)
        return day

    def _amount(self) -> int:
        if text := self._said("amount"):
            return self._minor(text)
        came, went = self._said("credit"), self._said("debit")
        return (abs(self._minor(came)) if came else 0) - (abs(self._minor(went)) if went else 0)

    def _minor(self, text: str) -> int:
        thousands = "." if self.mapping.decimal == "," else ","
        plain = text.replace(thousands, "").replace("\u00a0", "").replace(" ", "").replace("'", "")
        try:
            return Money.parse(plain.replace(self.mapping.decimal, "."), self.mapping.currency).minor
        except AmountNotReadable as error:
            raise self._wrong(str(error)) from error

    def _wrong(self, why: str) -> StatementNotReadable:
        return StatementNotReadable(self.path, self.number, why)
