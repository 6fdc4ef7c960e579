"""The queue takes changes in the producer's transaction, and the committer lands each set as one commit."""

from contextlib import suppress

import pytest

from core import leases
from core.db import Database
from intents import queue
from intents.committer import lease
from intents.kinds import path_of
from intents.queue import Change, ChangeNotUsable
from intents.repository import Repository
from intents.states import TRANSITIONS, State
from tests.intents.build import hold_file, hold_path, service_file
from tests.intents.rig import Rig


@pytest.fixture
def rig(tmp_path, database: Database) -> Rig:
    return Rig(tmp_path / "home", database).begin()


def test_a_change_set_becomes_one_commit_by_its_actor_with_trailers(rig: Rig) -> None:
    """Author, trailers, state and event of a landed set name the same set."""
    set_id = rig.submit("billing", "nonpayment", rig.hold(1), rig.hold(2), correlation="run-7")
    rig.run()
    row = rig.row(set_id)
    facts = rig.repo.facts(row.commit_id)
    assert (row.state, rig.commits(), facts.author) == ("landed", 1, "billing")
    assert f"Change-Set: {set_id}\nActor: billing\nReason: nonpayment\nCorrelation: run-7\n" in facts.message
    assert rig.events("changeset.landed")[0]["commit"] == row.commit_id
    assert rig.holds() == ["S-1.nonpayment", "S-2.nonpayment"]


def test_a_rolled_back_producer_leaves_nothing_behind(rig: Rig) -> None:
    """The change rows live and die with the payment's transaction."""
    with suppress(RuntimeError), rig.db.write() as conn:
        queue.submit(conn, actor="billing", reason="nonpayment", changes=[rig.hold(1)])
        raise RuntimeError("the payment failed")
    assert rig.committer.run_once() == 0


def test_two_sets_are_two_commits_even_in_one_group(rig: Rig) -> None:
    """Never mixed, never split: `git revert` of one leaves the other."""
    first = rig.submit("billing", "nonpayment", rig.hold(1), rig.hold(2))
    second = rig.submit("billing", "nonpayment", rig.hold(3))
    assert rig.committer.run_once() == 2
    commits = [rig.row(one).commit_id for one in (first, second)]
    assert rig.line() == commits
    assert [len(rig.repo.diff(f"{one}^", one)) for one in commits] == [2, 1]


def test_the_highest_version_of_a_fence_wins_whatever_the_order(rig: Rig) -> None:
    """A release that overtakes its hold is not undone by it; nothing flaps."""
    path = hold_path(1)
    late = Change(path=path, content=hold_file(), fence_key="S-1", fence_version=1)
    release = Change(path=path, op="delete", fence_key="S-1", fence_version=2)
    with rig.db.write() as conn:
        assert [queue.bump_fence(conn, "S-1"), queue.bump_fence(conn, "S-1")] == [1, 2]
    freed, held = rig.submit("billing", "nonpayment", release), rig.submit("billing", "nonpayment", late)
    rig.run()
    assert (rig.state(freed), rig.state(held), rig.commits(), rig.holds()) == ("landed", "superseded", 0, [])
    assert rig.land("billing", "nonpayment", late_again(late)) == "superseded"


def late_again(one: Change) -> Change:
    return Change(path=one.path, content=one.content, fence_key="S-1", fence_version=1)


def test_a_version_pushed_aside_leaves_the_rest_of_its_set(rig: Rig) -> None:
    """Of a dunning run only the payer's hold is superseded; the run stays one commit."""
    path = hold_path(1)
    run = rig.submit(
        "billing",
        "nonpayment",
        Change(path=path, content=hold_file(), fence_key="S-1", fence_version=1),
        rig.hold(2),
    )
    paid = rig.submit(
        "billing", "nonpayment", Change(path=path, op="delete", fence_key="S-1", fence_version=2)
    )
    rig.run()
    assert (rig.state(run), rig.state(paid), rig.holds()) == ("landed", "landed", ["S-2.nonpayment"])


def test_deleting_what_is_absent_lands_without_a_commit(rig: Rig) -> None:
    """A set that finds everything so already has landed; there is nothing to revert."""
    assert rig.land("billing", "nonpayment", rig.release_path(1)) == "landed"
    assert rig.commits() == 0


@pytest.mark.parametrize(
    ("precondition", "state"),
    [("absent", "conflicted"), ("mine", "conflicted"), ("blob:" + "0" * 40, "conflicted"), (None, "landed")],
)
def test_a_precondition_that_does_not_hold_conflicts(rig: Rig, precondition: str | None, state: str) -> None:
    """Nothing is overwritten that the sender did not foresee."""
    change = Change(
        path=path_of("service", "S-1"), content=service_file(1, "slow"), precondition=precondition
    )
    assert rig.land("crm", "plan", change) == state


def test_preconditions_that_hold_land(rig: Rig) -> None:
    """`absent`, `blob:`, `mine` and `after:` each let the right change through."""
    path = hold_path(1)
    first = rig.hold(1, precondition="absent")
    assert rig.land("billing", "nonpayment", first) == "landed"
    other = hold_file("dun-2")
    assert (
        rig.land("billing", "nonpayment", Change(path=path, content=other, precondition="mine")) == "landed"
    )
    blob = rig.repo.blob_id(other)
    third = Change(path=path, content=hold_file("dun-3"), precondition=f"blob:{blob}")
    assert rig.land("billing", "nonpayment", third) == "landed"
    last = Change(path=path, op="delete", precondition=f"after:{third.change_id}")
    assert rig.land("billing", "nonpayment", last) == "landed"
    stale = Change(path=path, content=other, precondition=f"after:{third.change_id}")
    assert rig.land("billing", "nonpayment", stale) == "conflicted"


