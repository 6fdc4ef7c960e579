"""`trunkline serve` as threads: roles, restarts, and RADIUS that answers first."""

from pathlib import Path

from aaa.radius.exchange import RadiusClient, circuit_attribute
from cli.installation import Installation
from cli.serving import Serving
from inventory.access import attachment
from reconciler import runs
from reconciler.states import RunState
from tests.support import eventually
from tests.world import GARDEN, NAS_SECRET, PASSWORD, World, hold_path


def _login(world: World, serving: Serving) -> list[str]:
    radius = serving.installation.radius
    client = RadiusClient("127.0.0.1", radius.auth_port, radius.acct_port, NAS_SECRET.encode())
    with serving.installation.reader() as reader:
        circuit = attachment(reader, reader.get("service", "S-1")).circuit
    reply = client.login("s1@example.net", PASSWORD, attributes=circuit_attribute(circuit))
    client.close()
    assert reply is not None
    return reply.attributes


def test_everything_is_served_and_a_restart_goes_on(tmp_path: Path) -> None:
    """Devices reach trunk, a subscriber logs in; after a restart a change that came meanwhile is taken up."""
    world = World(tmp_path / "home")
    try:
        with Serving(world.one) as serving:
            eventually(lambda: _verified(world) == 4, cap=60)
            assert "Framed-Pool = perth-cgn" in eventually(lambda: _login(world, serving), cap=10)
        world.push({hold_path("S-1"): GARDEN})
        again = Installation(world.settings)
        with Serving(again) as serving:
            eventually(lambda: "Framed-Pool = perth-garden" in _login(world, serving), cap=20)
        again.close()
    finally:
        world.close()


def _verified(world: World) -> int:
    with world.one.db.read() as conn:
        return sum(run.state is RunState.VERIFIED for run in runs.latest(conn).values())
