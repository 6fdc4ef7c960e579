"""Surcharges: a part or a fixed amount on top of each line of some kinds, as a line of its own beside it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.bill import Line
from billing.kinds import KINDS
from billing.models import invoice_line
from billing.periods import Period
from billing.runs.ranges import among
from billing.tax import SCALE, Rate
from billing.taxing.errors import SurchargeNotUsable
from billing.taxing.models import tax_surcharge
from core import db
from core.money import Money, half_up

KIND = "surcharge"


class Surcharge(msgspec.Struct, frozen=True, kw_only=True):
    """`millionths` of a line's listed amount, or `fixed` for each line. `tax`: its own category, empty: not taxed."""

    profile: str
    name: str
    since: date
    label: str
    kinds: tuple[str, ...]
    millionths: int = 0
    fixed: Money | None = None
    tax: str = ""


def keep(conn: Connection, given: Surcharge) -> None:
    """Have a surcharge from a day on; one without part and amount ends it. Raises SurchargeNotUsable."""
    if unknown := sorted(set(given.kinds) - set(KINDS)):
        raise SurchargeNotUsable(given.name, f"'{unknown[0]}' is no kind of line; billing/kinds.py has them")
    if KIND in given.kinds:
        raise SurchargeNotUsable(given.name, "a surcharge bears no surcharge")
    if given.millionths and given.fixed:
        raise SurchargeNotUsable(given.name, "give a percentage or a fixed amount, not both")
    if given.fixed is not None and given.fixed.minor < 0:
        raise SurchargeNotUsable(given.name, f"{given.fixed} is below zero; sell a discount instead")
    fixed = given.fixed
    row = {
        "profile": given.profile, "name": given.name, "valid_from": given.since, "label": given.label,
        "millionths": given.millionths, "fixed": fixed.minor if fixed else 0,
        "currency": fixed.currency if fixed else "", "kinds": list(given.kinds), "tax_category": given.tax,
    }  # fmt: skip
    db.upsert(conn, tax_surcharge, [row], ["profile", "name", "valid_from"])


def on_day(conn: Connection, on: date) -> dict[str, list[Surcharge]]:
    """The surcharges in force on a day by tax profile, in the order of their names."""
    query = sa.select(tax_surcharge).where(tax_surcharge.c.valid_from <= on)
    order = (tax_surcharge.c.profile, tax_surcharge.c.name, tax_surcharge.c.valid_from)
    newest = {(row.profile, row.name): row for row in conn.execute(query.order_by(*order))}
    found: dict[str, list[Surcharge]] = defaultdict(list)
    for row in newest.values():
        if row.millionths or row.fixed:
            found[row.profile].append(
                Surcharge(
                    profile=row.profile, name=row.name, since=row.valid_from, label=row.label,
                    kinds=tuple(row.kinds), millionths=row.millionths, tax=row.tax_category,
                    fixed=Money(row.fixed, row.currency) if row.fixed else None,
                )
            )  # fmt: skip
    return found


def lines(line: Line, found: Iterable[Surcharge], rates: dict[str, Rate], before: int = 0) -> Iterator[Line]:
    """What is added to a line. A line that takes back gets it taken back; `rates`: by tax category. Pure.

    A fixed amount in another currency than the line's is not for it. A line that corrects what came to `before` (minor
    units) bears the difference: a fixed amount once, as long as something is billed.
    """
    for one in found:
        if line.kind not in one.kinds or (one.fixed and one.fixed.currency != line.amount.currency):
            continue
        if one.fixed is not None:
            minor = one.fixed.minor * (_sign(before + line.amount.minor) - _sign(before))
        else:
            minor = half_up(Fraction(line.amount.minor * one.millionths, SCALE))
        if minor:
            yield Line(
                description=f"{one.label}: {line.description}", amount=Money(minor, line.amount.currency),
                rate=rates[one.tax], kind=KIND, service=line.service, period=line.period, charge=line.charge,
                billable=line.billable,
            )  # fmt: skip


def _sign(minor: int) -> int:
    return (minor > 0) - (minor < 0)


def of_charges(conn: Connection, charges: Sequence[str]) -> dict[str, list[Any]]:
    """The surcharge lines that charges were billed with, by charge."""
    found: dict[str, list[Any]] = defaultdict(list)
    if not charges:
        return found
    query = sa.select(invoice_line).where(
        invoice_line.c.kind == KIND, among(conn, invoice_line.c.charge_id, charges),
        invoice_line.c.credits_invoice.is_(None),
    ).order_by(invoice_line.c.invoice_id, invoice_line.c.position)  # fmt: skip
    for row in conn.execute(query):
        found[row.charge_id].append(row)
    return found


def taken_back(had: Iterable[Any], by: str, currency: str) -> Iterator[Line]:
    """The surcharge lines (rows) of a charge that the charge `by` reverses, turned round. They keep the amount and the
    rate that they had. Pure.
    """
    for row in had:
        yield Line(
            description=f"taken back: {row.description}", amount=Money(-row.amount, currency), kind=KIND,
            rate=Rate(row.tax_category, row.tax_millionths, row.tax_inclusive), service=row.service,
            charge=by, period=Period(row.period_start, row.period_end) if row.period_end else None,
        )  # fmt: skip
