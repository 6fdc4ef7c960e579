"""The forge: a second bare repository where people merge, and that may be away."""

from pathlib import Path

import msgspec
import pytest

from intents.committer.build import Edit, Landing, build
from intents.forge import Forge
from intents.init import create
from intents.kinds import path_of
from intents.maintenance import maintain, store
from intents.repository import Repository
from tests.intents.build import hold_path, service_file
from tests.intents.rig import Rig

S1, S2, S3 = (path_of("service", f"S-{number}") for number in (1, 2, 3))


class Hub:
    """The forge's side: merges land on its trunk whatever ours does."""

    def __init__(self, path: Path) -> None:
        self.repo = create(path)

    def merge(self, edits: dict[str, bytes | None], who: str = "ann") -> str:
        head = self.repo.head()
        made = tuple(Edit(*item) for item in edits.items())
        landing = Landing(set_id="", actor=who, reason="", edits=made, text=f"Merge of {who}\n")
        commit = build(self.repo, "refs/heads/work", head, [landing])[0]
        self.repo.update_ref(self.repo.trunk_ref, commit, head)
        return commit


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path / "hub.git")


@pytest.fixture
def rig(tmp_path: Path, hub: Hub) -> Rig:
    made = Rig(tmp_path / "home").begin()
    made.settings = msgspec.structs.replace(made.settings, forge_url=str(hub.repo.path))
    assert sync(made).pushed
    made.run()
    return made


def sync(rig: Rig):
    return Forge(rig.settings, rig.db, rig.repo).sync_once()


def test_machine_commits_are_pushed_to_the_mirror(rig: Rig, hub: Hub) -> None:
    """The forge shows what runs, without anybody's doing."""
    rig.land("billing", "nonpayment", rig.hold(1))
    assert sync(rig).pushed
    assert hub.repo.head() == rig.repo.head()
    assert not sync(rig).pushed


def test_a_merge_on_top_of_ours_is_taken_as_it_is(rig: Rig, hub: Hub) -> None:
    """The fast path: the forge's trunk is ours plus merges, so its commits become ours."""
    commit = hub.merge({S1: service_file(1, "slow")})
    assert sync(rig).taken == (commit,)
    rig.run()
    assert (rig.repo.head(), rig.get("service", "S-1").plan) == (commit, "slow")


def test_merges_beside_our_commits_come_in_one_by_one_path_by_path(rig: Rig, hub: Hub) -> None:
    """Both sides moved: one commit of ours for each merge, by its actor; a plain push brings the mirror up."""
    merged = [hub.merge({S1: service_file(1, "slow")}), hub.merge({S2: service_file(2, "slow")}, "bob")]
    rig.land("billing", "nonpayment", rig.hold(1))
    done = sync(rig)
    rig.run()
    facts = [rig.repo.facts(commit) for commit in done.taken]
    assert [one.author for one in facts] == ["forge:ann@trunkline", "forge:bob@trunkline"]
    assert [one.parents[1] for one in facts] == merged
    assert (rig.get("service", "S-1").plan, rig.get("service", "S-2").plan) == ("slow", "slow")
    assert rig.holds() == ["S-1.nonpayment"]
    assert hub.repo.head() == rig.repo.head()
    assert rig.dump() == rig.cold_dump()


def test_where_ours_moved_the_path_is_left_and_told(rig: Rig, hub: Hub) -> None:
    """A merge made from an older version of a file never overwrites ours; its other files come in."""
    hub.merge({S1: service_file(1, "slow") + b"# theirs\n", S3: service_file(3, "slow")})
    ours = service_file(1, "slow") + b"# ours\n"
    rig.push({S1: ours})
    assert sync(rig).left == (S1,)
    rig.run()
    assert (rig.file(S1), rig.get("service", "S-3").plan) == (ours, "slow")
    assert [one["paths"] for one in rig.events("forge.conflict")] == [[S1]]
    assert sync(rig).left == ()


def test_an_outage_never_delays_a_release(rig: Rig, hub: Hub) -> None:
    """The forge is gone: holds and releases land as ever, and the mirror catches up later."""
    rig.land("billing", "nonpayment", rig.hold(1))
    away = hub.repo.path.rename(hub.repo.path.with_suffix(".away"))
    assert "failed" in sync(rig).why
    assert rig.land("billing", "nonpayment", rig.release_path(1)) == "landed"
    assert rig.holds() == []
    away.rename(hub.repo.path)
    assert sync(rig).pushed
    assert Repository(hub.repo.path).head() == rig.repo.head()


def test_a_person_who_lifts_a_hold_by_pull_request_is_named_in_the_event(rig: Rig, hub: Hub) -> None:
    """Billing learns who overrode it: the forge's word for the one who merged."""
    rig.land("billing", "nonpayment", rig.hold(1))
    sync(rig)
    hub.merge({hold_path(1): None})
    sync(rig)
    rig.run()
    assert [one["actor"] for one in rig.events("hold.removed")] == ["forge:ann@trunkline"]


def test_maintenance_packs_what_small_commits_leave_and_keeps_what_is_pinned(rig: Rig) -> None:
    """Loose objects become packs; the index, held commits and history stay readable."""
    for number in range(5):
        rig.land("billing", "nonpayment", rig.hold(number % 4), rig.release_path((number + 1) % 4))
    assert store(rig.repo).loose > 10
    assert maintain(rig.repo).loose == 0
    rig.open()
    assert rig.land("billing", "nonpayment", rig.hold(2)) == "landed"
    assert maintain(rig.repo).packs <= 2
    rig.open()
    assert rig.cold_dump() == rig.dump()
