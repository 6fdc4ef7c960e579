"""Dunning on both databases: holds in one change set, releases with the payment, overrides by others."""

from datetime import UTC, date, datetime, timedelta

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import hearing, holds, overrides, payments, policies, promises
from billing.billrun import run_billing
from billing.dunning import DunningRun, open_cases, run_dunning
from billing.errors import PolicyNotUsable, PromiseNotUsable
from billing.models import dunning_stage
from billing.payments import P_PAID
from billing.stages import Step
from core import clock
from core.db import Database
from core.events import Event
from core.faults import FaultInjected
from core.money import Money
from intents.kinds import path_of
from tests.billing.stage import START, Stage, all_sets, changes_of
from tests.billing.threads import together

FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DUE = date(2026, 1, 15)
LATE = date(2026, 2, 1)


def owing(database: Database, services: int = 1, **given) -> Stage:
    """An account that has not paid January."""
    stage = Stage(database)
    for _ in range(services):
        stage.add(**given)
    run_billing(database, stage.reader, START)
    return stage


def dun(stage: Stage, on: date = LATE, **given) -> DunningRun:
    """Run dunning."""
    return run_dunning(stage.database, stage.reader, on, **given)


def pay(stage: Stage, minor: int, on: date = LATE, key: str = "k") -> payments.Paid:
    """Pay."""
    with stage.database.write() as conn:
        return payments.pay(conn, stage.account, Money(minor, "AUD"), "cash", f"{stage.entity}:{key}", on=on)


def held(stage: Stage) -> set[str]:
    """The services that billing knows to be held."""
    with stage.database.read() as conn:
        return set(holds.held(conn, [stage.account]))


def told(
    stage: Stage, type_: str, service: str, seq: int, set_id: str | None = None, reason="nonpayment"
) -> None:
    """The indexer tells of a hold that came or went."""
    data = {"service": service, "reason": reason, "commit": "c0ffee", "actor": "staff-7", "set_id": set_id}
    event = Event("evt", type_, clock.now(), service, "staff-7", data, seq=seq)
    with stage.database.write() as conn:
        {"hold.removed": hearing.hold_removed, "hold.added": hearing.hold_added}[type_](conn, event)


def test_an_overdue_account_is_held_by_one_change_set_of_files(database: Database):
    """Two accounts, three services: one set, a file each, with cause, batch and fence."""
    one, two = owing(database, 2), owing(database)
    both = run_dunning(database, _both(one, two), LATE)
    assert len(both.held) == 3
    changes = changes_of(database, both.hold_set)
    assert [change.path for change in changes] == sorted(
        path_of("hold", f"{s}.nonpayment") for s in both.held
    )
    (written, *_) = (yaml.safe_load(change.content) for change in changes)
    assert (written["effect"], written["batch"]) == ("walled-garden", both.id)
    assert all((change.op, change.fence_version) == ("put", 1) for change in changes)
    assert [(row.actor, row.reason, row.correlation) for row in all_sets(database)] == [
        ("billing", "nonpayment", both.id)
    ]


def test_a_second_run_asks_for_nothing(database: Database):
    """What is held is held."""
    stage = owing(database)
    dun(stage)
    again = dun(stage)
    assert (again.hold_set, again.held, len(all_sets(database))) == (None, (), 1)


def test_concurrent_dunning_runs_are_one(database: Database):
    """Invariant 3 for dunning: three at once hold each service once."""
    stage = owing(database, 2)
    together(3, lambda: dun(stage))
    assert len(all_sets(database)) == 1


def test_a_payment_and_a_dunning_run_at_once_never_leave_a_paid_service_held(database: Database):
    """Whoever comes first: billing knows nothing held, and the file's last word is its deletion, or there is none."""
    for _ in range(3):
        stage = owing(database)
        turns = iter([lambda stage=stage: dun(stage), lambda stage=stage: pay(stage, 8690)])
        together(2, lambda turns=turns: next(turns)())  # type: ignore[misc]
        assert held(stage) == set()
        sets = [one for row in all_sets(database) for one in changes_of(database, row.set_id)]
        mine = [one for one in sets if one.path.rsplit("/", 1)[1].startswith(f"S-{stage.number}-")]
        last = max(mine, key=lambda one: one.fence_version, default=None)
        assert last is None or last.op == "delete"


def test_before_the_suspension_step_nobody_is_held_and_no_stage_is_skipped(database: Database):
    """Invariant 33: a late first run enters reminder, warning and suspension, in order."""
    stage = owing(database)
    assert dun(stage, DUE).hold_set is None
    assert dun(stage, DUE + timedelta(days=13)).hold_set is None
    dun(stage, DUE + timedelta(days=40))
    with database.read() as conn:
        rows = conn.execute(dunning_stage.select().order_by(dunning_stage.c.seq)).all()
    assert [(row.stage, row.name) for row in rows] == [(1, "reminder"), (2, "warning"), (3, "suspension")]


