"""A commit that cuts us off from its device: the device's own timer takes it back, and we do not try for ever."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from core import clock
from reconciler import runs
from reconciler.models import device_run
from reconciler.states import RunState
from tests.world import World

LINK = "network/links/core1--core2.yaml"


@pytest.fixture
def world(settled: World) -> World:
    """Every device is as trunk says."""
    return settled


def _time_passes(world: World) -> None:
    """The device's timer runs out, and what waits is due."""
    device = world.fleet["core1"]
    device.configuration.clock = lambda: clock.now().timestamp() + 3600
    device.configuration.expire()
    device.configuration.clock = lambda: clock.now().timestamp()
    with world.one.db.write() as conn:
        conn.execute(sa.update(device_run).values(not_before=clock.now() - timedelta(seconds=1)))


def test_it_ends_in_quarantine_with_the_old_configuration_after_three_tries(world: World) -> None:
    """drop-after-commit: the answer never comes, so nothing is ever confirmed."""
    before = world.fleet["core1"].configuration.running
    world.fleet["core1"].faults.set("drop-after-commit")
    world.push({LINK: world.files[LINK].replace("ospf: 10", "ospf: 77")})
    for _ in range(8):
        world.one.settle()
        _time_passes(world)
    with world.one.db.read() as conn:
        run = runs.latest(conn)["core1"]
    assert run.state is RunState.QUARANTINED
    assert "took the commit back" in (run.why or "")
    assert world.fleet["core1"].configuration.running == before


def test_a_deleted_index_is_built_again_and_every_lane_starts_over(world: World) -> None:
    """Another generation of the index: positions of the old one mean nothing."""
    from intents.index import layout

    layout.reset(world.one.index_db)
    commit = world.push({LINK: world.files[LINK].replace("ospf: 10", "ospf: 77")})
    world.one.settle()
    with world.one.db.read() as conn:
        found = runs.latest(conn)
    assert {run.commit_id for run in found.values()} == {commit}
    assert "cost 77" in world.fleet["core1"].configuration.running
