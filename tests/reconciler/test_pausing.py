"""What a person asks of devices: pause, unpause, apply."""

from datetime import timedelta

import pytest

from core import clock
from inventory.errors import DeviceMissing
from reconciler import pausing, runs
from reconciler.states import RunState
from tests.world import BLOCK, World, hold_path

LINK = "network/links/core1--core2.yaml"


@pytest.fixture
def world(settled: World) -> World:
    """Every device is as trunk says."""
    return settled


def _cost(world: World, cost: int) -> str:
    return world.push({LINK: world.files[LINK].replace("ospf: 10", f"ospf: {cost}")})


def _pause(world: World, device: str, **length: int) -> None:
    with world.one.reader() as reader, world.one.db.write() as conn:
        pausing.pause(conn, device, timedelta(**length), actor="oncall", why="fixing", reader=reader)


def _newest(world: World, device: str) -> runs.Run:
    with world.one.db.read() as conn:
        return runs.latest(conn)[device]


def test_nothing_is_written_to_a_paused_device_and_the_others_go_on(world: World) -> None:
    """A pause holds its device alone; unpaused, what waited is applied at once."""
    _pause(world, "core2", hours=2)
    _cost(world, 77)
    world.one.settle()
    assert _newest(world, "core1").state is RunState.VERIFIED
    assert _newest(world, "core2").state is RunState.PAUSED
    assert "77" not in world.fleet["core2"].configuration.running
    with world.one.db.write() as conn:
        assert pausing.unpause(conn, "core2", actor="oncall")
        assert not pausing.unpause(conn, "core2", actor="oncall")
    world.one.settle()
    assert _newest(world, "core2").state is RunState.VERIFIED
    assert "77" in world.fleet["core2"].configuration.running


@pytest.mark.parametrize("days", [0, -1, 31])
def test_a_pause_has_a_length_that_somebody_remembers(world: World, days: int) -> None:
    """None, a negative one and one over thirty days are refused: a device forgotten in a pause never converges."""
    with pytest.raises(pausing.PauseNotUsable, match="core1"):
        _pause(world, "core1", days=days)


def test_a_pause_ends_by_itself(world: World) -> None:
    """When its time is over the run goes on without anybody."""
    _pause(world, "core1", hours=2)
    _cost(world, 78)
    world.one.settle()
    with clock.frozen(clock.now() + timedelta(hours=3)):
        world.one.settle()
        assert _newest(world, "core1").state is RunState.VERIFIED


def test_subscriber_objects_wait_for_a_paused_device(world: World) -> None:
    """Lane 2 writes nothing to a paused OLT, and all of it afterwards."""

    def state() -> str:
        ports = world.fleet["olt1"].objects.table.ports.values()
        return next(port.state for port in ports if port.onu == 1)

    _pause(world, "olt1", hours=1)
    world.push({hold_path("S-1"): BLOCK})
    world.one.settle()
    assert state() == "up"
    with world.one.db.write() as conn:
        pausing.unpause(conn, "olt1", actor="oncall")
    world.one.settle()
    assert state() == "down"


def test_apply_asks_again_and_overrules_only_when_told(world: World) -> None:
    """A foreign change is undone by `apply` with overrule alone."""
    by_hand = world.fleet["core1"].configuration
    by_hand.replace(99, by_hand.running.replace("192.0.2.0/31", "192.0.2.8/31"))
    by_hand.commit(99, "somebody")
    for overrule, state in ((False, RunState.PAUSED), (True, RunState.VERIFIED)):
        with world.one.reader() as reader, world.one.db.write() as conn:
            asked = pausing.apply(conn, reader, ["core1"], actor="oncall", overrule=overrule)
        world.one.settle()
        assert _newest(world, "core1").run_id == asked["core1"]
        assert _newest(world, "core1").state is state


def test_apply_of_all_asks_for_every_managed_device(world: World) -> None:
    """Without names all managed devices are asked for, in waves."""
    with world.one.reader() as reader, world.one.db.write() as conn:
        asked = pausing.apply(conn, reader, actor="oncall")
    assert sorted(asked) == ["bng1", "core1", "core2", "olt1"]


def test_a_device_that_is_not_there_is_refused(world: World) -> None:
    """Nothing is written for a name that no intent has."""
    with world.one.reader() as reader, world.one.db.write() as conn:
        with pytest.raises(DeviceMissing):
            pausing.apply(conn, reader, ["core9"], actor="oncall")
        with pytest.raises(DeviceMissing):
            pausing.pause(conn, "core9", timedelta(hours=1), actor="oncall", reader=reader)


def test_a_wave_that_failed_and_was_repaired_lets_the_later_ones_go(world: World) -> None:
    """The newest run of each device decides, not the one that failed."""
    world.fleet["core1"].faults.set("reject", "77")
    _cost(world, 77)
    world.one.settle()
    assert _newest(world, "core1").state is RunState.QUARANTINED
    world.fleet["core1"].faults.clear()
    with world.one.reader() as reader, world.one.db.write() as conn:
        pausing.apply(conn, reader, ["core1"], actor="oncall")
    world.one.settle()
    with clock.frozen(clock.now() + timedelta(minutes=2)):
        world.one.settle()
    assert {d: _newest(world, d).state for d in ("core1", "core2")} == dict.fromkeys(
        ("core1", "core2"), RunState.VERIFIED
    )
