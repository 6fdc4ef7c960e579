"""`manage: partial`: only the device's sections are ours, and in them what left the intent leaves the device."""

from tests.world import World


def test_a_removed_link_leaves_a_partially_managed_device_and_other_sections_stay(world: World) -> None:
    """A merge would leave the port behind; a replace would wipe the sections of somebody else."""
    path = "network/devices/core1.yaml"
    partial = world.files[path].replace("manage: full", "manage: partial\nsections: [interfaces]")
    world.push({path: partial})
    world.one.settle()
    running = world.fleet["core1"].configuration.running
    assert "address 192.0.2.0/31" in running
    assert "router" not in running
    world.push({"network/links/core1--core2.yaml": None})
    world.one.settle()
    assert "192.0.2.0/31" not in world.fleet["core1"].configuration.running
    assert "hostname core1" in world.fleet["core1"].configuration.running
