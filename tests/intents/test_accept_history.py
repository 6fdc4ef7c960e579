"""`trunkline accept-history`, as an operator calls it."""

import json
from pathlib import Path

from tests.intents.build import subscriber
from tests.intents.rig import Rig
from tests.support import trunkline


def test_the_command_lets_the_index_follow_a_rewritten_trunk(tmp_path: Path) -> None:
    """Stopped before, following after; the event names who said so."""
    rig = Rig(tmp_path / "home").begin()
    first = rig.repo.head() or ""
    rig.push(dict(subscriber(8)))
    rig.run()
    rig.repo.git("update-ref", "refs/heads/main", first)
    head = rig.push(dict(subscriber(9)))
    rig.run()
    assert rig.indexer.is_stopped()
    done = trunkline("accept-history", "--as", "staff-7", "--home", str(tmp_path / "home"), "--json")
    assert (done.returncode, json.loads(done.stdout)["accepted"]) == (0, head), done.stderr
    assert not rig.indexer.is_stopped()
    assert (rig.get("service", "S-8"), rig.get("service", "S-9").line) == (None, "L-9")
    assert [one["to"] for one in rig.events("index.accepted")] == [head]