def test_machines_are_confined_to_their_paths_and_reasons(rig: Rig) -> None:
    """Billing sets no abuse hold, nobody unlisted changes anything, and the reason says so."""
    service = Change(path=path_of("service", "S-1"), content=service_file(1, "slow"))
    abuse = Change(path=hold_path(1, "abuse"), content=hold_file())
    assert rig.land("billing", "x", service) == "rejected"
    assert rig.land("billing", "x", abuse) == "rejected"
    assert rig.land("stranger", "x", rig.hold(1)) == "rejected"
    assert [one["problems"][0]["code"] for one in rig.events("changeset.rejected")] == [
        "identity.path",
        "identity.reason",
        "identity.unknown",
    ]
    again = Change(path=abuse.path, content=hold_file())
    assert rig.land("staff-9", "abuse", again, actor_kind="staff") == "landed"


def test_the_configuration_needs_a_second_person(rig: Rig) -> None:
    """One member of staff cannot widen anybody's permission alone."""
    config = Change(path="trunkline.yaml", content=rig.file("trunkline.yaml") + b"\n")
    assert rig.land("staff-9", "x", config, actor_kind="staff") == "rejected"
    again = Change(path="trunkline.yaml", content=config.content)
    assert rig.land("staff-9", "x", again, actor_kind="staff", approver="staff-2") == "landed"


def test_a_mistake_rejects_the_whole_set_with_its_place(rig: Rig) -> None:
    """All mistakes, with line and column; nothing of the set lands."""
    bad = Change(path=path_of("service", "S-1"), content=service_file(1, "no-such-plan"))
    set_id = rig.submit("crm", "plan", bad, Change(path=path_of("line", "L-1"), content=b"type: gpon\n"))
    rig.run()
    problems = rig.row(set_id).problems
    assert rig.state(set_id) == "rejected"
    assert problems
    assert problems[0]["line"] >= 1
    assert rig.commits() == 0


def test_a_reference_to_nothing_is_rejected(rig: Rig) -> None:
    """The checks see the tree as it would be: a plan of the same set counts, a missing one does not."""
    missing = Change(path=path_of("service", "S-1"), content=service_file(1, "nothing"))
    assert rig.land("crm", "plan", missing) == "rejected"
    assert rig.events("changeset.rejected")[0]["problems"][0]["line"] == 4


def test_a_release_that_cannot_land_pages(rig: Rig) -> None:
    """Somebody has paid and stays locked out: a person must know."""
    lost = Change(path=hold_path(1), op="delete", precondition="blob:" + "0" * 40)
    assert rig.land("billing", "nonpayment", lost) == "conflicted"
    assert len(rig.events("changeset.page")) == 1


def test_an_engineer_who_pushes_first_makes_the_group_build_again(rig: Rig, monkeypatch) -> None:
    """Trunk moved between building and publishing: the set lands on the new head."""
    real = Repository.update_ref
    pushed: list[str] = []

    def late(self: Repository, ref: str, new: str, old: str | None) -> None:
        if ref == self.trunk_ref and not pushed:
            pushed.append(ref)
            rig.push({path_of("service", "S-3"): service_file(3, "slow")})
        real(self, ref, new, old)

    monkeypatch.setattr(Repository, "update_ref", late)
    assert rig.land("billing", "nonpayment", rig.hold(1)) == "landed"
    assert rig.commits() == 2
    assert rig.get("service", "S-3").plan == "slow"
    assert rig.repo.refs("refs/trunkline/staging/") == {}


def test_there_is_one_writer(rig: Rig) -> None:
    """Neither another process of this machine nor another node with the lease is overtaken."""
    set_id = rig.submit("billing", "nonpayment", rig.hold(1))
    with lease.file_lock(rig.repo.path):
        assert rig.committer.run_once() == 0
    with rig.db.write() as conn:
        epoch = leases.take(conn, lease.NAME, "elsewhere", 30)
    assert (rig.committer.run_once(), rig.state(set_id)) == (0, "queued")
    with rig.db.write() as conn:
        leases.release(conn, lease.NAME, "elsewhere")
    assert (rig.committer.run_once(), rig.state(set_id)) == (1, "landed")
    with rig.db.write() as conn, pytest.raises(lease.LeaseLost):
        lease.require(conn, "elsewhere", epoch)


def test_urgent_sets_go_first(rig: Rig) -> None:
    """A customer at the counter does not wait for a price change."""
    slow, fast = (
        rig.submit("billing", "nonpayment", rig.hold(1)),
        rig.submit("billing", "nonpayment", rig.hold(2), urgent=True),
    )
    rig.run()
    assert rig.line() == [
        rig.row(fast).commit_id,
        rig.row(slow).commit_id,
    ]


@pytest.mark.parametrize(
    "change",
    [
        Change(path="../etc/passwd", content=b""),
        Change(path="holds/x", op="delete", content=b"x"),
        Change(path="holds/x", content=b"x", precondition="perhaps"),
        Change(path="holds/x", content=b"x", fence_key="k"),
    ],
)
def test_what_cannot_be_queued_is_refused_at_once(rig: Rig, change: Change) -> None:
    """The producer hears of its mistake inside its own transaction."""
    with pytest.raises(ChangeNotUsable):
        rig.submit("billing", "nonpayment", change)


def test_final_states_have_no_way_out() -> None:
    """Landed is terminal, and so are its siblings."""
    assert {state for state in State if state.is_final} == {
        State.LANDED, State.CONFLICTED, State.REJECTED, State.SUPERSEDED,
    }  # fmt: skip
    assert set(TRANSITIONS) == set(State)
