"""Offers as a kind: each names the plans that it is for."""

from collections.abc import Iterator
from fractions import Fraction

from intents.kind import Complaint, Kind, Reference, far_off
from intents.offer.schema import Offer

_FINEST = 10_000


def references(_id: str, offer: Offer) -> Iterator[Reference]:
    """Its plans."""
    for index, plan in enumerate(offer.plans):
        yield Reference("plan", plan, ("plans", index))


def complaints(offer: Offer) -> Iterator[Complaint]:
    """One kind of discount, above nothing, and days in their order."""
    if (offer.percent is None) == (offer.amount is None):
        yield Complaint(
            "offer.discount", ("type",), "an offer needs `percent` or `amount`, and only one of them"
        )
    if offer.percent is not None and (
        offer.percent <= 0 or (Fraction(str(offer.percent)) * _FINEST).denominator != 1
    ):
        yield Complaint(
            "offer.discount", ("percent",), f"{offer.percent} percent is nothing or finer than four decimals"
        )
    for key in ("amount", "cap"):
        value = getattr(offer, key)
        if value is not None and not value.strip("-0."):
            yield Complaint("offer.discount", (key,), f"`{key}` of nothing takes nothing off")
        elif value is not None and value.startswith("-"):
            yield Complaint(
                "offer.discount", (key,), f"`{key}` is what is taken off: write it without the minus"
            )
    yield from far_off(("from",), offer.from_)
    yield from far_off(("until",), offer.until)
    if offer.from_ is not None and offer.until is not None and offer.until <= offer.from_:
        yield Complaint("offer.days", ("until",), f"`until` {offer.until} is not after `from` {offer.from_}")
    if offer.type == "bundle":
        yield from _bundle(offer)


def _bundle(offer: Offer) -> Iterator[Complaint]:
    if len(offer.plans) < 2:
        yield Complaint("offer.bundle", ("plans",), "a bundle needs two plans or more")
    for key in ("months", "cap"):
        if getattr(offer, key) is not None:
            yield Complaint(
                "offer.bundle", (key,), f"`{key}` is for promotions: a bundle lasts while all is had"
            )
    for key in ("code", "limit", "per_customer"):
        if getattr(offer, key) is not None:
            yield Complaint(
                "offer.bundle",
                (key,),
                f"`{key.replace('_', '-')}` is for promotions: nobody redeems a bundle",
            )
    if offer.new_customers or not offer.combinable:
        yield Complaint(
            "offer.bundle", ("type",), "who may redeem, and what goes together, is for promotions"
        )


KIND = Kind(
    name="offer", struct=Offer, pattern="catalog/offers/{id}.yaml", plural="offers", references=references,
    complaints=complaints,
)  # fmt: skip
