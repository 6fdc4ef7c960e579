"""Undo with rebill: a month that was billed wrongly is taken back and billed anew, and ends as if it had been right."""

from collections import Counter
from datetime import date

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings

from billing import crediting, invoices, ledger, subscriptions, taxes, undoing
from billing.billables import Billable, add
from billing.billrun import run_billing
from billing.closing.recognition import recognise
from billing.errors import DraftBuiltOn
from billing.explain import explain
from billing.models import billable, invoice, ledger_entry, ledger_transaction
from billing.runs.verify import breaches
from core.db import Database
from core.money import Money
from tests.billing.stage import START, Stage
from tests.billing.test_taxing import surcharge
from tests.billing.world import MONTHS, World, worlds
from tests.support import examples

FEB = date(2026, 2, 1)
FEW = settings(
    max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip


def rate(database: Database, profile: str, text: str) -> None:
    """What gst is from ever on."""
    with database.write() as conn:
        inclusive = profile.startswith("inclusive")
        taxes.set_rate(conn, "gst", text, profile=profile, valid_from=date(2000, 1, 1), inclusive=inclusive)


def test_a_month_at_a_wrong_rate_is_taken_back_and_billed_anew(database: Database):
    """20% instead of 10%: credit note, new invoice, numbers without a gap; again adds nothing."""
    stage = Stage(database)
    stage.add()
    rate(database, stage.entity, "20%")
    run = run_billing(database, stage.reader, START)
    dry = undoing.undo(database, run.id, actor="anna", dry=True, rebill=True)
    assert (dry.credited, dry.taken_back, dry.numbers) == (1, 1, ())
    done = undoing.undo(database, run.id, actor="anna", rebill=True)
    assert (done.credited, done.taken_back, done.left) == (1, 1, ())
    assert undoing.undo(database, run.id, actor="anna", rebill=True).taken_back == 0
    rate(database, stage.entity, "10%")
    run_billing(database, stage.reader, START)
    run_billing(database, stage.reader, START)
    assert sorted(one.total for one in stage.invoices()) == [-9480, 8690, 9480]
    assert [one.sequence for one in stage.invoices() if one.kind == "invoice"] == [1, 2]
    assert stage.net() == 7900
    assert list(breaches(database)) == []


def test_a_run_that_was_undone_before_can_still_be_billed_anew(database: Database):
    """`undo`, and then `undo --rebill`: the notes are there, the charges are taken back."""
    stage = Stage(database)
    stage.add()
    run = run_billing(database, stage.reader, START)
    undoing.undo(database, run.id, actor="anna")
    done = undoing.undo(database, run.id, actor="anna", rebill=True)
    assert (done.credited, done.taken_back) == (0, 1)
    run_billing(database, stage.reader, START)
    assert sum(one.total for one in stage.invoices()) == 8690
    assert list(breaches(database)) == []


def test_what_happened_once_is_billed_anew_too(database: Database):
    """Usage: one revision takes it back, one waits; the sum of the source stays what it was."""
    stage = Stage(database)
    with database.write() as conn:
        given_ = Billable(account=stage.account, kind="usage", source=stage.entity, description="Usage",
                          amount=Money(500, "AUD"), billed_from=START, tax="gst")  # fmt: skip
        add(conn, given_, actor="test")
    run = run_billing(database, stage.reader, START)
    undoing.undo(database, run.id, actor="anna", rebill=True)
    undoing.undo(database, run.id, actor="anna", rebill=True)
    run_billing(database, stage.reader, START)
    assert [one.total for one in stage.invoices()] == [550, -550, 550]
    with database.read() as conn:
        rows = (
            conn.execute(sa.select(billable.c.amount).where(billable.c.source == stage.entity))
            .scalars()
            .all()
        )
    assert sorted(rows) == [-500, 500, 500]


def test_what_a_later_bill_took_back_is_not_credited_twice(database: Database):
    """Ceased on January 11 after the month was billed: a later run gave back 20 days; undoing leaves those alone."""
    stage = Stage(database)
    service = stage.add()
    run = run_billing(database, stage.reader, START)
    with database.write() as conn:
        subscriptions.cease(conn, service, date(2026, 1, 11), "test")
    run_billing(database, stage.reader, date(2026, 1, 12))
    before = sum(one.total for one in stage.invoices())
    done = undoing.undo(database, run.id, actor="anna", rebill=True)
    assert done.credited == 0
    run_billing(database, stage.reader, date(2026, 1, 12))
    assert sum(one.total for one in stage.invoices()) == before


def test_a_credit_note_of_the_run_is_taken_back_by_an_invoice(database: Database):
    """The run that gave 20 days back is undone: it is owed again, and the next run gives it back anew."""
    stage = Stage(database)
    service = stage.add()
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        subscriptions.cease(conn, service, date(2026, 1, 11), "test")
    run = run_billing(database, stage.reader, date(2026, 1, 12))
    before, net = sum(one.total for one in stage.invoices()), stage.net()
    assert undoing.undo(database, run.id, actor="anna", rebill=True).left == ()
    assert (sum(one.total for one in stage.invoices()), stage.net()) == (8690, 7900)
    run_billing(database, stage.reader, date(2026, 1, 12))
    assert (sum(one.total for one in stage.invoices()), stage.net()) == (before, net)
    assert list(breaches(database)) == []


def test_what_a_person_credited_before_is_named(database: Database):
    """Billed anew it is the whole again: a person decides whether goodwill is given again."""
    stage = Stage(database)
    stage.add()
    run = run_billing(database, stage.reader, START)
    with database.write() as conn:
        part = {1: Money(900, "AUD")}
        crediting.credit(conn, stage.invoices()[0].id, part, actor="a", reason="r", key=stage.entity)
    done = undoing.undo(database, run.id, actor="anna", rebill=True)
    assert [told.partition(" (")[0] for told in done.left] == [
        f"INV-{stage.entity}-000001 was credited with AUD 9.90 before"
    ]


def test_a_note_that_was_built_on_is_not_voided(database: Database):
    """Its charges are billed anew: without the note they would stand twice. Before that it can be."""
    stage = Stage(database)
    stage.add()
    run = run_billing(database, stage.reader, START)
    waits = Stage(database)
    waits.add()
    run_billing(database, waits.reader, START, finalise=False)  # a foreign draft: the note stays a draft
    for _ in range(2):
        undoing.undo(database, run.id, actor="anna", rebill=True)
        note = stage.invoices()[-1]
        assert note.state == "draft"
        if not stage.standing():
            with database.write() as conn:
                invoices.void(conn, note.id)
            assert stage.net() == 7900
    undoing.undo(database, run.id, actor="anna", rebill=True)
    note = next(one for one in stage.invoices() if one.state == "draft")
    run_billing(database, stage.reader, START, finalise=False)
    with database.write() as conn, pytest.raises(DraftBuiltOn):
        invoices.void(conn, note.id)


def sums(world: World) -> dict:
    """Per account: what stands charged, all documents together, and the books after everything is recognised."""
    found = {}
    with world.database.read() as conn:
        for n, stage in enumerate(world.stages):
            query = sa.select(sa.func.sum(invoice.c.total), sa.func.sum(invoice.c.tax)).where(
                invoice.c.account_id == stage.account, invoice.c.state == "final"
            )
            totals = tuple(int(one or 0) for one in conn.execute(query).one())
            stands = Counter((row.kind, row.part_start, row.part_end, row.amount) for row in stage.standing())
            credit = ledger.balance(conn, "customer-credit", stage.account, "AUD").minor
            owed = ledger.balance(conn, "receivable", stage.account, "AUD").minor
            found[n] = (totals, stands, owed + credit)
        query = (
            sa.select(ledger_entry.c.ledger, sa.func.sum(ledger_entry.c.amount)).join(ledger_transaction)
            .where(ledger_transaction.c.legal_entity == world.entity).group_by(ledger_entry.c.ledger)
        )  # fmt: skip
        books = {row[0]: int(row[1]) for row in conn.execute(query)}
    claim = books.pop("receivable", 0) + books.pop("customer-credit", 0)
    return {**found, "claim": claim, "books": {name: minor for name, minor in books.items() if minor}}


@FEW
@given(worlds)
def test_a_month_billed_wrongly_and_anew_is_the_month_billed_right(database: Database, told):
    """Random worlds: February at a wrong rate, undone, billed anew: documents net of notes, charges and books agree."""
    right, wrong = World(database, told), World(database, told)
    for n, month in enumerate(MONTHS[:3]):
        for one in (right, wrong):
            one.go(n)
        if n != 1:
            run_billing(database, right.reader, month)
            continue
        for kind in ("plain", "inclusive"):
            rate(database, f"{kind}-{wrong.entity}", "20%")
        run = run_billing(database, right.reader, month)
        undone = undo_of(wrong, run.id)
        for kind in ("plain", "inclusive"):
            rate(database, f"{kind}-{wrong.entity}", "10%")
        run_billing(database, right.reader, month)
        assert undone.left == ()
    for one in (right, wrong):
        recognise(database, date(2026, 9, 1), entity=one.entity)
    assert sums(wrong) == sums(right)
    assert [one for one in breaches(database) if wrong.entity in str(one)] == []


def undo_of(world: World, run: str) -> undoing.Undone:
    """Undo what a run billed in this world only: the other's documents are somebody else's."""
    mine = sa.select(invoice.c.id).where(invoice.c.legal_entity == world.entity, invoice.c.run_id == run)
    with world.database.write() as conn:
        conn.execute(sa.update(invoice).where(invoice.c.id.in_(mine)).values(run_id=f"{run}x"))
        conn.exec_driver_sql(
            f"INSERT INTO bill_run (id, billed_on, started_at) SELECT '{run}x', billed_on, started_at FROM bill_run "
            f"WHERE id = '{run}'"
        )
    return undoing.undo(world.database, f"{run}x", actor="anna", rebill=True)


def test_a_run_with_surcharges_is_billed_anew(database: Database):
    """A surcharge has the charge of the line before it: that is taken back once, and both come again as they were."""
    stage = Stage(database)
    stage.add()
    surcharge(stage)
    run = run_billing(database, stage.reader, START)
    (before,) = stage.invoices()
    dry = undoing.undo(database, run.id, actor="anna", dry=True, rebill=True)
    done = undoing.undo(database, run.id, actor="anna", rebill=True)
    assert (dry.taken_back, done.taken_back, done.left) == (1, 1, ())
    run_billing(database, stage.reader, START)
    assert sorted(one.total for one in stage.invoices()) == [-before.total, before.total, before.total]
    assert list(breaches(database)) == []


def test_a_surcharge_says_of_what_and_how_much(database: Database):
    """79.00 x 5.2%: the line, its amount, and the part."""
    stage = Stage(database)
    stage.add()
    surcharge(stage)
    run_billing(database, stage.reader, START)
    with database.read() as conn:
        told = explain(conn, stage.invoices()[0].id)["lines"]
    assert told[1]["why"].startswith("a surcharge: 5.2% of line 1, AUD 79.00, half-up")
