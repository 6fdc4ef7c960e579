"""What an operator types at an installation: plan, status, why, pause, apply, drift, receipt, release, drop, secret."""

import getpass
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core import crypto, events
from intents.index import held
from tests.support import trunkline
from tests.world import GARDEN, NAS_SECRET, World, hold_path
from tests.world import world as make

LINK = "network/links/core1--core2.yaml"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An installation whose devices are as trunk says."""
    with make(tmp_path_factory.mktemp("node") / "home", services=120) as made:
        made.one.settle()
        yield made


def _type(world: World, *args: str, status: int = 0, text: str | None = None) -> str:
    """What a command prints; a test ends with the status that it expects."""
    done = trunkline("--home", world.settings.home, *args, text=text)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout or done.stderr


def _ask(world: World, *args: str, status: int = 0) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_type(world, *args, "--json", status=status))
    return answer


def _cost(world: World, cost: int) -> str:
    commit = world.push({LINK: world.files[LINK].replace("ospf: 10", f"ospf: {cost}")})
    world.one.indexer.run_once()
    return commit


def test_plan_shows_what_an_apply_would_change_and_check_answers_by_status(world: World) -> None:
    """Nothing after a settle; after a commit its two ends, against the last apply and against the device."""
    assert _type(world, "plan", "--check").strip() == "0 devices would change, 4 would not"
    _cost(world, 77)
    found = _ask(world, "plan", "--check", status=1)
    assert found["would_change"] == ["core1", "core2"]
    assert "+  ospf cost 77" in _type(world, "plan", "core1")
    live = _ask(world, "plan", "core1", "--live")["plans"][0]
    assert (live["against"], "ospf cost 77" in live["diff"]) == ("device", True)
    assert "does not exist" in _type(world, "plan", "core9", status=3)
    world.one.settle()


def test_a_plan_never_shows_a_secret_neither_the_new_nor_the_old_one(world: World) -> None:
    """The line changes, its two secrets do not appear; live and recorded."""
    path = "network/devices/bng1.yaml"
    sealed = crypto.seal(world.key, "a-rotated-secret", path, "nas.secrets")
    old = world.files[path]
    start = old.index('secrets: ["') + len('secrets: ["')
    world.push({path: old[:start] + sealed + old[old.index('"]', start) :]})
    world.one.indexer.run_once()
    for extra in ((), ("--live",)):
        told = _type(world, "plan", "bng1", *extra)
        assert f"<secret:{path}#nas.secrets>" in told
        assert NAS_SECRET not in told
        assert "a-rotated-secret" not in told
        assert "enc:v1" not in told
    world.push({path: old})
    world.one.settle()


def test_why_leads_from_a_line_to_its_template_its_files_and_their_commits(world: World) -> None:
    """The link's file is the nearest; its last commit is named; a line that is not ours answers no."""
    commit = _cost(world, 79)
    found = _ask(world, "why", "core1", "ospf cost 79")
    assert found["lines"][0]["template"] == "renderers/virtual/templates/ports.j2"
    assert found["lines"][0]["template_line"] > 0
    assert (found["changes"][0]["path"], found["changes"][0]["commit"]) == (LINK, commit)
    assert found["changes"][0]["actor"] == "unverified"
    assert found["documents"] >= 4
    assert "comes from trunk" in _type(world, "why", "core1", "no such line", status=1)
    assert "<secret:" in _type(world, "why", "bng1", "nas.secrets")


def test_pause_and_unpause_are_seen_in_status_with_who_did_it(world: World) -> None:
    """The OS account is the actor unless another is named; a wrong length is a usage error."""
    told = _ask(world, "pause", "core2", "--for", "2h", "--why", "fixing it")
    assert (told["actor"], told["why"]) == (getpass.getuser(), "fixing it")
    shown = {one["device"]: one for one in _ask(world, "status")["devices"]}
    assert shown["core2"]["paused_by"] == getpass.getuser()
    assert _ask(world, "unpause", "core2", "--actor", "kim")["was_paused"] is True
    assert _ask(world, "unpause", "core2", status=1)["was_paused"] is False
    assert "is no duration" in _type(world, "pause", "core2", "--for", "long", status=2)
    with world.one.db.read() as conn:
        told_events = {
            (one.type, one.actor) for one in events.recent(conn, ["device.paused", "device.unpaused"])
        }
    assert ("device.unpaused", "kim") in told_events


def test_apply_asks_and_says_when_nobody_gets_there(world: World) -> None:
    """Without a server nobody works on it: --wait ends with 1 after its time, and names the device."""
    found = _ask(world, "apply", "core1", "--wait", "--timeout", "0.1", status=1)
    assert found["missing"] == ["core1"]
    world.one.settle()
    assert _ask(world, "apply", "olt1")["devices"]["olt1"]["state"] == "desired"
    world.one.settle()
    assert _ask(world, "status")["devices"][0]["state"] == "verified"


