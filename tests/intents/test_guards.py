"""Guards park what does too much; people release or drop it; nobody waits behind it, and releases pass always."""

from pathlib import Path

import pytest

from core.db import Database
from intents import committer
from intents.config.schema import Guards, Limit
from intents.guards import Totals, Tripped, Weight, judge, weigh
from intents.kinds import path_of
from intents.queue import Change
from tests.intents.build import hold_file, hold_path
from tests.intents.rig import GUARDED, Rig


@pytest.fixture
def rig(tmp_path: Path, database: Database) -> Rig:
    made = Rig(tmp_path / "home", database).begin(20, GUARDED)
    made.indexer.run_once()
    return made


def run_of(rig: Rig, count: int) -> list[Change]:
    return [rig.hold(number) for number in range(count)]


def test_too_many_restrictions_park_the_set_and_pin_its_commit(rig: Rig) -> None:
    """Ten holds where five may pass: parked, told, pinned, and nobody is restricted."""
    set_id = rig.submit("billing", "nonpayment", *run_of(rig, 10))
    rig.run()
    assert (rig.state(set_id), rig.holds()) == ("parked", [])
    guard = rig.row(set_id).guard
    assert (guard["guard"], guard["count"], guard["limit"]) == ("restrict", 10, 5)
    assert rig.repo.ref(f"refs/trunkline/held/{set_id}") == guard["commit"]
    assert [one["set_id"] for one in rig.events("changeset.parked")] == [set_id]


def test_later_changes_do_not_wait_for_a_parked_set(rig: Rig) -> None:
    """The queue goes on past it, also for a service that the parked set would hold."""
    rig.submit("billing", "nonpayment", *run_of(rig, 10))
    assert rig.land("billing", "nonpayment", rig.hold(1)) == "landed"
    assert rig.holds() == ["S-1.nonpayment"]


def test_a_person_releases_a_parked_set_by_its_count(rig: Rig) -> None:
    """Another number is refused: whoever says yes has looked."""
    set_id = rig.submit("billing", "nonpayment", *run_of(rig, 10))
    rig.run()
    with rig.db.write() as conn:
        assert [one["set_id"] for one in committer.parked(conn)] == [set_id]
        with pytest.raises(committer.CountMismatch):
            committer.release(conn, set_id, "staff-1", expect=9)
        committer.release(conn, set_id, "staff-1", expect=10)
    rig.run()
    assert (rig.state(set_id), len(rig.holds()), rig.commits()) == ("landed", 10, 1)
    assert rig.repo.refs("refs/trunkline/held/") == {}


def test_who_paid_meanwhile_is_not_held_by_the_release_of_an_old_run(rig: Rig) -> None:
    """A parked run is released days later: the fence keeps out the holds that were lifted since."""
    path = hold_path(3)
    late = Change(path=path, content=hold_file(), fence_key="S-3", fence_version=1)
    others = [rig.hold(number) for number in range(10) if number != 3]
    set_id = rig.submit("billing", "nonpayment", late, *others)
    rig.run()
    paid = Change(path=path, op="delete", fence_key="S-3", fence_version=2)
    assert rig.land("billing", "nonpayment", paid) == "landed"
    with rig.db.write() as conn:
        committer.release(conn, set_id, "staff-1", expect=10)
    rig.run()
    assert len(rig.holds()) == 9
    assert "S-3.nonpayment" not in rig.holds()


def test_a_dropped_set_is_rejected_for_good(rig: Rig) -> None:
    """No is no; and it cannot be decided twice."""
    set_id = rig.submit("billing", "nonpayment", *run_of(rig, 10))
    rig.run()
    with rig.db.write() as conn:
        committer.drop(conn, set_id, "staff-1")
        with pytest.raises(committer.NotParked):
            committer.release(conn, set_id, "staff-1", expect=10)
    rig.run()
    assert (rig.state(set_id), rig.holds()) == ("rejected", [])


def test_the_count_that_was_foreseen_passes_and_no_other(rig: Rig) -> None:
    """A dunning run that says 10 and does 10 needs nobody; one that says 9 is parked."""
    nine = rig.submit("billing", "nonpayment", *run_of(rig, 10), expect=9)
    rig.run()
    assert rig.state(nine) == "parked"
    assert rig.land("billing", "nonpayment", *run_of(rig, 10), expect=10) == "landed"


def test_releases_are_never_gated(rig: Rig) -> None:
    """Ten holds lifted at once, more than any limit: all land."""
    rig.land("billing", "nonpayment", *run_of(rig, 10), expect=10)
    lifted = [rig.release_path(number) for number in range(10)]
    assert rig.land("billing", "nonpayment", *lifted) == "landed"
    assert rig.holds() == []


def test_too_many_deletions_park(rig: Rig) -> None:
    """Four services deleted where three may be."""
    gone = [Change(path=path_of("service", f"S-{number}"), op="delete") for number in range(4)]
    assert rig.land("crm", "cease", *gone) == "parked"
    fewer = [Change(path=one.path, op="delete") for one in gone[:3]]
    assert rig.land("crm", "cease", *fewer) == "landed"


def test_a_parked_set_that_also_lifts_a_hold_pages(rig: Rig) -> None:
    """A release inside a set that may not pass: somebody must look now."""
    rig.land("billing", "nonpayment", rig.hold(15))
    rig.land("billing", "nonpayment", *run_of(rig, 10), rig.release_path(15))
    assert len(rig.events("changeset.page")) == 1


@pytest.mark.parametrize(
    ("weight", "expect", "tripped"),
    [
        (Weight(restrict=2), None, None),
        (Weight(restrict=3), None, Tripped("restrict", 3, 2)),
        (Weight(restrict=3), 3, None),
        (Weight(restrict=3), 4, Tripped("restrict", 3, 2)),
        (Weight(devices=1), None, None),
        (Weight(devices=2), None, Tripped("devices", 2, 1)),
        (Weight(deletes=8), None, Tripped("deletes", 8, 7)),
        (Weight(restrict=3, deletes=8), 3, Tripped("deletes", 8, 7)),
    ],
)
def test_the_smaller_of_count_and_share_counts_but_one_may_always_pass(weight, expect, tripped) -> None:
    """One per cent of 200 services is 2; a tenth of five devices is less than one, and one may pass."""
    limits = Guards(restrict=Limit(percent=1, count=200), devices=Limit(percent=10), deletes=Limit(count=7))
    assert judge(limits, weight, Totals(services=200, devices=5), expect) == tripped


def test_weight_counts_restrictions_deletions_and_devices() -> None:
    """Lifting a hold weighs nothing."""
    changes = [("hold", False), ("hold", True), ("device", False), ("device", True), ("service", True)]
    assert weigh(changes) == Weight(restrict=1, deletes=2, devices=2)
