"""Drafts with grace: they wait, may be voided or made final early, and become final by themselves."""

from datetime import date

import pytest
import sqlalchemy as sa

from billing import billables, canonical
from billing.billables import Billable
from billing.billrun import run_billing
from billing.drafting.waiting import days_left, void, waiting
from billing.errors import InvoiceFinal
from billing.invoices import finalise
from billing.runs.choosing import Choice, graces
from billing.runs.rehearsal import rehearse
from billing.runs.verify import breaches
from core.db import Database
from core.models import event
from core.money import Money
from intents.config.schema import Config, Entity, Operator
from intents.reader import MemoryReader
from tests.billing.stage import START, Stage, reader_of


def reader(stage: Stage, grace: int = 3) -> MemoryReader:
    """The stage's legal entity waits so many days."""
    config = Config(
        schema=1, operator=Operator(name="Op", timezone="UTC", currency="AUD"),
        entities={stage.entity: Entity(name="Op", country="AU", grace=grace)},
    )  # fmt: skip
    base = reader_of(stage.services)
    kept = [(kind, known, value) for kind in ("service", "plan") for known, value in base.all(kind)]
    return MemoryReader.of([("config", "trunkline", config), *kept])


def states(stage: Stage) -> list[str]:
    """Of its documents."""
    return [row.state for row in stage.invoices()]


def day(n: int) -> date:
    """A day of January."""
    return date(2026, 1, n)


def test_drafts_wait_and_become_final_when_grace_is_over(database: Database):
    """On the third day, not before; issued on the day when it ended, though the run came later."""
    stage = Stage(database)
    stage.add()
    for n in (1, 2, 3):
        run_billing(database, reader(stage), day(n))
        assert states(stage) == ["draft"]
    run_billing(database, reader(stage), day(9))
    (made,) = stage.invoices()
    assert (made.state, made.billed_on, made.issued_on, made.due_on) == ("final", day(1), day(4), day(18))
    assert not list(breaches(database))


def test_invariant_14_a_rehearsal_knows_grace(database: Database):
    """Dry = real: on the days within it, and on the day when it ends."""
    stage = Stage(database)
    stage.add()
    for n in (1, 3, 4):
        told: list[str] = []
        rehearse(database, reader(stage), day(n), listener=told.append)
        run_billing(database, reader(stage), day(n))
        with database.read() as conn:
            mine = list(canonical.export_all(conn))
        assert told == mine


def test_a_person_makes_one_account_final_early(database: Database):
    """With the day's date; the other waits on; numbers have no gap and dates do not go back."""
    stage = Stage(database)
    stage.add()
    other = Stage(database, legal_entity=stage.entity, tax_profile=stage.entity)
    other.add()
    run_billing(database, reader(stage), day(1))
    assert finalise(database, Choice(on=day(2), issued=day(2), account=other.account)) == [
        f"INV-{stage.entity}-000001"
    ]
    assert (states(stage), states(other)) == (["draft"], ["final"])
    assert other.invoices()[0].issued_on == day(2)
    run_billing(database, reader(stage), day(4))
    assert stage.invoices()[0].number == f"INV-{stage.entity}-000002"
    assert not list(breaches(database))


def test_a_voided_draft_is_billed_again(database: Database):
    """Its charges are taken back, its billables wait; the history says who and why; twice is once."""
    stage = Stage(database)
    stage.add()
    with database.write() as conn:
        fee = Billable(account=stage.account, kind="one-off", source=f"{stage.entity}:fee", tax="gst",
                       description="Visit", amount=Money.parse("50", "AUD"), billed_from=START)  # fmt: skip
        billables.add(conn, fee, actor="test")
    run_billing(database, reader(stage), day(1))
    (draft,) = stage.invoices()
    with database.write() as conn:
        assert void(conn, draft.id, actor="anna", reason="wrong plan")
        assert not void(conn, draft.id, actor="anna", reason="wrong plan")
    assert stage.net() == 0
    run_billing(database, reader(stage), day(2))
    assert [(row.state, row.total) for row in stage.invoices()] == [("void", 14_190), ("draft", 14_190)]
    with database.read() as conn:
        query = sa.select(event).where(event.c.type == "invoice.voided", event.c.subject == stage.account)
        (told,) = conn.execute(query)
    assert (told.actor, told.data["reason"], told.data["draft"]) == ("anna", "wrong plan", draft.id)
    run_billing(database, reader(stage), day(5))
    with database.write() as conn, pytest.raises(InvoiceFinal):
        void(conn, stage.invoices()[-1].id, actor="anna", reason="too late")


def test_the_list_says_from_when_on_they_are_final(database: Database):
    """In the order of their numbers."""
    stage = Stage(database)
    stage.add()
    run_billing(database, reader(stage, 10), day(1))
    with database.read() as conn:
        (one,) = waiting(conn, graces(reader(stage, 10)), stage.account)
        assert waiting(conn, {}, stage.account, "bill_nowhere") == []
    assert (one.final_from, str(one.total), one.kind) == (day(11), "AUD 86.90", "invoice")
    assert (days_left(one, day(8)), days_left(one, day(12))) == (3, 0)
