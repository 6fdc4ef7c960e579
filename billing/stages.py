"""The dunning stage is a function of due dates, balances, promises and today, nothing else (invariant 33). Pure."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.rounding import is_owed
from core.money import Money


class Step(msgspec.Struct, frozen=True):
    """A step of a policy: what happens `days` days after the due date. `effect` empty: a notice only."""

    name: str
    days: int
    effect: str = ""


class Policy(msgspec.Struct, frozen=True):
    """A dunning policy as data: its steps by days, after `grace` days that are given to everybody."""

    steps: tuple[Step, ...]
    grace: int = 0

    @classmethod
    def of(cls, content: Any) -> "Policy":
        """A policy as it is stored, its steps in order of their days."""
        read = msgspec.convert(content, cls)
        return cls(tuple(sorted(read.steps, key=lambda step: step.days)), read.grace)


DEFAULT = Policy((Step("reminder", 1), Step("warning", 7), Step("suspension", 14, "walled-garden")))
"""Reminder on day 1, warning on day 7, walled garden on day 14."""


class Debt(msgspec.Struct, frozen=True, order=True):
    """What is still open of one invoice."""

    due: date
    invoice: str
    balance: Money


class Promise(msgspec.Struct, frozen=True):
    """A promise to pay by `until`: debts due on or before `made_on` count as due then."""

    made_on: date
    until: date


def effective_due(due: date, promises: Iterable[Promise]) -> date:
    """The due date as dunning sees it: moved by any promise that was made for it."""
    return max([due, *(promise.until for promise in promises if due <= promise.made_on)])


def overdue(debts: Iterable[Debt], promises: Sequence[Promise], today: date) -> list[Debt]:
    """Debts worth a unit or more whose (promised) due date has passed, oldest first."""
    late = (debt for debt in debts if is_owed(debt.balance) and effective_due(debt.due, promises) < today)
    return sorted(late)


def stage(policy: Policy, debts: Iterable[Debt], promises: Sequence[Promise], today: date) -> int:
    """How many steps of the policy are reached: 0 is none, `len(policy.steps)` is all."""
    late = overdue(debts, promises, today)
    if not late:
        return 0
    oldest = min(effective_due(debt.due, promises) for debt in late) + timedelta(days=policy.grace)
    return sum(1 for step in policy.steps if (today - oldest).days >= step.days)


def effect(policy: Policy, reached: int) -> str:
    """What the reached stage does to the service: the last effect on the way, or nothing."""
    effects = [step.effect for step in policy.steps[:reached] if step.effect]
    return effects[-1] if effects else ""
