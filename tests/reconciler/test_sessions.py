"""Lane 1: a hold commit reaches RADIUS and every live session, with a NAS that answers like a real one."""

from collections.abc import Iterator
from functools import partial

import pytest

from aaa import enforcement
from aaa.radius.client import NasStandIn
from aaa.radius.exchange import RadiusClient
from core import clock
from reconciler import receipts
from reconciler.receipts import Receipt
from tests.support import eventually
from tests.world import GARDEN, NAS_SECRET, PASSWORD, World, hold_path


@pytest.fixture
def world(settled: World) -> World:
    """Every device is as trunk says."""
    return settled


@pytest.fixture
def nas(world: World) -> Iterator[NasStandIn]:
    """The RADIUS server of the world in this process, and a NAS stand-in in front of it."""
    with world.one.radius_in_process() as radius:
        client = RadiusClient("127.0.0.1", radius.auth_port, radius.acct_port, NAS_SECRET.encode())
        made = NasStandIn(client, NAS_SECRET.encode(), coa_port=world.coa_port).start()
        yield made
        made.stop()


def _lane1(world: World, commit: str) -> list[Receipt]:
    with world.one.db.read() as conn:
        return [r for r in receipts.of_commit(conn, commit) if r.lane == 1]


def _pool(nas: NasStandIn, login: str) -> str:
    # Empty while it redials.
    return "".join(line for one in nas.of(login) for line in one.policy if line.startswith("Framed-Pool"))


def test_a_hold_moves_the_live_session_into_the_garden_and_its_deletion_back(
    world: World, nas: NasStandIn
) -> None:
    """Hold commit -> Disconnect -> redial lands in the garden; deletion -> free; both with receipts."""
    nas.login("s1@example.net", PASSWORD)
    assert _pool(nas, "s1@example.net") == "Framed-Pool = perth-cgn"
    held = world.push({hold_path("S-1"): GARDEN})
    eventually(lambda: (world.one.settle(), _lane1(world, held))[1], cap=10)
    eventually(lambda: "garden" in _pool(nas, "s1@example.net"), cap=10)
    outcomes = {r.step.split(" ")[0]: r.outcome for r in _lane1(world, held)}
    assert outcomes == {"session": "acked", "policy": "acked"}
    freed = world.push({hold_path("S-1"): None})
    eventually(lambda: (world.one.settle(), _lane1(world, freed))[1], cap=10)
    eventually(lambda: _pool(nas, "s1@example.net") == "Framed-Pool = perth-cgn", cap=10)


def test_a_silent_nas_is_recorded_as_a_timeout_and_tried_again(world: World, nas: NasStandIn) -> None:
    """Done is never claimed without an answer."""
    nas.login("s1@example.net", PASSWORD)
    nas.faults.loss = 1.0
    held = world.push({hold_path("S-1"): GARDEN})
    eventually(lambda: (world.one.settle(rounds=3), _lane1(world, held))[1], cap=30)
    assert {r.outcome for r in _lane1(world, held)} == {"timeout"}


def test_a_service_without_a_session_is_settled_at_once(world: World, nas: NasStandIn) -> None:
    """Nothing to correct: the workers' acknowledgement is the proof."""
    held = world.push({hold_path("S-2"): GARDEN})
    eventually(lambda: (world.one.settle(), _lane1(world, held))[1], cap=10)
    (only,) = _lane1(world, held)
    assert (only.target, only.step, only.outcome) == ("S-2", "policy", "acked")
    nas.login("s2@example.net", PASSWORD)
    assert "garden" in _pool(nas, "s2@example.net")


def test_many_marked_sessions_are_not_read_at_every_step(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few are looked at at once; thousands that wait for a silent NAS are read twice a second."""
    lane = world.one.reconciler.sessions
    read: list[int] = []

    def marked(_db: object, many: int) -> dict[str, str]:
        read.append(many)
        lane._patience["S-9"] = 1, clock.monotonic() + 60
        return {f"ses_{number}": "S-9" for number in range(many)}

    for many in (1, 1000):
        monkeypatch.setattr(enforcement, "marked_sessions", partial(marked, many=many))
        for _ in range(3):
            lane.step()
    assert read == [1, 1, 1, 1000]
