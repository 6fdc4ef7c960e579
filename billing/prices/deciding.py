"""Who a price change is for, and who is left out and why: it is for those whose price is in its currency. Pure."""

from datetime import date
from fractions import Fraction

import msgspec

from billing.offers import contracts
from billing.subscriptions import Item
from billing.timeline import Terms, state_on
from core.money import Money


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A price change as it is asked for: `terms` of the new version from `on`; `old`: only those who have this version.
    It is about nobody whose price is in another currency than `terms`.

    Without `in_term` nobody whose contract binds on the day gets a higher price.
    """

    terms: Terms
    on: date
    old: str | None = None
    in_term: bool = False


class Move(msgspec.Struct, frozen=True):
    """One item that moves: its terms now and then."""

    item: Item
    before: Terms
    after: Terms

    @property
    def monthly(self) -> Money:
        """How much more a month; yearly prices by twelfths."""
        return monthly(self.after) - monthly(self.before)


def monthly(terms: Terms) -> Money:
    """A price for one month."""
    return terms.price.times(Fraction(1, terms.months))


def decide(item: Item, change: Change) -> Move | str | None:
    """The move, or why it is left to a person; None where the change is not about it (any more)."""
    plan = change.terms.plan
    now = state_on(item.events, change.on).terms
    later = [one for one in item.events if one.effective > change.on and _is_old(one.terms, change)]
    if later:
        found = later[0]
        told = found.terms.version if found.terms else ""
        return f"it gets version {told} of {plan} on {found.effective} already; change that first"
    if now is None or not _is_old(now, change):
        return None
    after = msgspec.structs.replace(change.terms, contract=None)
    bound = contracts.running(item.events, change.on)
    if bound is not None and monthly(after) > monthly(now) and not change.in_term:
        return f"its contract binds at {now.price} until {bound.until} (exclusive); --in-term moves it all the same"
    return Move(item, now, after)


def swapped(item: Item, change: Change) -> Item:
    """The item as if it had been sold at the new version from the first: for a replay."""
    events = tuple(
        msgspec.structs.replace(
            event, terms=msgspec.structs.replace(change.terms, contract=event.terms.contract)
        )
        if event.terms is not None and _is_old(event.terms, change)
        else event
        for event in item.events
    )
    return msgspec.structs.replace(item, events=events)


def _is_old(terms: Terms | None, change: Change) -> bool:
    if terms is None or terms.plan != change.terms.plan or terms.version == change.terms.version:
        return False
    if terms.price.currency != change.terms.price.currency:
        return False
    return change.old is None or terms.version == change.old
