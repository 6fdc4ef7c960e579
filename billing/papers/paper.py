"""A document as it is shown, whatever the form: read from final rows, so that it is the same at any time."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.bank.checks import reference_of
from billing.papers.parties import Party, Seller
from billing.papers.phrases import said
from billing.tax import rate_text
from core.money import Money

Row = Mapping[str, Any]
Reason = tuple[str, str]
"""(UNTDID 5305, why), of what is not taxed."""
STANDARD = "S"
EXEMPT = "E"
_UNSAID = "Not subject to tax"


class PaperLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line. `amount` as listed, `net` without tax; `last` is the last day that it is for."""

    position: int
    description: str
    service: str
    first: date | None
    last: date | None
    amount: Money
    net: Money
    code: str
    millionths: int


class PaperTax(msgspec.Struct, frozen=True, kw_only=True):
    """A subtotal. `code`: UNTDID 5305; `reason`: why there is no tax."""

    category: str
    code: str
    millionths: int
    base: Money
    tax: Money
    reason: str = ""

    @property
    def rate(self) -> str:
        """ "10%"."""
        return rate_text(self.millionths)


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or a credit note. Amounts of a credit note are what the customer gets, so positive."""

    kind: str
    number: str
    issued_on: date
    due_on: date | None
    currency: str
    account: str
    entity: str
    seller: Seller
    buyer: Party
    lines: tuple[PaperLine, ...]
    taxes: tuple[PaperTax, ...]
    net: Money
    tax: Money
    total: Money
    inclusive: bool
    credits: tuple[str, ...] = ()

    @property
    def is_credit(self) -> bool:
        """Whether it is a credit note."""
        return self.kind == "credit-note"

    @property
    def reference(self) -> str:
        """What a transfer is to name (ISO 11649); the number itself where it is too long for that."""
        return reference_of(self.number) or self.number

    @property
    def period(self) -> tuple[date, date] | None:
        """From the first to the last day that its lines are for."""
        firsts = [line.first for line in self.lines if line.first]
        lasts = [line.last for line in self.lines if line.last]
        return (min(firsts), max(lasts)) if firsts and lasts else None


def of_rows(
    row: Row,
    lines: Iterable[Row],
    taxes: Iterable[Row],
    seller: Seller,
    buyer: Party,
    credits: Iterable[str] = (),
    reasons: Mapping[str, Reason] | None = None,
) -> Paper:
    """The paper of rows of `invoice`, `invoice_line` and `invoice_tax`. Pure.

    `reasons`: why the account's own categories are not taxed, before what the seller says of them.
    """
    untaxed = {**{name: (note.code, note.reason) for name, note in seller.tax.items()}, **(reasons or {})}
    sign = -1 if row["kind"] == "credit-note" else 1

    def money(minor: int) -> Money:
        return Money(sign * minor, row["currency"])

    told, subtotals = list(lines), list(taxes)
    return Paper(
        kind=row["kind"], number=row["number"], issued_on=row["issued_on"],
        due_on=None if sign < 0 else row["due_on"], currency=row["currency"], account=row["account_id"],
        entity=row["legal_entity"],
        seller=seller, buyer=buyer, net=money(row["net"]), tax=money(row["tax"]), total=money(row["total"]),
        lines=tuple(_line(line, untaxed, money, seller.language) for line in told),
        taxes=tuple(_tax(one, untaxed, money) for one in subtotals),
        inclusive=any(one["inclusive"] for one in subtotals), credits=tuple(credits),
    )  # fmt: skip


def code_of(untaxed: Mapping[str, Reason], category: str, millionths: int) -> tuple[str, str]:
    """How a rate is called, and why there is no tax: S where there is some, else what is said of its category."""
    if millionths:
        return STANDARD, ""
    return untaxed.get(category, (EXEMPT, _UNSAID))


def _line(row: Row, untaxed: Mapping[str, Reason], money: Any, language: str) -> PaperLine:
    first, end = row["period_start"], row["period_end"]
    return PaperLine(
        position=row["position"], description=said(row["description"], language, first, end),
        service=row["service"] or "",
        first=first, last=end - timedelta(days=1) if end else None, amount=money(row["amount"]),
        net=money(row["net"]), code=code_of(untaxed, row["tax_category"], row["tax_millionths"])[0],
        millionths=row["tax_millionths"],
    )  # fmt: skip


def _tax(row: Row, untaxed: Mapping[str, Reason], money: Any) -> PaperTax:
    code, reason = code_of(untaxed, row["category"], row["millionths"])
    return PaperTax(
        category=row["category"], code=code, millionths=row["millionths"], base=money(row["base"]),
        tax=money(row["tax"]), reason=reason,
    )  # fmt: skip
