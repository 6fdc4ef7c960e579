"""Tax rates with effective dates, by profile (a jurisdiction) and category."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing.errors import TaxNameEmpty, TaxRateMissing
from billing.models import tax_rate
from billing.tax import Rate, parse_rate
from core import db

EXEMPT = "exempt"
"""The profile of accounts that pay no tax."""


def set_rate(
    conn: Connection,
    category: str,
    rate: str,
    *,
    profile: str = "default",
    valid_from: date,
    inclusive: bool = False,
) -> None:
    """Set a rate ("10%") from a date on. `inclusive`: listed prices contain it.

    Raises TaxNameEmpty, TaxRateNotReadable.
    """
    if not (category.strip() and profile.strip()):
        raise TaxNameEmpty
    row = {
        "profile": profile, "category": category, "valid_from": valid_from,
        "millionths": parse_rate(rate), "inclusive": inclusive,
    }  # fmt: skip
    db.upsert(conn, tax_rate, [row], ["profile", "category", "valid_from"])


def rate_on(conn: Connection, profile: str, category: str, on: date) -> Rate:
    """The rate in force. No category, or an exempt profile, is 0%. Raises TaxRateMissing."""
    if not category or profile == EXEMPT:
        return Rate(category, 0)
    query = (
        sa.select(tax_rate)
        .where(tax_rate.c.profile == profile, tax_rate.c.category == category, tax_rate.c.valid_from <= on)
        .order_by(tax_rate.c.valid_from.desc())
        .limit(1)
    )
    row = conn.execute(query).first()
    if row is None:
        raise TaxRateMissing(profile, category, on)
    return Rate(category, row.millionths, row.inclusive)
