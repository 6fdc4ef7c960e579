"""A change set that a guard holds back."""

from intents import queue
from tests.world import GARDEN, World, hold_path


def park(world: World) -> str:
    """Two holds of billing where one may pass: they wait. Returns the change set."""
    world.push(
        {
            "trunkline.yaml": world.files["trunkline.yaml"].replace(
                "restrict: {count: 50}", "restrict: {count: 1}"
            )
        }
    )
    world.one.settle()
    puts = [queue.Change(path=hold_path(one), content=GARDEN.encode()) for one in ("S-1", "S-2")]
    with world.one.db.write() as conn:
        set_id = queue.submit(conn, actor="billing", reason="nonpayment", changes=puts)
    world.one.settle()
    return set_id
