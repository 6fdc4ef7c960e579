"""A case: everything about one account that dunning decides from. Pure."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

import msgspec

from billing.accounts import Account
from billing.holds import Wanted
from billing.stages import Debt, Policy, Promise, dunned, effect, permitted, stage


class Case(msgspec.Struct, frozen=True):
    """Everything about one account that dunning decides from. `coming`: invoices whose debit is on its way, and until
    when that is waited for.
    """

    owner: Account
    policy: Policy
    debts: tuple[Debt, ...]
    promises: tuple[Promise, ...]
    services: tuple[str, ...]
    overridden: dict[str, date]
    held: dict[str, Any]
    known: dict[tuple[date, int], date] = {}
    coming: Mapping[str, date] = {}

    def pressed(self) -> "Case":
        """The case without the debts whose debit is on its way: what a further step may be taken for."""
        debts = tuple(debt for debt in self.debts if debt.invoice not in self.coming)
        return msgspec.structs.replace(self, debts=debts, coming={})

    def late(self, today: date) -> list[Debt]:
        """Overdue debts that the policy duns for, oldest first."""
        return dunned(self.policy, self.debts, self.promises, today)

    def entered(self, today: date) -> dict[int, date]:
        """The steps that the case of today's oldest debt has entered, and when."""
        late = self.late(today)
        oldest = min((debt.due for debt in late), default=None)
        return {step: on for (due, step), on in self.known.items() if due == oldest and on <= today}

    def stage(self, today: date) -> int:
        """The stage of the account's case: what is reached, and may be entered on that day."""
        reached = stage(self.policy, self.debts, self.promises, today)
        return permitted(self.policy, reached, self.entered(today), today)

    def wanted(self, today: date, type_of: Callable[[str], str]) -> Iterator[Wanted]:
        """The restriction that each service ought to have; none where the debt is overridden."""
        entered = self.stage(today)
        for service in self.services if entered else ():
            lifted = self.overridden.get(service, date.min)
            owed = [debt for debt in self.debts if debt.due > lifted]
            reached = min(entered, stage(self.policy, owed, self.promises, today))
            what = effect(self.policy, reached, type_of(service))
            late = dunned(self.policy, owed, self.promises, today)
            if what and late:
                through = max(debt.due for debt in late)
                rate = self._rate(reached) if what == "throttle" else None
                yield Wanted(service, self.owner.id, what, late[0].invoice, through, rate)

    def _rate(self, reached: int) -> tuple[str, str] | None:
        return next((step.rate for step in reversed(self.policy.steps[:reached]) if step.rate), None)