def test_receipts_are_found_by_commit_and_by_target(world: World) -> None:
    """The beginning of a commit is enough; nothing found is a no."""
    found = _ask(world, "receipt", "core1")["receipts"]
    assert found[0]["target"] == "core1"
    commit = found[0]["commit_id"]
    assert {one["commit_id"] for one in _ask(world, "receipt", commit[:10])["receipts"]} == {commit}
    assert "acked" in _type(world, "receipt", "core1")
    _type(world, "receipt", "nobody", status=1)


def test_drift_is_listed_and_checked(world: World) -> None:
    """A foreign change that stopped an apply is told with its lines, and overruled by apply."""
    assert _ask(world, "drift", "--check")["drift"] == []
    by_hand = world.fleet["core1"].configuration
    by_hand.replace(99, by_hand.running.replace("192.0.2.0/31", "192.0.2.8/31"))
    by_hand.commit(99, "somebody")
    _type(world, "apply", "core1")
    world.one.settle()
    (found,) = _ask(world, "drift", "--check", status=1)["drift"]
    assert (found["device"], found["kind"]) == ("core1", "overruled")
    assert "192.0.2.8/31" in found["diff"]
    assert "core1                waits" in _type(world, "status")
    _type(world, "apply", "core1", "--overrule")
    world.one.settle()
    assert _ask(world, "drift")["drift"] == []


def _hold_many(world: World, first: int) -> str:
    """A person's commit that trips the guard of 50 restrictions."""
    commit = world.push({hold_path(f"S-{n}"): GARDEN for n in range(first, first + 51)}, "Hold many")
    world.one.settle()
    return commit


def test_a_parked_commit_is_seen_released_by_its_count_or_dropped(world: World) -> None:
    """Another count is refused; the beginning of a commit is enough."""
    commit = _hold_many(world, 1)
    (parked,) = _ask(world, "status")["parked"]
    assert (parked["id"], parked["count"]) == (commit, 51)
    assert "--expect 51" in _type(world, "status")
    assert len(_ask(world, "status")["quarantined"]) == 51
    assert "not 50" in _type(world, "release", commit[:12], "--expect", "50", status=3)
    _type(world, "release", commit[:12], "--expect", "51", "--actor", "kim")
    world.one.settle()
    assert _ask(world, "status")["quarantined"] == []
    other = _hold_many(world, 60)
    _type(world, "drop", other, "--actor", "kim")
    with world.one.db.read() as conn:
        assert held.states(conn, [commit, other]) == {commit: "released", other: "dropped"}


def test_secrets_are_sealed_from_standard_input_and_opened_with_a_record(world: World) -> None:
    """Sealed for one place; what trunk has opens by path and key; who opened is an event."""
    path = "network/devices/bng1.yaml"
    sealed = _type(world, "secret", "seal", path, "nas.secrets", text="new-secret\n").strip()
    assert crypto.open_(world.key, sealed, path, "nas.secrets") == "new-secret"
    assert _type(world, "secret", "open", path, "nas.secrets", "--actor", "kim").strip() == NAS_SECRET
    again = _type(world, "secret", "open", path, "nas.secrets", "--stdin", text=sealed)
    assert again.strip() == "new-secret"
    assert "does not open" in _type(
        world, "secret", "open", path, "nas.other", "--stdin", text=sealed, status=3
    )
    assert "list positions" in _type(world, "secret", "seal", path, "nas.secrets.0", text="x", status=2)
    assert "no kind of intent" in _type(world, "secret", "seal", "nowhere.yaml", "a", text="x", status=2)
    with world.one.db.read() as conn:
        assert "kim" in {one.actor for one in events.recent(conn, ["secret.opened"])}


def test_secret_init_makes_the_key_once(tmp_path: Path) -> None:
    """Both files are only their owner's; the second time nothing is made."""
    for made in (True, False):
        done = trunkline("--home", tmp_path, "secret", "init", "--json")
        assert json.loads(done.stdout)["made"] is made
    assert (tmp_path / "data.key.age").stat().st_mode & 0o077 == 0


def test_platforms_lists_roles_and_abilities() -> None:
    """Renderer and driver side by side."""
    found = {one["platform"]: one for one in json.loads(trunkline("platforms", "--json").stdout)["platforms"]}
    assert found["virtual"]["driver"]["revert"] == "hard"
    assert "bng" in found["linux_pppd"]["roles"]
    assert "soft revert" in trunkline("platforms").stdout


@pytest.mark.parametrize("args", [("plan",), ("status",), ("drift",), ("receipt", "x"), ("why", "a", "b")])
def test_a_home_without_a_repository_says_what_to_do(args: tuple[str, ...], tmp_path: Path) -> None:
    """One sentence and status 3."""
    done = trunkline("--home", tmp_path, *args)
    assert done.returncode == 3
    assert "trunkline init" in done.stderr


def test_a_home_that_was_never_served_says_so(tmp_path: Path) -> None:
    """There is no index to plan from yet."""
    with make(tmp_path / "home", services=1) as made:
        assert "no commit is indexed yet" in _type(made, "plan", status=3)
        assert _ask(made, "status")["indexed"] == ""
