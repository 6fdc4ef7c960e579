"""The reconciler is killed at each of its fault points; the next process ends where an undisturbed one does."""

from pathlib import Path

import pytest
import sqlalchemy as sa

import reconciler.machine
import reconciler.objects
import reconciler.sessions
from core import clock, faults
from core.db import Database
from reconciler import receipts, runs
from reconciler.models import device_run, object_work, session_work
from reconciler.states import RunState
from tests.faults_matrix import KILLED, run_child
from tests.world import BLOCK, World, hold_path, settled_world

CHILD = "tests.reconciler.child"
POINTS = sorted(p for p in faults.ALL if p.split(".")[0] in ("machine", "objects", "sessions"))
LINK = "network/links/core1--core2.yaml"
_AROUND_THE_COMMIT = {
    "before_commit", "after_commit", "after_soak", "before_confirm", "after_confirm", "after_receipt",
}  # fmt: skip


def test_the_matrix_covers_every_point_of_the_reconciler() -> None:
    """A point that is declared and not killed here would be a promise that nobody tried."""
    declared = {
        value
        for module in (reconciler.machine, reconciler.objects, reconciler.sessions)
        for name, value in vars(module).items()
        if name.startswith("P_")
    }
    assert declared == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_changes_nothing_of_the_end(tmp_path: Path, point: str) -> None:
    """A change on devices that are as trunk says: killed in the middle, taken up by the next process."""
    with settled_world(tmp_path / "home") as made:
        home = str(tmp_path / "home")
        commit = made.push(
            {LINK: made.files[LINK].replace("ospf: 10", "ospf: 77"), hold_path("S-2", "abuse"): BLOCK}
        )
        killed = run_child(CHILD, [home], fault=point)
        assert killed.returncode == KILLED, killed.stderr
        _time_passes(made.one.db)
        again = run_child(CHILD, [home])
        assert again.returncode == 0, again.stderr
        _is_as_undisturbed(made, commit)


def _time_passes(db: Database) -> None:
    """What waits is due, leases of the dead process are over: what time does, without waiting for it."""
    from core.models import job, lease

    past = clock.now().replace(year=2020)
    with db.write() as conn:
        conn.execute(sa.update(device_run).values(not_before=None))
        conn.execute(sa.update(object_work).values(not_before=past))
        conn.execute(sa.update(session_work).values(not_before=past))
        conn.execute(sa.update(lease).values(until=past))
        conn.execute(sa.update(job).values(lease_until=past))


def _is_as_undisturbed(made: World, commit: str) -> None:
    with made.one.db.read() as conn:
        states = {device: run.state for device, run in runs.latest(conn).items()}
        done = {(r.lane, r.target, r.step, r.outcome) for r in receipts.of_commit(conn, commit)}
        waiting = [
            conn.execute(sa.select(sa.func.count()).select_from(table)).scalar()
            for table in (object_work, session_work)
        ]
    assert states == dict.fromkeys(("core1", "core2", "bng1", "olt1"), RunState.VERIFIED)
    assert done == {
        (3, "core1", "configuration", "acked"),
        (3, "core2", "configuration", "acked"),
        (2, "olt1", "line L-2", "acked"),
        (1, "S-2", "policy", "acked"),
    }
    assert waiting == [0, 0]
    for device in ("core1", "core2"):
        configuration = made.fleet[device].configuration
        assert "cost 77" in configuration.running
        assert configuration.pending is None
        texts = [entry.text for entry in configuration.state.history]
        assert sum("cost 77" in text for text in texts[:2]) <= 2
    states_of_ports = {port.onu: port.state for port in made.fleet["olt1"].objects.table.ports.values()}
    assert states_of_ports == {1: "up", 2: "down", 3: "up"}


ON_DEVICE = [p for p in POINTS if p.split(".")[1] in _AROUND_THE_COMMIT]


@pytest.mark.parametrize("point", ON_DEVICE)
def test_a_kill_around_the_commit_is_recovered_also_when_trunk_moved_on(tmp_path: Path, point: str) -> None:
    """The newer commit of the same link is applied on top: our own unfinished one is never taken for a foreign hand."""
    with settled_world(tmp_path / "home") as made:
        home = str(tmp_path / "home")
        made.push({LINK: made.files[LINK].replace("ospf: 10", "ospf: 77")})
        assert run_child(CHILD, [home], fault=point).returncode == KILLED
        made.push({LINK: made.files[LINK].replace("ospf: 10", "ospf: 78")})
        _time_passes(made.one.db)
        again = run_child(CHILD, [home])
        assert again.returncode == 0, again.stderr
        with made.one.db.read() as conn:
            found = {device: (run.state, run.why) for device, run in runs.latest(conn).items()}
        assert {state for state, _ in found.values()} == {RunState.VERIFIED}, found
        for device in ("core1", "core2"):
            assert "cost 78" in made.fleet[device].configuration.running
            assert made.fleet[device].configuration.pending is None
