"""Invariant 14: the dry run is the real one that keeps nothing."""

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing import canonical
from billing.billrun import run_billing
from billing.models import META, bill_run
from billing.runs.rehearsal import rehearse
from core.db import Database
from tests.billing.stage import START, Stage
from tests.billing.world import MONTHS, World, worlds

FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


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


def _rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    assert bill_run.name in META.tables
    with database.read() as conn:
        return {
            name: sorted((tuple(row) for row in conn.execute(sa.select(table))), key=str)
            for name, table in META.tables.items()
        }
