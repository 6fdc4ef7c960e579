"""Lane 2: subscriber objects on an OLT."""

import pytest

from core import ids
from reconciler import receipts
from tests.world import BLOCK, GARDEN, World, hold_path


@pytest.fixture
def world(settled: World) -> World:
    """Every device is as trunk says."""
    return settled


def _ports(world: World) -> dict[str, str]:
    """ONU's key -> state of its service port, as the OLT has it."""
    ports = world.fleet["olt1"].objects.table.ports.values()
    return {f"{port.pon}:{port.onu}": port.state for port in ports}


def test_lines_and_services_become_onus_and_service_ports(world: World) -> None:
    """Three active lines: three ONUs, three ports up, and an activation confirmed for each service."""
    assert _ports(world) == {"0/1/0:1": "up", "0/1/0:2": "up", "0/1/0:3": "up"}
    with world.one.db.read() as conn:
        from core import events

        confirmed = {event.subject for event in events.recent(conn, ["activation.confirmed"])}
    assert confirmed == {"S-1", "S-2", "S-3"}


def test_a_block_switches_the_port_off_and_its_release_on_again(world: World) -> None:
    """Suspension and resumption through the trunk, only for the one service."""
    commit = world.push({hold_path("S-2", "abuse"): BLOCK})
    world.one.settle()
    assert _ports(world) == {"0/1/0:1": "up", "0/1/0:2": "down", "0/1/0:3": "up"}
    with world.one.db.read() as conn:
        lane2 = [r for r in receipts.of_commit(conn, commit) if r.lane == 2]
    assert [(r.target, r.step, r.outcome) for r in lane2] == [("olt1", "line L-2", "acked")]
    world.push({hold_path("S-2", "abuse"): None})
    world.one.settle()
    assert _ports(world)["0/1/0:2"] == "up"


def test_a_walled_garden_leaves_the_port_on(world: World) -> None:
    """The garden is RADIUS's work: who is switched off cannot read why."""
    world.push({hold_path("S-2"): GARDEN})
    world.one.settle()
    assert _ports(world)["0/1/0:2"] == "up"


def test_a_removed_line_takes_its_objects_away(world: World) -> None:
    """Deleting the files of a line and its service removes service port and ONU, in this order."""
    world.push(
        {f"services/{ids.shard('S-3')}/S-3.yaml": None, f"lines/{ids.shard('L-3')}/L-3.yaml": None},
        "The customer left",
    )
    world.one.settle()
    assert set(_ports(world)) == {"0/1/0:1", "0/1/0:2"}
    assert {onu.onu for onu in world.fleet["olt1"].objects.table.onus.values()} == {1, 2}


def test_a_service_whose_file_is_deleted_loses_its_port_and_the_line_keeps_its_onu(world: World) -> None:
    """The file named the line; what was put on the device still knows whose it is."""
    world.push({f"services/{ids.shard('S-3')}/S-3.yaml": None}, "The service is gone")
    world.one.settle()
    assert set(_ports(world)) == {"0/1/0:1", "0/1/0:2"}
    assert {onu.onu for onu in world.fleet["olt1"].objects.table.onus.values()} == {1, 2, 3}


def test_an_olt_that_is_away_gets_its_objects_later(world: World) -> None:
    """Work waits with its reason and is done when the device is back."""
    import sqlalchemy as sa

    from reconciler import objects
    from reconciler.models import object_work

    world.fleet["olt1"].faults.set("refuse-login")
    world.push({hold_path("S-2", "abuse"): BLOCK})
    world.one.settle()
    with world.one.db.write() as conn:
        row = conn.execute(sa.select(object_work)).one()
        conn.execute(sa.update(object_work).values(not_before=row.not_before.replace(year=2020)))
    assert row.attempts == 1
    assert "olt1" in row.why
    world.fleet["olt1"].faults.clear()
    assert objects.perform(world.one.context, "olt1") == 1
    assert _ports(world)["0/1/0:2"] == "down"
