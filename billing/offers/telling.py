"""Contracts and discounts in words, for invoices and lists. Pure."""

from datetime import date

from billing.offers import contracts
from billing.offers.discounts import end_of
from billing.tax import rate_text
from billing.timeline import Discount, Slice, Terms


def fee_text(terms: Terms, day: date) -> str:
    """How an early-termination fee came about."""
    contract = terms.contract
    found = None if contract is None else contracts.on(contract, day)
    if contract is None or found is None:
        return "early-termination fee"
    term = f"the term of {found.since} to {found.until} (exclusive)"
    if contract.fee is not None:
        return f"early-termination fee of {contract.fee} within {term}"
    each = (
        f"{contract.each}"
        if contract.each is not None
        else f"{rate_text(contract.share)} of {_monthly(terms)}"
    )
    return f"early-termination fee of {each} for each of the {found.left} months left of {term}, begun ones counted"


def contract_text(found: "contracts.Running") -> str:
    """A contract that binds."""
    contract = found.contract
    if contract.fee is not None:
        costs = f"{contract.fee}"
    elif contract.each is not None:
        costs = f"{contract.each} for each month left"
    else:
        costs = f"{rate_text(contract.share)} of the price for each month left"
    renews = f"; goes on by {contract.renew} months" if contract.renew else ""
    return f"until {found.until} (exclusive), {found.left} months left; leaving costs {costs}{renews}"


def offer_text(discount: Discount) -> str:
    """What an offer takes off, and for how long."""
    what = f"{discount.amount} a month" if discount.amount is not None else rate_text(discount.share)
    end = end_of(discount)
    told = f"{what} off from {discount.since}" + (f" until {end} (exclusive)" if end else "")
    told += f", at most {discount.cap}" if discount.cap is not None else ""
    return told + (f", with {len(discount.needs)} services together" if discount.needs else "")


def discount_text(part: Slice) -> str:
    """How a discount's line came about."""
    discount = part.terms.discount
    if discount is None:
        return ""
    days = f"{part.part.days} of {part.period.days} days"
    return f"{offer_text(discount)}; for {days}, and never more than what it is taken off"


def _monthly(terms: Terms) -> str:
    return f"{terms.price}" if terms.months == 1 else f"{terms.price} for {terms.months} months"


__all__ = ["contract_text", "discount_text", "fee_text", "offer_text"]
