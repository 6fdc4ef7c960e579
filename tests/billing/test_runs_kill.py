"""Invariants 2 and 3 with processes: killed anywhere and resumed, or several at once, a run ends as one undisturbed."""

import subprocess
import sys
from datetime import date

import pytest

from billing import billrun
from billing.billrun import run_billing
from billing.runs import numbering
from billing.runs.verify import breaches
from core.db import Database
from tests.billing.stage import START
from tests.billing.world import World
from tests.faults_matrix import KILLED, run_child
from tests.support import ROOT

FEB = date(2026, 2, 1)
POINTS = [billrun.P_CHUNK, billrun.P_DRAFTS, numbering.P_NUMBER, numbering.P_STRETCH]
PASSAGES = {billrun.P_DRAFTS: (1,)}


def told(n: int):
    """Account n: most renew, some have a change, usage, a payment, or no tax rate."""
    story = [(1, date(2026, 1, 10), ("slow", "cease", "block")[n % 3])] if n % 4 == 1 else []
    return {
        "anchor": 1,
        "profile": "none" if n == 6 else "inclusive" if n % 2 else "plain",
        "services": [("fibre", date(2025, 12, 1), story), ("quarterly", date(2025, 12, 1), [])][: 1 + n % 2],
        "usage": [(500 + n, date(2026, 1, 20))] if n % 5 == 2 else [],
        "paid": [(1, 20_000)] if n == 3 else [],
    }


def a_world(database: Database) -> World:
    """Eleven accounts, billed for January; what happened since waits for February's run."""
    world = World(database, [told(n) for n in range(11)])
    world.go(0)
    run_billing(database, world.reader, START, chunk=3)
    world.go(1)
    return world


@pytest.mark.parametrize("passage", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_invariant_2_killed_at_any_passage_and_resumed_the_export_is_the_same(
    database: Database, point: str, passage: int
):
    """SIGKILL with two threads at work, then a run that ends: equal to a world that was never disturbed."""
    if passage not in PASSAGES.get(point, (1, 2, 3)):
        return
    killed = a_world(database)
    url = database.url.render_as_string(hide_password=False)
    done = run_child("tests.billing.doomed_run", [url, str(FEB), "3", "2"], point, passage)
    assert done.returncode == KILLED
    run_billing(database, killed.reader, FEB)
    calm = a_world(database)
    run_billing(database, calm.reader, FEB)
    assert killed.export() == calm.export()
    assert list(breaches(database)) == []


@pytest.mark.parametrize("chunks", [(2, 2, 2), (1, 2, 3, 5)])
def test_invariant_3_processes_that_run_at_once_do_what_one_does(database: Database, chunks: tuple[int, ...]):
    """Processes of two threads each on one database, their chunks alike or not: the export is that of one, numbers
    included.
    """
    together = a_world(database)
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.billing.doomed_run", url, str(FEB)]
    started = [
        subprocess.Popen([*command, str(chunk), "2"], cwd=ROOT, stderr=subprocess.PIPE) for chunk in chunks
    ]
    told_by = [(one.communicate(timeout=120)[1], one.returncode) for one in started]
    assert {code for _, code in told_by} == {0}, told_by
    alone = a_world(database)
    run_billing(database, alone.reader, FEB)
    assert together.export() == alone.export()
    assert list(breaches(database)) == []
