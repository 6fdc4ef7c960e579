"""`manage: partial`: only the device's sections are ours, and in them what left the intent leaves the device."""

import pytest

from reconciler import runs
from reconciler.states import RunState
from tests.world import World

CORE1 = "network/devices/core1.yaml"


@pytest.fixture
def partial(world: World) -> str:
    """core1's intent, of which we own the ports; it has run once with a spare port."""
    intent = world.files[CORE1].replace("manage: full", "manage: partial\nsections: [interfaces]")
    world.push({CORE1: intent + "interfaces: {spare: {description: not needed}}\n"})
    world.one.settle()
    return intent


def _core1(world: World) -> str:
    return world.fleet["core1"].configuration.running


def test_a_removed_port_leaves_the_device_and_other_sections_stay(world: World, partial: str) -> None:
    """A merge would leave the port behind; a replace would wipe the sections of somebody else."""
    assert "interface spare" in _core1(world)
    assert "router" not in _core1(world)
    world.push({CORE1: partial})
    world.one.settle()
    assert "interface spare" not in _core1(world)
    assert "hostname core1" in _core1(world)


def test_a_change_in_a_section_of_somebody_else_is_no_drift(world: World, partial: str) -> None:
    """The apply goes on and leaves their lines as they are."""
    configuration = world.fleet["core1"].configuration
    configuration.merge(0, "router\n  static 10.9.0.0/24 discard\n")
    configuration.commit(0, "somebody")
    world.push({CORE1: partial})
    world.one.settle()
    assert "interface spare" not in _core1(world)
    assert "static 10.9.0.0/24 discard" in _core1(world)
    with world.one.db.read() as conn:
        assert runs.latest(conn)["core1"].state is RunState.VERIFIED
