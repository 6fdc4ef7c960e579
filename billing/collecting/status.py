"""Why an account stands where it stands in dunning, and what is next on which day."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from billing import dunning, holds, overrides
from billing.collecting import hardships, pledges, waiting
from billing.collecting.cases import Case
from billing.stages import effect, is_paused, next_step, overdue
from core.money import Money
from intents.reader import Reader


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How an account stands. `why`: sentences, the decisive one first. `next`: a step and its day, unless paid."""

    account: str
    policy: str
    stage: int
    step: str
    overdue: Money
    dunned: Money
    services: dict[str, str]
    why: tuple[str, ...]
    next_on: date | None
    next_step: str
    next_effect: str


def status(conn: Connection, reader: Reader, account: str, today: date) -> Status:
    """How an account stands on a day. Raises AccountUnknown."""
    from billing import accounts

    owner = accounts.get(conn, account)
    (case,) = dunning.open_cases(conn, [account], today)
    pressed = case.pressed()
    following = next_step(case.policy, pressed.debts, case.promises, pressed.entered(today), today)
    reached = case.stage(today)
    return Status(
        account=account, policy=owner.dunning_policy, stage=reached,
        step=case.policy.steps[reached - 1].name if reached else "",
        overdue=_sum(case, overdue(case.debts, case.promises, today)), dunned=_sum(case, case.late(today)),
        services={name: _service(conn, reader, case, name, today) for name in case.services},
        why=tuple(_why(conn, case, today)),
        next_on=following[0] if following else None, next_step=following[1].name if following else "",
        next_effect=(following[1].effect or "a notice only") if following else "",
    )  # fmt: skip


def _sum(case: Case, debts: Any) -> Money:
    return case.owner.money(sum(debt.balance.minor for debt in debts))


def _service(conn: Connection, reader: Reader, case: Case, service: str, today: date) -> str:
    held = case.held.get(service)
    if held is not None and (set_id := waiting.asked(conn, {service: held}).get(service)):
        return f"asked to be held ({held['effect']}), waits for a person ({set_id})"
    if held is not None:
        by = "billing" if held["set_id"] else held["actor"]
        return f"held ({held['effect'] or 'effect not known'}) by {by} for debts due until {held['debt_through']}"
    lifted = overrides.in_force(conn, [case.owner.id]).get(service)
    if lifted is not None:
        return f"not held: somebody lifted the hold for debts due until {lifted}; 'trunkline billing resume' goes on"
    wanted = effect(case.policy, case.pressed().stage(today), holds.type_of(reader, service))
    if not wanted:
        return "not held: no step that restricts it is reached"
    allowed = holds.allowed_effect(reader, service, wanted)
    if allowed == holds.MANUAL:
        return "left to a person: its `on-hold` is manual"
    if not allowed:
        return "not held: it is not active, or has nothing to restrict"
    if not case.policy.calendar.permits(today):
        return f"to be held ({allowed}) on {case.policy.calendar.next_permitted(today)}: today nothing is restricted"
    return f"to be held ({allowed}) by the next run"


def _why(conn: Connection, case: Case, today: date) -> Iterator[str]:
    for row in hardships.of_account(conn, case.owner.id):
        if row["since"] <= today <= row["until"]:
            granted = f"for hardship ({row['reason']}), by {row['actor']}"
            yield f"exempt until {row['until']} {granted}: nothing happens until then"
    for one in pledges.of_accounts(conn, [case.owner.id]):
        yield _promised(one, today)
    yield from _debts(case, today)
    late = overdue(case.debts, case.promises, today)
    if late and not case.late(today):
        yield f"{_sum(case, late)} is less than the {case.policy.minimum[case.owner.currency]} that the policy duns for"
    for step, on in sorted(case.entered(today).items()):
        yield f"step {step} ({case.policy.steps[step - 1].name}) was entered on {on}"


def _debts(case: Case, today: date) -> Iterator[str]:
    if not case.debts:
        yield "nothing is open"
    for debt in case.debts:
        if debt.due >= today:
            yield f"{debt.invoice}: {debt.balance} is due on {debt.due}"
        elif is_paused(debt.due, case.promises, today):
            yield f"{debt.invoice}: {debt.balance} was due on {debt.due} and is held up"
        else:
            yield f"{debt.invoice}: {debt.balance} is overdue since {debt.due}, {(today - debt.due).days} days"
    for number, until in case.coming.items():
        yield f"{number}: a debit is on its way; no further step for it before it is decided, or after {until}"


def _promised(one: pledges.Pledge, today: date) -> str:
    state, missing = one.state(today), one.missing(today)
    told = f"promise of {one.made_on} to pay by {one.until}, taken by {one.actor}: {state}"
    if state == pledges.OPEN:
        due = next((on for on, _ in one.parts if on >= today), one.until)
        return f"{told}; the next part is due on {due}"
    return f"{told}; {missing} was missing" if state == pledges.BROKEN and missing.minor else told
