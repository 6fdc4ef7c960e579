"""Invariant 14: the dry run is the real one that keeps nothing."""

from datetime import date

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import canonical, crediting
from billing.billrun import run_billing
from billing.models import META, bill_run
from billing.runs.rehearsal import rehearse
from core.db import Database
from tests.billing.stage import START, Stage
from tests.billing.world import MONTHS, World, worlds
from tests.support import examples

FEW = settings(
    max_examples=examples(5), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FEW
@given(worlds, st.integers(1, 3), st.booleans())
def test_invariant_14_a_dry_run_tells_what_the_real_one_does(database: Database, told, chunk, drafted):
    """Line by line, whatever the chunks, with drafts waiting or not: numbers, books, credit and parked accounts."""
    world = World(database, told)
    for month, on in enumerate(MONTHS[:3]):
        world.go(month)
        if drafted and month == 1:
            run_billing(database, world.reader, MONTHS[0], finalise=False)
        lines: list[str] = []
        dry = rehearse(database, world.reader, on, chunk=chunk, listener=lines.append)
        real = run_billing(database, world.reader, on)
        assert (dry.drafts, dry.lines, set(dry.final), dry.parked) == (
            real.drafts, real.lines, set(real.final), real.parked,
        )  # fmt: skip
        with database.read() as conn:
            assert lines == list(canonical.export_all(conn))


def test_a_dry_run_keeps_nothing(database: Database):
    """Not a row of any table differs after it."""
    stage = Stage(database)
    stage.add()
    before = _rows(database)
    run = rehearse(database, stage.reader, START)
    assert (run.drafts, run.final, _rows(database)) == (1, (f"INV-{stage.entity}-000001",), before)


def test_invoices_and_credit_notes_of_one_chunk_get_their_numbers_in_one_dry_run(database: Database):
    """Two series in one transaction (PostgreSQL: `relation "run_final" already exists`)."""
    stage = Stage(database)
    stage.add()
    run_billing(database, stage.reader, START)
    with database.write() as conn:
        crediting.credit(
            conn,
            stage.invoices()[0].number,
            {1: stage.money("10.00")},
            actor="olive",
            reason="outage",
            key="k",
        )
    run = rehearse(database, stage.reader, date(2026, 2, 1))
    assert set(run.final) == {f"INV-{stage.entity}-000002", f"CN-{stage.entity}-000001"}


def _rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    assert bill_run.name in META.tables
    with database.read() as conn:
        return {
            name: sorted((tuple(row) for row in conn.execute(sa.select(table))), key=str)
            for name, table in META.tables.items()
        }
