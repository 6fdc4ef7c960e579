"""Lane 3: from a commit to a proven device."""

from core import clock
from reconciler import baselines, receipts, runs
from reconciler.states import RunState
from tests.world import World


def _states(world: World) -> dict[str, RunState]:
    with world.one.db.read() as conn:
        return {device: run.state for device, run in runs.latest(conn).items()}


def test_every_device_gets_what_trunk_says_from_nothing(world: World) -> None:
    """After the first settle all devices are verified, with a receipt of the commit and their configuration."""
    world.one.settle()
    assert _states(world) == dict.fromkeys(("core1", "core2", "bng1", "olt1"), RunState.VERIFIED)
    with world.one.db.read() as conn:
        found = {(r.target, r.outcome) for r in receipts.recent(conn) if r.lane == 3}
    assert found == {(device, "acked") for device in ("core1", "core2", "bng1", "olt1")}
    assert "192.0.2.0/31" in world.fleet["core1"].configuration.running


def test_a_second_settle_touches_nothing(world: World) -> None:
    """No new run is made when trunk did not move."""
    world.one.settle()
    with world.one.db.read() as conn:
        before = runs.latest(conn)
    world.one.settle()
    with world.one.db.read() as conn:
        assert runs.latest(conn) == before


def test_a_link_change_reaches_only_its_two_ends(world: World) -> None:
    """Affected devices come from recorded reads."""
    world.one.settle()
    path = "network/links/core1--core2.yaml"
    commit = world.push({path: world.files[path].replace("ospf: 10", "ospf: 77")})
    world.one.settle()
    with world.one.db.read() as conn:
        touched = {device for device, run in runs.latest(conn).items() if run.commit_id == commit}
    assert touched == {"core1", "core2"}
    assert "77" in world.fleet["core2"].configuration.running


def test_a_hold_renders_no_device(world: World) -> None:
    """A subscriber's change never wakes the topology lane."""
    from tests.world import GARDEN, hold_path

    world.one.settle()
    commit = world.push({hold_path("S-1"): GARDEN})
    world.one.settle()
    with world.one.db.read() as conn:
        assert all(run.commit_id != commit for run in runs.latest(conn).values())


def test_a_foreign_change_on_the_device_stops_the_apply_and_asks(world: World) -> None:
    """Drift that nobody adopted is never undone behind its author's back."""
    world.one.settle()
    text = world.fleet["core1"].configuration.running
    by_hand = world.fleet["core1"].configuration
    by_hand.replace(99, text.replace("192.0.2.0/31", "192.0.2.8/31"))
    by_hand.commit(99, "somebody")
    path = "network/links/core1--core2.yaml"
    world.push({path: world.files[path].replace("ospf: 10", "ospf: 77")})
    world.one.settle()
    with world.one.db.read() as conn:
        run = runs.latest(conn)["core1"]
        drift = baselines.drifted(conn)
    assert run.state is RunState.PAUSED
    assert "somebody made on the device" in (run.why or "")
    assert drift["core1"][0] == "overruled"
    assert "192.0.2.8/31" in world.fleet["core1"].configuration.running


def test_an_unreachable_device_blocks_nobody_and_comes_again(world: World) -> None:
    """One dead device waits alone; when it is back its run goes through."""
    world.fleet["core2"].faults.set("refuse-login")
    world.one.settle()
    states = _states(world)
    assert states["core1"] is RunState.VERIFIED
    assert states["core2"] is not RunState.VERIFIED


def test_a_refused_line_quarantines_the_device_with_the_old_configuration(world: World) -> None:
    """What the device rejects is told, and what ran before runs on."""
    world.one.settle()
    before = world.fleet["core1"].configuration.running
    world.fleet["core1"].faults.set("reject", "77")
    path = "network/links/core1--core2.yaml"
    world.push({path: world.files[path].replace("ospf: 10", "ospf: 77")})
    world.one.settle()
    with world.one.db.read() as conn:
        run = runs.latest(conn)["core1"]
    assert run.state is RunState.QUARANTINED
    assert world.fleet["core1"].configuration.running == before
    assert clock.now() > run.updated_at


def test_a_link_that_the_intent_gave_up_is_not_missed(world: World) -> None:
    """Removing a link on purpose is applied: its neighbours may go, and nobody waits for them."""
    world.one.settle()
    world.push({"network/links/core1--core2.yaml": None}, "Take the link out")
    world.one.settle()
    assert _states(world) == dict.fromkeys(("core1", "core2", "bng1", "olt1"), RunState.VERIFIED)
    assert "192.0.2.0/31" not in world.fleet["core1"].configuration.running
