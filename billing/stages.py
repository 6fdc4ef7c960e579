"""The dunning stage is a function of due dates, balances, promises and today, nothing else (invariant 33). Pure.

While a promise or a hardship exemption is in force, nothing is overdue and no time passes: what is not paid then goes
on at the stage where it stood.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from billing.collecting.calendars import Calendar
from billing.rounding import is_owed
from core.money import Money

INTERNET = "internet"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a policy: what happens `days` days after the due date. `effect` empty: a notice only.

    `services`: another effect by type of service. `rate`: down and up of a throttle. `channels`: how it is told.
    `fee` by currency, as text; it is billed once, with the tax of `fee_tax`.
    """

    name: str
    days: int
    effect: str = ""
    services: dict[str, str] = {}
    rate: tuple[str, str] | None = None
    channels: tuple[str, ...] = ()
    fee: dict[str, str] = {}
    fee_tax: str = ""

    @property
    def restricts(self) -> bool:
        """Whether it does something to some service."""
        return bool(self.effect or any(self.services.values()))


class Before(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is told `days` days before a day, by each of `channels`."""

    days: int
    channels: tuple[str, ...] = ("e-mail",)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A dunning policy as data: its steps by days, after `grace` days that are given to everybody.

    `minimum` by currency, as text: what is overdue together and less than that is left alone. `reminders` come before
    the due date; `announce`, before a debit, to whom we collect from.
    """

    steps: tuple[Step, ...]
    grace: int = 0
    minimum: dict[str, str] = {}
    calendar: Calendar = Calendar()
    reminders: tuple[Before, ...] = ()
    announce: Before | None = None

    @classmethod
    def of(cls, content: Any) -> "Policy":
        """A policy as it is stored, its steps in order of their days."""
        read = msgspec.convert(content, cls)
        return msgspec.structs.replace(read, steps=tuple(sorted(read.steps, key=lambda step: step.days)))

    def is_worth(self, together: Money) -> bool:
        """Whether an overdue amount is one to dun for."""
        least = self.minimum.get(together.currency)
        return least is None or together.minor >= Money.parse(least, together.currency).minor


DEFAULT = Policy(
    (
        Step("reminder", 1, channels=("e-mail",)),
        Step("warning", 7, channels=("e-mail",)),
        Step("suspension", 14, "walled-garden", channels=("e-mail",)),
    )
)
"""Reminder on day 1, warning on day 7, walled garden on day 14, each told by e-mail."""


class Debt(msgspec.Struct, frozen=True, order=True):
    """What is still open of one invoice."""

    due: date
    invoice: str
    balance: Money


class Promise(msgspec.Struct, frozen=True):
    """A promise to pay by `until` what was due on or before `made_on`; `every`: a hardship exemption, of every debt."""

    made_on: date
    until: date
    every: bool = False

    def covers(self, due: date) -> bool:
        """Whether it is for a debt due on a day."""
        return self.every or due <= self.made_on


def is_paused(due: date, promises: Iterable[Promise], today: date) -> bool:
    """Whether a promise or an exemption for it is in force."""
    return any(one.covers(due) and one.made_on <= today <= one.until for one in promises)


def effective_due(due: date, promises: Iterable[Promise], today: date) -> date:
    """The due date as dunning sees it: later by the days that promises and exemptions have held it up until today."""
    held, reached = 0, due
    for one in sorted(promises, key=lambda one: one.made_on):
        if one.covers(due):
            since, until = max(one.made_on, reached), min(one.until, today)
            held, reached = held + max(0, (until - since).days), max(reached, until)
    return due + timedelta(days=held)


def overdue(debts: Iterable[Debt], promises: Sequence[Promise], today: date) -> list[Debt]:
    """Debts worth a unit or more whose due date has passed and that nothing holds up, oldest first."""
    late = (
        debt for debt in debts
        if is_owed(debt.balance) and debt.due < today and not is_paused(debt.due, promises, today)
    )  # fmt: skip
    return sorted(late)


def dunned(policy: Policy, debts: Iterable[Debt], promises: Sequence[Promise], today: date) -> list[Debt]:
    """Overdue debts, oldest first; none where together they are less than the policy's minimum."""
    late = overdue(debts, promises, today)
    if not late:
        return []
    together = Money(sum(debt.balance.minor for debt in late), late[0].balance.currency)
    return late if policy.is_worth(together) else []


def entries(policy: Policy, oldest: date) -> Iterator[date]:
    """The day on which each step of a case is reached; one that restricts waits for a day that permits it."""
    day = before = oldest + timedelta(days=policy.grace)
    for step in policy.steps:
        at = max(before, day + timedelta(days=step.days))
        if step.restricts:
            noticed = policy.calendar.later(before, policy.calendar.notice) if before > day else at
            at = policy.calendar.next_permitted(max(at, noticed))
        before = at
        yield at


def stage(policy: Policy, debts: Iterable[Debt], promises: Sequence[Promise], today: date) -> int:
    """How many steps of the policy are reached: 0 is none, `len(policy.steps)` is all."""
    late = dunned(policy, debts, promises, today)
    if not late:
        return 0
    oldest = min(effective_due(debt.due, promises, today) for debt in late)
    return sum(1 for day in entries(policy, oldest) if day <= today)


def permitted(policy: Policy, reached: int, entered: Mapping[int, date], today: date) -> int:
    """How many of the reached steps may be entered today, in order: a restriction waits for a day that permits it, and
    for the notice after the step before was entered indeed. `entered`: step -> day.
    """
    calendar = policy.calendar
    for n in range(1, reached + 1):
        step = policy.steps[n - 1]
        if n in entered or not step.restricts:
            continue
        told = entered.get(n - 1, today) if n > 1 else None
        noticed = told is None or not calendar.notice or calendar.later(told, calendar.notice) <= today
        if not calendar.permits(today) or not noticed:
            return n - 1
    return reached


def effect(policy: Policy, reached: int, kind: str = INTERNET) -> str:
    """What the reached stage does to a service of a type: the last effect on the way, or nothing."""
    effects = [step.services.get(kind, step.effect) for step in policy.steps[:reached]]
    return next((one for one in reversed(effects) if one), "")


def next_step(
    policy: Policy,
    debts: Sequence[Debt],
    promises: Sequence[Promise],
    entered: Mapping[int, date],
    today: date,
) -> tuple[date, Step] | None:
    """The next step and its day if nothing is paid until then; None where none is left within a year."""
    now = permitted(policy, stage(policy, debts, promises, today), entered, today)
    done = {**dict.fromkeys(range(1, now + 1), today), **entered}
    last = max(done, default=0)
    for offset in range(1, 367):
        day = today + timedelta(days=offset)
        if permitted(policy, stage(policy, debts, promises, day), done, day) > last:
            return day, policy.steps[last]
    return None
