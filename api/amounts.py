"""Money at the edge: minor units and a currency, and the text for people."""

from pydantic import BaseModel

from core.money import Money


class Amount(BaseModel):
    """`minor` counts the smallest units of the currency."""

    minor: int
    currency: str
    text: str


def amount(money: Money) -> Amount:
    """An amount to show."""
    return Amount(minor=money.minor, currency=money.currency, text=str(money))
