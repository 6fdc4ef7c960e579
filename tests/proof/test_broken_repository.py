"""A repository with every class of mistake: validation lists each; as trunk it stops nobody."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from intents import queue
from intents.index.models import quarantine
from tests.proof import broken
from tests.proof.loop import lane1, nas_of, pool_of, proven
from tests.support import ROOT, eventually, trunkline
from tests.world import GARDEN, PASSWORD, World, hold_path
from tests.world import world as make

BOUND = 30.0
"""Seconds for the whole command, start of Python included, on a busy machine; it takes about two."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A small provider."""
    with make(tmp_path_factory.mktemp("proof") / "home") as made:
        yield made


@pytest.fixture
def spoilt(world: World, tmp_path: Path) -> Path:
    """A folder with the good network and every mistake."""
    for path, text in world.files.items():
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    broken.spoil(tmp_path)
    return tmp_path


def validate(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The real command, in a process of its own, within bounded time."""
    done = trunkline("validate", *arguments, timeout=BOUND)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_every_mistake_is_listed_with_its_place_as_json(spoilt: Path) -> None:
    """Status 1; each code at its file, line and column; nothing beside them but the bomb's further aliases."""
    done = validate(spoilt, "--json")
    said = json.loads(done.stdout)
    told = {(one["code"], one["path"], one["line"], one["column"]) for one in said["problems"]}
    assert (done.returncode, said["schema"], said["valid"]) == (1, "trunkline.validate/1", False)
    assert broken.expected() - told == set()
    assert {place for place in told - broken.expected() if place[1] != "network/sites/bomb.yaml"} == set()
    assert {one["code"] for one in said["problems"] if one["severity"] == "warning"} == broken.WARNINGS


def test_every_mistake_is_listed_with_its_place_as_text(spoilt: Path) -> None:
    """`path:line:column: error: …  [code]`, and no secret that stands there in clear."""
    done = validate(spoilt)
    assert done.returncode == 1
    for code, path, line, column in broken.expected():
        place = f"{path}:{line}:{column}: " if line else f"{path}: "
        found = [one for one in done.stdout.splitlines() if one.startswith(place) and f"[{code}]" in one]
        assert found, f"{place}[{code}]\n{done.stdout}"
    assert "hunter2" not in done.stdout + done.stderr


def test_a_revision_tells_the_same_as_the_folder(spoilt: Path) -> None:
    """From Git's objects and modes, without a work tree: what CI and the indexer see."""
    for arguments in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-q", "-m", "Everything wrong"],
    ):
        subprocess.run(["git", *arguments], cwd=spoilt, check=True, capture_output=True)
    folder = json.loads(validate(spoilt, "--json").stdout)
    revision = validate(spoilt, "--rev", "HEAD", "--json")
    assert revision.returncode == 1
    assert json.loads(revision.stdout)["problems"] == folder["problems"]


def test_a_nearest_name_is_offered(spoilt: Path) -> None:
    """A key, a reference and a folder that are nearly right."""
    hints = {one["path"]: one["hint"] for one in json.loads(validate(spoilt, "--json").stdout)["problems"]}
    assert hints["network/sites/key.yaml"] == "did you mean 'agent'?"
    assert hints[broken.BETWEEN[2].path] == "did you mean 'olt1'?"
    assert hints["network/device/core9.yaml"] == "did you mean network/devices?"


def test_on_trunk_the_mistakes_stay_outside_and_a_release_reaches_radius(world: World) -> None:
    """Pushed all the same: each bad file is quarantined by name, S-1 is freed, and mending ends the quarantine."""
    with nas_of(world) as nas:
        nas.login("s1@example.net", PASSWORD)
        proven(world, world.push({hold_path("S-1"): GARDEN}))
        eventually(lambda: pool_of(nas, "s1@example.net") == "perth-garden", cap=20)
        clone = world.settings.home / "clone"
        broken.spoil(clone)
        typo: dict[str, str | None] = {
            "catalog/plans/fibre-500.yaml": "type: internet\nrate: {down: 500 Mbit}\n"
        }
        world.push(typo, "A merge that nobody validated")
        world.one.settle()
        outside = quarantined(world)
        assert broken.bad_paths() | set(typo) <= set(outside)
        assert [path for path, problems in outside.items() if not problems] == []
        released = release(world, "S-1")
        assert {one.outcome for one in proven(world, released)} == {"acked"}
        eventually(lambda: pool_of(nas, "s1@example.net") == "perth-cgn", cap=20)
        nas.login("s3@example.net", PASSWORD)
        assert pool_of(nas, "s3@example.net") == "perth-cgn"
        mend(world, clone)
        assert quarantined(world) == {}
        assert lane1(world, released)


def release(world: World, service: str) -> str:
    """Lift a hold as billing does, through the queue; returns the commit."""
    with world.one.db.write() as conn:
        lifted = queue.Change(path=hold_path(service), op="delete")
        set_id = queue.submit(conn, actor="billing", reason="nonpayment", changes=[lifted])
    world.one.settle()
    with world.one.db.read() as conn:
        assert queue.set_state(conn, set_id) == "landed"
    return world.one.repo.head() or ""


def mend(world: World, clone: Path) -> None:
    """Take all of it away again, and put the good plan back."""
    shutil.rmtree(clone / "vendor")
    for arguments in (["update-index", "--force-remove", "vendor"], ["commit", "-q", "-m", "No submodule"]):
        subprocess.run(["git", *arguments], cwd=clone, check=True)
    plan = "catalog/plans/fibre-500.yaml"
    gone: dict[str, str | None] = dict.fromkeys(path for path in broken.paths() if path != "vendor")
    world.push(gone | {plan: world.files[plan]}, "Mend it")
    world.one.settle()


def quarantined(world: World) -> dict[str, list[dict[str, object]]]:
    """Path -> problems of what trunk has and is not applied."""
    with world.one.index_db.read() as conn:
        return {row.path: row.problems for row in conn.execute(sa.select(quarantine))}


def test_a_plan_that_a_nas_has_no_word_for_is_told(tmp_path: Path) -> None:
    """AAA's own checks are the command's, too: 10 Gbit/s do not fit into an attribute of 32 bits. Only a warning."""
    shutil.copytree(ROOT / "examples" / "aarnet", tmp_path / "net")
    plan = tmp_path / "net" / "catalog" / "plans" / "fibre-1000.yaml"
    plan.write_text(plan.read_text().replace("down: 1G", "down: 10G"))
    done = validate(tmp_path / "net")
    assert done.returncode == 0
    assert "catalog/plans/fibre-1000.yaml:3" in done.stdout
    assert "more than 4.29 Gbit/s at ap1 (ubiquiti), ap2 (ubiquiti)" in done.stdout
