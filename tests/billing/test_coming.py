"""Debits on their way: dunning takes no further step for what they pay, and releases nothing for them either."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from billing import holds, policies
from billing.billrun import run_billing
from billing.collecting.coming import LONGEST, UNKNOWN
from billing.collecting.status import status
from billing.dunning import DunningRun, run_dunning
from billing.gateways.errors import GatewaySilent
from billing.gateways.state import CHARGE, DEBIT, FAILED, PENDING, SUCCEEDED, Fact
from billing.models import dunning_stage
from billing.stages import Policy, Step
from core.db import Database
from tests.billing.paying import DUE, Fake, Paying

DAY = timedelta(days=1)


def _dun(stage: Paying, on: date) -> DunningRun:
    return run_dunning(stage.database, stage.reader, on)


def _stages(stage: Paying) -> list[int]:
    query = sa.select(dunning_stage.c.stage).where(dunning_stage.c.account_id == stage.account)
    return sorted(row.stage for row in stage._rows(query))


def _held(stage: Paying) -> dict[str, str]:
    with stage.database.read() as conn:
        return {name: row["effect"] for name, row in holds.held(conn, [stage.account]).items()}


def _pending(database: Database, asked: date = DUE) -> Paying:
    stage = Paying(database)
    stage.plan(asked)
    stage.perform(Fake({1: Fact(DEBIT, PENDING, 1)}))
    return stage


def test_nothing_happens_while_a_debit_is_on_its_way_and_all_of_it_when_it_fails(database: Database) -> None:
    """No reminder, no hold; the day it fails, everything that was reached by then."""
    stage = _pending(database)
    _dun(stage, DUE + 15 * DAY)
    assert (_stages(stage), _held(stage)) == ([], {})
    with database.write() as conn:
        told = status(conn, stage.reader, stage.account, DUE + 15 * DAY)
    assert any(f"a debit is on its way; no further step for it before it is decided, or after {DUE + LONGEST}" in why
               for why in told.why)  # fmt: skip
    assert told.next_on is None
    stage.later = 15 * DAY
    stage.hear(1, Fact(DEBIT, FAILED, 9, code="insufficient_funds"))
    _dun(stage, DUE + 15 * DAY)
    assert (_stages(stage), list(_held(stage).values())) == ([1, 2, 3], ["walled-garden"])


def test_one_that_comes_in_leaves_no_trace_in_dunning(database: Database) -> None:
    """Weeks late, and nobody was told off for the bank's slowness."""
    stage = _pending(database)
    _dun(stage, DUE + 15 * DAY)
    stage.hear(1, Fact(DEBIT, SUCCEEDED, 9))
    _dun(stage, DUE + 16 * DAY)
    assert (_stages(stage), stage.open()) == ([], 0)


@pytest.mark.parametrize(("days", "stages"), [(LONGEST.days, []), (LONGEST.days + 1, [1, 2, 3])])
def test_there_is_an_end_to_waiting(database: Database, days: int, stages: list[int]) -> None:
    """A gateway that never says what became of it."""
    stage = _pending(database)
    _dun(stage, DUE + days * DAY)
    assert _stages(stage) == stages


def test_a_charge_of_which_nothing_is_known_is_waited_for_shortly(database: Database) -> None:
    """Its answer was lost; one that nobody asked for yet is not waited for at all."""
    stage, unasked = Paying(database), Paying(database)
    stage.plan(DUE)
    unasked.plan(DUE)
    with pytest.raises(GatewaySilent):
        stage.perform(Fake(loses=1))
    _dun(stage, DUE + UNKNOWN)
    assert (_stages(stage), _stages(unasked)) == ([], [1])
    _dun(stage, DUE + UNKNOWN + DAY)
    assert _stages(stage) == [1]


def test_a_hold_stays_as_it_is_while_a_debit_is_on_its_way(database: Database) -> None:
    """It is neither lifted nor softened by an order that may fail; the money lifts it."""
    stage = Paying(database)
    _dun(stage, DUE + 15 * DAY)
    before = _held(stage)
    assert list(before.values()) == ["walled-garden"]
    stage.plan(DUE + 15 * DAY)
    stage.perform(Fake({1: Fact(DEBIT, PENDING, 1)}))
    done = _dun(stage, DUE + 16 * DAY)
    assert (_held(stage), set(done.released) & set(before)) == (before, set())
    stage.hear(1, Fact(DEBIT, SUCCEEDED, 9))
    assert _held(stage) == {}


def test_another_invoice_is_dunned_by_its_own_due_date(database: Database) -> None:
    """The debit pays January; February is not on its way."""
    stage = _pending(database)
    run_billing(database, stage.reader, date(2026, 2, 1))
    february = date(2026, 2, 15)
    with database.write() as conn:
        waiting = status(conn, stage.reader, stage.account, DUE + 17 * DAY)
    assert waiting.next_on == february + DAY
    stage.later = 15 * DAY
    stage.hear(1, Fact(CHARGE, PENDING, 1))
    _dun(stage, DUE + 20 * DAY)
    assert _stages(stage) == []


def test_an_older_debt_is_pressed_on_though_a_newer_one_is_coming(database: Database) -> None:
    """The hold gets harder for January, whose debit failed; February's is on its way."""
    steps = (Step("slow", 5, "throttle", rate=("1M", "1M")), Step("stop", 20, "block"))
    with database.write() as conn:
        policies.store(conn, "two", Policy(steps))
    stage = Paying(database, dunning_policy="two")
    fake = Fake({1: Fact(CHARGE, FAILED, code="stolen_card"), 2: Fact(DEBIT, PENDING, 1)})
    stage.plan(DUE)
    stage.perform(fake)
    _dun(stage, DUE + 7 * DAY)
    assert list(_held(stage).values()) == ["throttle"]
    run_billing(database, stage.reader, date(2026, 2, 1))
    stage.plan(date(2026, 2, 15))
    stage.perform(fake)
    _dun(stage, date(2026, 2, 16))
    assert list(_held(stage).values()) == ["block"]
