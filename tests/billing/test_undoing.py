"""Undoing runs: credit notes for what was final, voids for drafts, freed services; again it does nothing more."""

from datetime import date

import pytest
import sqlalchemy as sa

from billing import crediting, holds, payments, undoing
from billing.billrun import run_billing
from billing.dunning import run_dunning
from billing.errors import RunUnknown
from billing.ledger import RECEIVABLE, balance, trial_balance
from core.db import Database
from core.money import Money
from intents.models import change_set
from tests.billing.stage import START, Stage, all_sets, changes_of
from tests.faults_matrix import KILLED, run_child

LATE = date(2026, 2, 1)
POINTS = [undoing.P_UNDONE]


def owed(stage: Stage) -> int:
    """What the books have as receivable of the account."""
    with stage.database.read() as conn:
        assert sum(trial_balance(conn).values()) == 0
        return balance(conn, RECEIVABLE, stage.account, "AUD").minor


def test_a_bill_run_is_undone_by_credit_notes(database: Database):
    """Each invoice gets one that credits all of it; nobody owes; the days are not billed again; again adds nothing."""
    stage = Stage(database)
    stage.add()
    run = run_billing(database, stage.reader, START)
    assert undoing.undo(database, run.id, actor="anna", dry=True).credited == 1
    assert owed(stage) == 8690
    done = undoing.undo(database, run.id, actor="anna")
    assert (done.credited, done.numbers, done.left) == (1, (f"CN-{stage.entity}-000001",), ())
    assert owed(stage) == 0
    again = undoing.undo(database, run.id, actor="anna")
    assert (again.credited, again.numbers) == (0, ())
    run_billing(database, stage.reader, START)
    assert [one.total for one in stage.invoices()] == [8690, -8690]


def test_what_was_paid_becomes_credit_and_what_was_credited_is_not_credited_twice(database: Database):
    """A paid invoice is undone into the customer's credit; of a partly credited one only the rest is taken back."""
    stage = Stage(database)
    stage.add()
    run = run_billing(database, stage.reader, START)
    with database.write() as conn:
        payments.pay(conn, stage.account, Money(8690, "AUD"), "cash", f"{stage.entity}:p", on=START)
        crediting.credit(
            conn,
            stage.invoices()[0].id,
            {1: Money(900, "AUD")},
            actor="a",
            reason="r",
            key=f"{stage.entity}:c",
        )
    undoing.undo(database, run.id, actor="anna")
    assert sum(one.total for one in stage.invoices()) == 0
    assert owed(stage) == 0
    with database.read() as conn:
        assert balance(conn, "customer-credit", stage.account, "AUD").minor == -8690


def test_drafts_of_a_run_are_voided(database: Database):
    """And billed by the next run."""
    stage = Stage(database)
    stage.add()
    run = run_billing(database, stage.reader, START, finalise=False)
    assert undoing.undo(database, run.id, actor="anna").voided == 1
    run_billing(database, stage.reader, START)
    assert [one.state for one in stage.invoices()] == ["void", "final"]


def test_a_dunning_run_is_undone_by_one_change_set_of_a_person(database: Database):
    """All its holds go in one set with the person as actor; again adds nothing, and they are not held again."""
    stage = Stage(database)
    services = [stage.add(), stage.add()]
    run_billing(database, stage.reader, START)
    run = run_dunning(database, stage.reader, LATE)
    assert undoing.undo(database, run.id, actor="anna", dry=True).set_id is None
    done = undoing.undo(database, run.id, actor="anna")
    assert sorted(done.freed) == sorted(services)
    assert undoing.undo(database, run.id, actor="anna").set_id == done.set_id
    (mine,) = [row for row in all_sets(database) if row.set_id == done.set_id]
    assert (mine.actor, mine.actor_kind, mine.urgent) == ("anna", "staff", True)
    assert [change.op for change in changes_of(database, mine.set_id)] == ["delete", "delete"]
    with database.read() as conn:
        assert holds.held(conn, [stage.account]) == {}
    assert run_dunning(database, stage.reader, LATE).held == ()


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_the_middle_and_done_again_everything_is_undone_once(database: Database, point: str):
    """Four accounts of one run, killed after the second: the rest is credited by the next, nobody twice."""
    stages = [Stage(database, legal_entity="undone") for _ in range(4)]
    for stage in stages:
        stage.add()
    reader = stages[0].reader
    run = run_billing(database, reader, START)
    url = database.url.render_as_string(hide_password=False)
    assert run_child("tests.billing.doomed_undo", [url, run.id], point, 2).returncode == KILLED
    undoing.undo(database, run.id, actor="anna")
    assert [owed(stage) for stage in stages] == [0] * 4
    for stage in stages:
        assert [one.total for one in stage.invoices()] == [8690, -8690]


def test_an_unknown_run_is_one_sentence(database: Database):
    """What to look for."""
    with pytest.raises(RunUnknown, match="there is no run 'bill_x'"):
        undoing.undo(database, "bill_x", actor="anna")


def test_an_undo_whose_change_set_was_rejected_is_done_anew(database: Database):
    """Until then the services are held, and billing knows it."""
    stage = Stage(database)
    service = stage.add()
    run_billing(database, stage.reader, START)
    run = run_dunning(database, stage.reader, LATE)
    first = undoing.undo(database, run.id, actor="anna")
    with database.write() as conn:
        conn.execute(
            sa.update(change_set).where(change_set.c.set_id == first.set_id).values(state="rejected")
        )
        holds.refused(conn, first.set_id or "")
        assert set(holds.held(conn, [stage.account])) == {service}
    second = undoing.undo(database, run.id, actor="anna")
    assert second.set_id not in (None, first.set_id)
    with database.read() as conn:
        assert holds.held(conn, [stage.account]) == {}
