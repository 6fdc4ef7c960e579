"""The dunning run: stages from due dates, one change set of holds, and what it wrote down, in one transaction."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from billing import accounts, debts, holds, overrides, subscriptions
from billing.agenda.trial import trial
from billing.collecting import notices
from billing.collecting.cases import Case
from billing.collecting.coming import coming
from billing.holds import Wanted
from billing.messages import queueing
from billing.models import dunning_run, dunning_stage
from billing.policies import EFFECTS
from core import clock, db, events, faults, ids
from core.db import Database
from intents.reader import Reader

_CHUNK = 500
P_RUN = faults.declare("billing.before_dunning_commit")


class DunningRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run asked for. `manual`: services whose own protection leaves it to a person."""

    id: str
    run_on: date
    held: tuple[str, ...]
    released: tuple[str, ...]
    manual: tuple[str, ...]
    hold_set: str | None
    release_set: str | None


def run_dunning(
    database: Database,
    reader: Reader,
    on: date,
    *,
    actor: str = "billing",
    expect: int | None = None,
    dry: bool = False,
) -> DunningRun:
    """Hold what is overdue and release what is not, as of local date `on`; doing it again asks for nothing.

    All holds are one change set. `expect`: the number of restrictions by which a person lets a run pass its guard.
    `dry`: all of it happens, and nothing is kept.
    """
    with trial(database, dry) as conn:
        run = _run(conn, reader, on, actor, expect)
        faults.point(P_RUN)
    if not dry:
        queueing.follow(database, reader, on)
    return run


def open_cases(conn: Connection, account_ids: Sequence[str], on: date) -> list[Case]:
    """The cases of these accounts as of a day; they are locked first and then looked at."""
    found: list[Case] = []
    policies = debts.policies(conn)
    for start in range(0, len(account_ids), _CHUNK):
        chunk = list(account_ids[start : start + _CHUNK])
        owners = accounts.by_ids(conn, chunk)
        owed, promised = debts.debts(conn, chunk), debts.promises(conn, chunk)
        services, lifted = subscriptions.services_of(conn, chunk), overrides.in_force(conn, chunk)
        held, known, on_way = holds.held(conn, chunk), _entered(conn, chunk), coming(conn, chunk, on)
        for owner in owners:
            mine = {name: row for name, row in held.items() if row["account_id"] == owner.id}
            policy = policies.get(owner.dunning_policy, policies["default"])
            found.append(
                Case(
                    owner, policy, tuple(owed[owner.id]), tuple(promised[owner.id]),
                    tuple(services[owner.id]), lifted, mine, known[owner.id], on_way.get(owner.id, {}),
                )
            )  # fmt: skip
    return found


def _run(conn: Connection, reader: Reader, on: date, actor: str, expect: int | None) -> DunningRun:
    run_id = ids.new_id("dun")
    affected = {*debts.with_debts_due_before(conn, on), *holds.accounts_with_holds(conn)}
    cases = open_cases(conn, sorted(affected), on)
    new, manual = _new_holds(reader, cases, on)
    freed = sorted(service for case in cases if not case.late(on) for service in case.held)
    _enter_stages(conn, cases, on, run_id)
    run = DunningRun(
        id=run_id,
        run_on=on,
        held=tuple(one.service for one in new),
        released=tuple(freed),
        manual=tuple(manual),
        hold_set=_hold(conn, new, run_id, expect),
        release_set=_release(conn, freed, run_id),
    )
    _store(conn, run, actor)
    return run


def _new_holds(reader: Reader, cases: Sequence[Case], on: date) -> tuple[list[Wanted], list[str]]:
    """Holds that are wanted and not there yet, and the services that are left to a person."""
    new, manual = [], []
    for case in cases:
        for one in case.pressed().wanted(on, lambda service: holds.type_of(reader, service)):
            allowed = holds.allowed_effect(reader, one.service, one.effect)
            stands = case.held.get(one.service)
            if case.coming and _is_milder(stands, allowed):
                continue  # a debit on its way softens no hold
            if allowed == holds.MANUAL:
                manual.append(one.service)
            elif allowed and not _stands(stands, allowed) and _may(case, stands, allowed, on):
                new.append(msgspec.structs.replace(one, effect=allowed))
    return sorted(new, key=lambda one: one.service), sorted(manual)


def _may(case: Case, stands: Any, effect_: str, on: date) -> bool:
    """On days off nothing is restricted, and no restriction gets harder; one may get milder on any day."""
    return _is_milder(stands, effect_) or case.policy.calendar.permits(on)


def _is_milder(stands: Any, effect_: str) -> bool:
    return stands is not None and EFFECTS.index(effect_) < EFFECTS.index(stands["effect"])


def _stands(held: Any, effect_: str) -> bool:
    """Whether a hold is there already: with this effect, or by somebody else's hand."""
    return held is not None and (held["set_id"] is None or held["effect"] == effect_)


def _hold(conn: Connection, new: Sequence[Wanted], run_id: str, expect: int | None) -> str | None:
    if not new:
        return None
    set_id = holds.submit(conn, holds.hold_changes(conn, new, run_id), "hold", run_id, expect)
    holds.remember(conn, new, set_id, run_id)
    return set_id


def _release(conn: Connection, services: Sequence[str], run_id: str) -> str | None:
    if not services:
        return None
    set_id = holds.submit(conn, holds.release_changes(conn, services), "release", run_id)
    holds.forget(conn, services, set_id)
    return set_id


def _enter_stages(conn: Connection, cases: Sequence[Case], on: date, run_id: str) -> None:
    """Record every stage that a case has reached and not entered yet, in order: none is skipped."""
    rows: list[dict[str, Any]] = []
    entries: list[notices.Entry] = []
    for case in (one.pressed() for one in cases):
        late = case.late(on)
        if not late:
            continue
        oldest = min(debt.due for debt in late)
        steps = enumerate(case.policy.steps[: case.stage(on)], 1)
        new = [(number, step) for number, step in steps if (oldest, number) not in case.known]
        place = {"account_id": case.owner.id, "debt_due": oldest, "run_id": run_id, "entered_on": on}
        rows += [{**place, "stage": number, "name": step.name} for number, step in new]
        entries += [notices.Entry(case.owner, oldest, number, step, tuple(late)) for number, step in new]
        if new:
            told = {"debt_due": str(oldest), "entered": [msgspec.to_builtins(step) for _, step in new]}
            events.emit(conn, "dunning.stage", case.owner.id, told, actor="billing", correlation=run_id)
    db.insert_many(conn, dunning_stage, rows)
    notices.tell(conn, entries, on, run_id)
    notices.charge(conn, entries, on)
    notices.follow_promises(conn, on)


def _entered(conn: Connection, account_ids: Sequence[str]) -> dict[str, dict[tuple[date, int], date]]:
    """Account -> (oldest due date of the case, step) -> the day on which it was entered."""
    known: dict[str, dict[tuple[date, int], date]] = defaultdict(dict)
    query = sa.select(dunning_stage).where(dunning_stage.c.account_id.in_(account_ids))
    for row in conn.execute(query):
        known[row.account_id][row.debt_due, row.stage] = row.entered_on
    return known


def _store(conn: Connection, run: DunningRun, actor: str) -> None:
    values = {
        "id": run.id, "run_on": run.run_on, "recorded_at": clock.now(), "actor": actor,
        "hold_set": run.hold_set, "release_set": run.release_set, "held": len(run.held),
        "released": len(run.released),
    }  # fmt: skip
    db.insert_many(conn, dunning_run, [values])
