"""The whole loop on a real PostgreSQL: recorded state and derived state in one database, two schemas."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from reconciler.models import device_run
from tests.postgres import Cluster
from tests.proof.loop import nas_of, pool_of, proven
from tests.support import eventually
from tests.world import GARDEN, PASSWORD, World, hold_path, world


@pytest.mark.real
def test_a_hold_and_its_deletion_go_through_the_whole_loop_on_postgresql(
    postgres: Cluster, tmp_path: Path
) -> None:
    """Devices are applied, a login is answered, held into the garden and freed, each with receipts."""
    with postgres.fresh_database() as url, world(tmp_path / "home", database_url=url, index_url=url) as made:
        with nas_of(made) as nas:
            assert unfinished(made) == set()
            nas.login("s1@example.net", PASSWORD)
            assert pool_of(nas, "s1@example.net") == "perth-cgn"
            held = made.push({hold_path("S-1"): GARDEN})
            assert {one.step.split(" ")[0]: one.outcome for one in proven(made, held)} == {
                "session": "acked",
                "policy": "acked",
            }
            eventually(lambda: pool_of(nas, "s1@example.net") == "perth-garden", cap=20)
            freed = made.push({hold_path("S-1"): None})
            assert {one.outcome for one in proven(made, freed)} == {"acked"}
            eventually(lambda: pool_of(nas, "s1@example.net") == "perth-cgn", cap=20)
        database = sa.make_url(url).database
        assert database is not None
        assert int(postgres.sql("SELECT count(*) FROM derived.document", database)) == len(made.files)
        assert int(postgres.sql("SELECT count(*) FROM receipt", database)) > 0


def unfinished(made: World) -> set[str]:
    """Devices whose last run is not verified, after everything settled."""
    made.one.reconciler.run_until_idle()
    made.one.settle()
    return {name for name, state in states(made).items() if state != "verified"}


def states(made: World) -> dict[str, str]:
    """Device -> the state of its newest run."""
    with made.one.db.read() as conn:
        rows = conn.execute(sa.select(device_run.c.device, device_run.c.state))
        return {str(device): str(state) for device, state in rows}
