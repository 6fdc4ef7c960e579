"""Contracts: which term runs on a day, and what leaving within it costs. Pure.

A term begins with an activation or a change to a plan that has one, so an upgrade begins a new one and costs nothing; a
change to a plan without one leaves the term as it is. It is billed from the timeline: who takes a cessation back, or
corrects its day, takes the fee back.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import groupby

import msgspec

from billing.periods import Period, clamped, month_index
from billing.timeline import NOTHING, TERMINATION, Contract, Event, EventKind, Slice, Terms, after, in_order
from core.money import Money

SCALE = 10**6


class Running(msgspec.Struct, frozen=True):
    """A contract that binds on a day, `[since, until)`; `left`: months to come, begun ones counted."""

    contract: Contract
    since: date
    until: date
    left: int


def running(events: Sequence[Event], day: date) -> Running | None:
    """The contract that binds at the end of a day; None: the service may end without a fee."""
    steps = list(_days([event for event in events if event.effective <= day]))
    contract = steps[-1].contract if steps else None
    return None if contract is None else on(contract, day)


def on(contract: Contract, day: date) -> Running | None:
    """How it stands on a day: nothing when its last term is over."""
    since = contract.since or day
    months = contract.months
    while contract.renew and _after(since, months) <= day:
        months += contract.renew
    if _after(since, months) <= day:
        return None
    left = next(n for n in range(1, months + 1) if _after(since, months - n) <= day or n == months)
    return Running(contract, since, _after(since, months), left)


def carried(events: Sequence[Event], day: date, terms: Terms) -> Terms:
    """The terms with which a service goes on elsewhere from a day: no set-up fee again, the contract as it stands."""
    found = running(events, day)
    contract = None if found is None else msgspec.structs.replace(found.contract, since=found.since)
    return msgspec.structs.replace(terms, setup=None, contract=contract)


def fee(found: Running, terms: Terms) -> Money:
    """What leaving costs while the service is billed at `terms`; rounded once."""
    contract = found.contract
    if contract.fee is not None:
        return contract.fee
    if contract.each is not None:
        return contract.each.times(found.left)
    return terms.price.times(Fraction(contract.share * found.left, SCALE * terms.months))


def terminations(events: Sequence[Event], today: date) -> Iterator[Slice]:
    """The fee of each cessation by `today` within a term, on its day."""
    contract: Contract | None = None
    for step in _days(events):
        if step.left is not None and contract is not None and step.day <= today:
            found = on(contract, step.day)
            amount = None if found is None else fee(found, step.left)
            if amount is not None and amount.minor:
                one = Period(step.day, step.day + timedelta(days=1))
                told = msgspec.structs.replace(step.left, contract=contract)
                yield Slice(one, one, told, amount, TERMINATION)
        contract = step.contract


class _Day(msgspec.Struct, frozen=True):
    """A day with events: the contract after it, and the terms that were left if the service ceased."""

    day: date
    contract: Contract | None
    left: Terms | None


def _days(events: Sequence[Event]) -> Iterator[_Day]:
    """The last word of each day: A to B to A begins no new term."""
    state, contract = NOTHING, None
    for day, same_day in groupby(in_order(events), key=lambda event: event.effective):
        before, found, goes_on = state, contract, False
        for event in same_day:
            state = after(state, event)
            found = _following(found, event, state.terms)
            goes_on = event.kind is EventKind.CEASED and event.terms is not None
        if state.terms is None:
            yield _Day(day, None, None if goes_on else before.terms)
            contract = None
        else:
            contract = contract if state.terms == before.terms else found
            yield _Day(day, contract, None)


def _following(contract: Contract | None, event: Event, terms: Terms | None) -> Contract | None:
    if event.kind not in (EventKind.ACTIVATED, EventKind.CHANGED) or terms is None or event.terms is None:
        return contract
    begun = event.terms.contract
    if begun is None:
        return contract if event.kind is EventKind.CHANGED else None
    return msgspec.structs.replace(begun, since=begun.since or event.effective)


def _after(since: date, months: int) -> date:
    return clamped(since.day, month_index(since) + months)