def test_a_payment_releases_in_its_own_transaction_with_a_higher_fence(database: Database):
    """Invariants 30 and 31: the deletion outruns a hold that saw the older balance."""
    stage = owing(database, 2)
    run = dun(stage)
    paid = pay(stage, 2 * 8690)
    (set_id,) = paid.set_ids
    put, gone = changes_of(database, run.hold_set), changes_of(database, set_id)
    assert [change.op for change in gone] == ["delete", "delete"]
    assert [change.fence_key for change in put] == [change.fence_key for change in gone]
    assert all(a.fence_version < b.fence_version for a, b in zip(put, gone, strict=True))
    assert held(stage) == set()


def test_a_payment_that_fails_releases_nothing(database: Database, monkeypatch: pytest.MonkeyPatch):
    """One transaction: a crash after the release was queued takes both back."""
    stage = owing(database)
    dun(stage)
    monkeypatch.setenv("TRUNKLINE_TEST_MODE", "1")
    monkeypatch.setattr("core.faults._passages", {})
    monkeypatch.setenv("TRUNKLINE_FAULT", f"{P_PAID}:1:raise")
    with pytest.raises(FaultInjected):
        pay(stage, 8690)
    monkeypatch.delenv("TRUNKLINE_FAULT")
    assert (len(all_sets(database)), stage.allocations(), len(held(stage))) == (1, [], 1)
    assert len(pay(stage, 8690).set_ids) == 1


def test_a_partial_payment_releases_nothing_and_the_rest_does(database: Database):
    """Only when nothing is overdue any more."""
    stage = owing(database)
    dun(stage)
    assert pay(stage, 4000, key="a").set_ids == ()
    assert len(pay(stage, 4690, key="b").set_ids) == 1


def test_a_residue_below_one_unit_never_suspends(database: Database):
    """Classic bug: a rounding cent suspends a paying customer; and paying all but 0.99 releases."""
    paying, held_before = owing(database), owing(database)
    pay(paying, 8689, on=START)
    dun(paying, LATE + timedelta(days=60))
    assert held(paying) == set()
    dun(held_before)
    assert len(pay(held_before, 8690 - 99).set_ids) == 1


@FEW
@given(
    st.lists(
        st.tuples(
            st.integers(1, 70), st.sampled_from(["bill", "dun", "pay", "promise"]), st.integers(1, 20_000)
        ),
        max_size=8,
    )
)
def test_invariant_30_nothing_overdue_means_no_nonpayment_hold(database: Database, story):
    """After any story, at any step: a held service has something overdue, or today's run releases it."""
    stage = owing(database)
    today = START
    for number, (days, what, minor) in enumerate(story):
        today += timedelta(days=days)
        if what == "bill":
            run_billing(database, stage.reader, today)
        elif what == "dun":
            dun(stage, today)
        elif what == "pay":
            pay(stage, minor, today, str(number))
        else:
            with database.write() as conn:
                promises.make(conn, stage.account, today + timedelta(days=5), actor="staff-7", on=today)
        with database.write() as conn:
            (case,) = open_cases(conn, [stage.account], LATE)
        if what in ("dun", "pay", "promise"):
            assert case.late(today) or not case.held


def test_on_hold_protects_services(database: Database):
    """manual waits for a person, voice is blocked (its file keeps emergency calls), planned is left alone."""
    stage = Stage(database)
    free = stage.add(on_hold="manual")
    voice = stage.add(type="voice", on_hold="emergency-only")
    planned = stage.add(state="planned")
    run_billing(database, stage.reader, START)
    run = dun(stage)
    assert (run.held, run.manual) == ((voice,), (free,))
    assert yaml.safe_load(changes_of(database, run.hold_set)[0].content)["effect"] == "block"
    assert planned not in held(stage)


def test_a_hold_lifted_by_somebody_else_is_an_override(database: Database):
    """Pin 5: a reverted run is not repeated for that debt; a new due date is held again."""
    stage = owing(database)
    service = next(iter(stage.services))
    run = dun(stage)
    told(stage, "hold.added", service, 1, run.hold_set)
    told(stage, "hold.removed", service, 2)
    assert (held(stage), dun(stage, LATE + timedelta(days=30)).hold_set) == (set(), None)
    run_billing(database, stage.reader, LATE)
    assert dun(stage, date(2026, 2, 28)).hold_set is None  # February's debt is 13 days old
    assert dun(stage, date(2026, 3, 2)).held == (service,)


def test_resume_lets_dunning_go_on(database: Database):
    """A person ends the override; the next run holds again."""
    stage = owing(database)
    service = next(iter(stage.services))
    dun(stage)
    told(stage, "hold.removed", service, 1)
    with database.write() as conn:
        assert overrides.resume(conn, stage.account, "staff-7") == 1
    assert dun(stage).held == (service,)


def test_our_own_release_is_no_override(database: Database):
    """The indexer tells of a hold that our own change set lifted."""
    stage = owing(database)
    dun(stage)
    (set_id,) = pay(stage, 8690).set_ids
    told(stage, "hold.removed", next(iter(stage.services)), 1, set_id)
    with database.read() as conn:
        assert overrides.in_force(conn, [stage.account]) == {}


