"""One account's bill: charges in, lines and totals out. Pure; `billrun` stores it, `explain` tells it.

Listed prices stand on the lines; where a rate is inclusive they contain the tax. `total` is always the exact sum of
the tax subtotals' bases and taxes (invariant 15).
"""

from collections.abc import Iterable
from fractions import Fraction

import msgspec

from billing.charges import Charge
from billing.periods import Period
from billing.tax import Rate, Taxable, TaxLine, nets, tax_lines
from billing.timeline import SETUP, TERMINATION, Slice
from core.money import Money


class Bounds(msgspec.Struct, frozen=True):
    """What is odd: more lines than this, or a total this many times what one would expect (pin 7)."""

    lines: int = 200
    factor: int = 10


BOUNDS = Bounds()


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line; `amount` as listed, negative where something is taken back. `kind`: billing.kinds.

    What it bills is a charge (an interval of an item) or a billable; what it credits is (invoice, position).
    """

    description: str
    amount: Money
    rate: Rate
    kind: str
    service: str | None = None
    period: Period | None = None
    charge: str | None = None
    billable: str | None = None
    credits: tuple[str, int] | None = None


class Bill(msgspec.Struct, frozen=True):
    """A bill: its lines and its tax subtotals. `before`: what was credited of the same invoice earlier."""

    lines: tuple[Line, ...]
    taxes: tuple[TaxLine, ...]
    currency: str
    before: tuple[Line, ...] = ()

    @property
    def nets(self) -> list[Money]:
        """Each line without tax; they add up to `net`."""
        return nets([_taxable(line) for line in (*self.before, *self.lines)])[len(self.before) :]

    @property
    def net(self) -> Money:
        """Without tax."""
        return Money(sum(tax.base.minor for tax in self.taxes), self.currency)

    @property
    def tax(self) -> Money:
        """The tax."""
        return Money(sum(tax.tax.minor for tax in self.taxes), self.currency)

    @property
    def total(self) -> Money:
        """What is to be paid; negative for a credit note."""
        return self.net + self.tax


def make(lines: Iterable[Line], currency: str, before: Iterable[Line] = ()) -> Bill:
    """A bill of lines, with its tax subtotals.

    Of a credit note they are what the tax of all that is credited grows by, so that the last one carries the residue
    and all together are the invoice's (invariant 18).
    """
    found, earlier = tuple(lines), tuple(before)
    taken = {tax.rate: tax for tax in tax_lines(_taxable(line) for line in earlier)}
    whole = tax_lines(_taxable(line) for line in (*earlier, *found))
    mine = {line.rate for line in found}
    return Bill(
        found, tuple(_more(tax, taken.get(tax.rate)) for tax in whole if tax.rate in mine), currency, earlier
    )


def line_of(posted: Charge, name: str, service: str) -> Line:
    """The line of a charge for a service; `name` is what the customer knows it by."""
    amount = -posted.slice.amount if posted.is_reversal else posted.slice.amount
    return Line(
        description=describe(posted.slice, name, posted.is_reversal), amount=amount, rate=posted.rate,
        kind=posted.slice.kind, service=service, period=posted.slice.part, charge=posted.id,
    )  # fmt: skip


def oddity(bill: Bill, last: int, expected: int, bounds: Bounds) -> str:
    """Why a person should look at it first; empty when nothing is odd. `last`, `expected` in minor units."""
    if len(bill.lines) > bounds.lines:
        return f"{len(bill.lines)} lines on one bill, more than {bounds.lines}"
    usual = max(last, expected)
    if usual and abs(bill.total.minor) > bounds.factor * usual:
        return f"a total of {bill.total}, more than {bounds.factor} times the usual {Money(usual, bill.currency)}"
    return ""


def describe(part: Slice, name: str, taken_back: bool = False) -> str:
    """A line's text: what, from when to when, how much of the period."""
    if part.kind == SETUP:
        text = f"{name}: set-up on {part.part.start}"
    elif part.kind == TERMINATION:
        text = f"{name}: early termination on {part.part.start}"
    else:
        share = Fraction(part.part.days, part.period.days)
        days = "" if share == 1 else f", {part.part.days} of {part.period.days} days"
        text = f"{name}: {part.part.start} to {part.part.end} (exclusive){days}"
    return f"taken back: {text}" if taken_back else text


def _more(tax: TaxLine, before: TaxLine | None) -> TaxLine:
    return tax if before is None else TaxLine(tax.rate, tax.base - before.base, tax.tax - before.tax)


def _taxable(line: Line) -> Taxable:
    return Taxable(line.amount, line.rate)
