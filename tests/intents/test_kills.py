"""Killed at any point of committer or indexer, a fresh process ends where an undisturbed one does."""

import re
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from core import faults
from core.models import event
from intents.committer import parked
from intents.kinds import path_of
from intents.models import change_batch, change_set
from intents.queue import Change
from tests.faults_matrix import KILLED, run_child
from tests.intents.build import hold_path, service_file
from tests.intents.rig import GUARDED, Rig
from tests.support import ROOT

POINTS = sorted(name for name in faults.ALL if name.startswith(("committer.", "indexer.")))


def loop(home: Path, fault: str = "") -> int:
    """Let a process of its own work until idle, killing itself at a point when one is named; its status."""
    done = run_child("tests.intents.loop", [str(home)], fault)
    assert done.returncode in (0, KILLED), done.stderr
    return done.returncode


def prepare(home: Path) -> None:
    """A queue with holds, a release, a set that a guard parks, one that conflicts; and an engineer's commits."""
    rig = Rig(home).begin(30, GUARDED)
    rig.indexer.run_once()
    rig.land("billing", "nonpayment", rig.hold(20))
    rig.push({path_of("service", "S-3"): b"broken: [", hold_path(21, "abuse"): b"effect: block\n"})
    rig.submit("billing", "nonpayment", *[rig.hold(n) for n in range(3)])
    rig.submit("billing", "nonpayment", *[rig.hold(n) for n in range(10)])
    rig.submit("billing", "nonpayment", rig.release_path(20))
    rig.submit("billing", "nonpayment", rig.hold(1, precondition="absent"))
    rig.submit("crm", "plan", queue_change())
    rig.db.close()
    rig.index_db.close()


def queue_change() -> Change:
    return Change(path=path_of("service", "S-4"), content=service_file(4, "slow"))


def ending(home: Path) -> dict[str, object]:
    """All that must be the same: trunk's files, every set's state, one event for each, the index."""
    rig = Rig(home).open()
    with rig.db.read() as conn:
        states = list(conn.execute(sa.select(change_set.c.state).order_by(change_set.c.seq)).scalars())
        told = sa.select(event.c.type, sa.func.count()).group_by(event.c.type)
        open_batches = sa.select(sa.func.count()).where(change_batch.c.state == "recorded")
        found = {
            "states": states,
            "events": sorted((kind, count) for kind, count in conn.execute(told)),
            "open": conn.execute(open_batches).scalar(),
            "pinned": len(parked(conn)) == len(rig.repo.refs("refs/trunkline/held/")),
        }
    tree = rig.repo.git("rev-parse", "main^{tree}")
    subjects = rig.repo.git("log", "--first-parent", "--format=%s", "main")
    index = rig.dump().replace((rig.repo.head() or "").encode(), b"HEAD")
    for commit in rig.repo.first_parents(None, rig.repo.head() or ""):
        index = index.replace(commit.encode(), b"COMMIT")
    assert rig.dump() == rig.cold_dump()
    staging = rig.repo.refs("refs/trunkline/staging/")
    return found | {"tree": tree, "subjects": subjects, "index": index, "staging": staging}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("kills") / "prepared"
    prepare(home)
    return home


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    home = tmp_path_factory.mktemp("kills") / "undisturbed"
    shutil.copytree(prepared, home)
    assert loop(home) == 0
    return ending(home)


def test_the_undisturbed_end_is_what_was_asked_for(undisturbed: dict[str, object]) -> None:
    """The yardstick itself: landed, parked, landed, conflicted, landed, after the hold that was there before."""
    assert undisturbed["states"] == ["landed", "landed", "parked", "landed", "conflicted", "landed"]
    assert undisturbed["staging"] == {}


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_the_end_is_the_same(
    point: str, prepared: Path, undisturbed: dict[str, object], tmp_path: Path
) -> None:
    """Each set landed exactly once, the same tree, the same events, the same index."""
    home = tmp_path / "home"
    shutil.copytree(prepared, home)
    if point == "committer.in_recovery":
        assert loop(home, "committer.after_update_ref") == KILLED, (
            "recovery has nothing to do without a crash"
        )
    assert loop(home, point) == KILLED, f"the scenario does not pass {point}"
    assert loop(home) == 0
    assert ending(home) == undisturbed


def test_every_point_that_the_room_declares_is_killed() -> None:
    """A point in a module that nobody imports here would escape the matrix."""
    sources = "".join(path.read_text() for path in (ROOT / "intents").rglob("*.py"))
    assert sorted(re.findall(r'faults\.declare\("([^"]+)"\)', sources)) == POINTS
    assert {point.split(".")[0] for point in POINTS} == {"committer", "indexer"}