def test_a_hold_of_somebody_else_is_known_and_released_by_payment(database: Database):
    """A person adds a nonpayment hold: no second one is asked for, and the payment lifts it."""
    stage = owing(database)
    service = next(iter(stage.services))
    told(stage, "hold.added", service, 1)
    assert (dun(stage).hold_set, held(stage)) == (None, {service})
    assert len(pay(stage, 8690).set_ids) == 1


def test_an_event_told_twice_or_late_changes_nothing(database: Database):
    """Delivery is at least once: an older event cannot undo a newer one."""
    stage = owing(database)
    service = next(iter(stage.services))
    told(stage, "hold.added", service, 5)
    told(stage, "hold.removed", service, 4)
    told(stage, "hold.added", service, 5)
    assert held(stage) == {service}


def test_invariant_32_other_reasons_are_left_alone(database: Database):
    """An abuse hold comes and goes: billing neither keeps it nor releases it."""
    stage = owing(database)
    service = next(iter(stage.services))
    dun(stage)
    told(stage, "hold.added", service, 1, reason="abuse")
    told(stage, "hold.removed", service, 2, reason="abuse")
    (set_id,) = pay(stage, 8690).set_ids
    assert [change.path for change in changes_of(database, set_id)] == [
        path_of("hold", f"{service}.nonpayment")
    ]


def test_a_vacation_hold_stops_billing(database: Database):
    """Held for vacation on its first day of February: February is not billed."""
    stage = owing(database)
    service = next(iter(stage.services))
    with clock.frozen(clock.now().replace(year=2026, month=2, day=1, hour=3)):
        told(stage, "hold.added", service, 1, reason="vacation")
    run_billing(database, stage.reader, date(2026, 2, 10))
    assert [row.part_start for row in stage.standing()] == [START]


def test_a_refused_change_set_is_asked_for_again(database: Database):
    """The holds of a rejected set do not exist."""
    stage = owing(database)
    run = dun(stage)
    with database.write() as conn:
        holds.refused(conn, str(run.hold_set))
    assert dun(stage).held == run.held


def test_a_refused_release_is_asked_for_again(database: Database):
    """The hold still stands: the next run, with nothing overdue, releases it; told twice changes nothing."""
    stage = owing(database)
    dun(stage)
    (set_id,) = pay(stage, 8690).set_ids
    for _ in range(2):
        with database.write() as conn:
            holds.refused(conn, set_id)
    assert held(stage) == set(stage.services)
    assert dun(stage).released == tuple(stage.services)


def test_expect_travels_with_the_set(database: Database):
    """The count by which a person lets a large run pass its guard."""
    stage = owing(database)
    dun(stage, expect=1)
    assert [row.expect for row in all_sets(database)] == [1]


def test_a_promise_frees_at_once_and_a_broken_one_holds_again(database: Database):
    """Promised until the 10th: free on the 1st, held again once the policy's days have passed."""
    stage = owing(database)
    service = next(iter(stage.services))
    dun(stage)
    until = LATE + timedelta(days=9)
    with database.write() as conn:
        assert len(promises.make(conn, stage.account, until, actor="staff-7", on=LATE)) == 1
        with pytest.raises(PromiseNotUsable, match="has passed"):
            promises.make(conn, stage.account, START, actor="staff-7", on=LATE)
    assert dun(stage, until).hold_set is None
    assert dun(stage, until + timedelta(days=14)).held == (service,)


def test_a_policy_of_an_account_decides_the_days(database: Database):
    """Grace of five days, blocked on the second day after: the 22nd, not before."""
    with database.write() as conn:
        policies.set_policy(conn, "strict", [Step("stop", 2, "block")], grace=5)
        for steps, words in [
            ([], "no steps"),
            ([Step("x", 0)], "at least one day"),
            ([Step("x", 1, "burn")], "'burn'"),
        ]:
            with pytest.raises(PolicyNotUsable, match=words):
                policies.set_policy(conn, "wrong", steps)
    stage = Stage(database, dunning_policy="strict")
    stage.add()
    run_billing(database, stage.reader, START)
    assert dun(stage, DUE + timedelta(days=6)).hold_set is None
    assert len(dun(stage, DUE + timedelta(days=7)).held) == 1


def _both(one: Stage, two: Stage):
    one.services.update(two.services)
    return one.reader


def test_a_payment_that_is_told_late_releases_by_what_is_overdue_today(database: Database):
    """It came in before the second invoice was due; by now that one is overdue, too."""
    stage = owing(database)
    run_billing(database, stage.reader, date(2026, 2, 1))
    with clock.frozen(datetime(2026, 3, 20, 4, tzinfo=UTC)):
        dun(stage, date(2026, 3, 20))
        assert held(stage)
        assert pay(stage, 8_690, date(2026, 2, 10)).set_ids == ()
        assert held(stage)
        assert len(pay(stage, 8_690, date(2026, 3, 19), "k2").set_ids) == 1
        assert held(stage) == set()
