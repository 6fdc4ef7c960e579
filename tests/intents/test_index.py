"""The index follows trunk: what is good is applied, what is bad stays outside, a cold build says the same."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.db import Database
from intents.index import held, position, step
from intents.index.canonical import canonical_dump
from intents.index.indexer import Indexer
from intents.index.layout import reset
from intents.index.models import quarantine
from intents.index.trial import Candidate, Outcome, trial
from intents.kinds import path_of
from intents.reader import Reader
from intents.repository import GitFailed
from tests.intents.build import CONFIG, hold_file, hold_path, line_file, service_file, subscriber
from tests.intents.rig import GUARDED, Rig
from tests.postgres import Cluster

BAD = b"type: internet\nplan: [\n"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path / "home").begin(6)
    made.indexer.run_once()
    return made


def outside(rig: Rig) -> dict[str, str]:
    with rig.index_db.read() as conn:
        return {row.path: row.why for row in conn.execute(sa.select(quarantine))}


def test_a_pushed_commit_becomes_index_changes_in_sequence(rig: Rig) -> None:
    """One entry for each document that changed, with its commit and blob."""
    commit = rig.push({path_of("service", "S-1"): service_file(1, "slow"), **subscriber(9)})
    found = rig.run()
    assert [(one.commit, one.kind, one.op) for one in found] == [
        (commit, "line", "put"), (commit, "service", "put"), (commit, "service", "put"),
    ] or len(found) == 3  # fmt: skip
    assert [one.seq for one in found] == sorted(one.seq for one in found)
    assert rig.get("service", "S-1").plan == "slow"


def test_a_bad_document_keeps_its_last_good_version_and_the_rest_goes_on(rig: Rig) -> None:
    """A typo in one file does not keep a paying customer blocked."""
    rig.land("billing", "nonpayment", rig.hold(1))
    rig.push({path_of("service", "S-2"): BAD, path_of("service", "S-3"): service_file(3, "slow")})
    assert rig.land("billing", "nonpayment", rig.release_path(1)) == "landed"
    assert (rig.get("service", "S-2").plan, rig.get("service", "S-3").plan, rig.holds()) == (
        "fibre",
        "slow",
        [],
    )
    assert outside(rig) == {path_of("service", "S-2"): "problem"}


def test_a_release_does_not_try_the_quarantine_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is outside, lifting a hold costs what it always costs."""
    rig.land("billing", "nonpayment", rig.hold(1))
    rig.push({path_of("service", f"S-{number}"): BAD for number in range(6)})
    rig.run()
    tried: list[int] = []

    def counting(reader: Reader, candidates: Sequence[Candidate], contents: Mapping[str, bytes]) -> Outcome:
        tried.append(len(candidates))
        return trial(reader, candidates, contents)

    monkeypatch.setattr(step, "trial", counting)
    assert rig.land("billing", "nonpayment", rig.release_path(1)) == "landed"
    assert (tried, rig.holds(), len(outside(rig))) == ([1], [], 6)


def test_a_later_good_commit_ends_the_quarantine(rig: Rig) -> None:
    """Mending the file is all that an engineer has to do."""
    rig.push({path_of("service", "S-2"): BAD})
    rig.run()
    rig.push({path_of("service", "S-2"): service_file(2, "slow")})
    assert [one.id for one in rig.run()] == ["S-2"]
    assert outside(rig) == {}


def test_what_depends_on_a_bad_document_waits_with_it(rig: Rig) -> None:
    """A service on a plan that does not load stays as it was, and follows when the plan is mended."""
    gold, service = path_of("plan", "gold"), path_of("service", "S-2")
    rig.push({gold: BAD, service: service_file(2, "gold")})
    rig.run()
    assert rig.get("service", "S-2").plan == "fibre"
    assert set(outside(rig)) == {gold, service}
    plan = rig.file(path_of("plan", "slow"))
    rig.push({gold: plan})
    rig.run()
    assert (rig.get("service", "S-2").plan, outside(rig)) == ("gold", {})


def test_a_deletion_of_what_others_name_is_not_applied(rig: Rig) -> None:
    """Deleting a plan in use would leave services in the air: it stays until they have left it."""
    plan = path_of("plan", "fibre")
    rig.push({plan: None})
    rig.run()
    assert rig.get("plan", "fibre") is not None
    assert plan in outside(rig)
    rig.push({path_of("service", f"S-{n}"): service_file(n, "slow") for n in range(6)})
    rig.run()
    assert (rig.get("plan", "fibre"), outside(rig)) == (None, {})


def test_two_claims_of_one_thing_leave_the_newcomer_outside(rig: Rig) -> None:
    """One ONU id twice on a PON: the line that had it keeps it."""
    rig.push({path_of("line", "L-2"): line_file(2, onu=1)})
    rig.run()
    assert rig.get("line", "L-2").onu == 2
    assert list(outside(rig)) == [path_of("line", "L-2")]


def test_links_and_programs_are_no_documents(rig: Rig) -> None:
    """A symbolic link instead of a file is quarantined, never followed."""
    head, path = rig.repo.head(), path_of("service", "S-2")
    target = rig.repo.git("hash-object", "-w", "--stdin", given=b"/etc/passwd").decode().strip()
    stream = (
        f"commit refs/heads/main\ncommitter e <e@x> 1 +0000\ndata 1\nx\nfrom {head}\n"
        f"M 120000 {target} {path}\n"
    )
    rig.repo.git("fast-import", "--quiet", given=stream.encode())
    rig.run()
    assert rig.get("service", "S-2").plan == "fibre"
    assert list(outside(rig)) == [path]


def test_a_bad_configuration_stops_and_a_good_one_goes_on(rig: Rig) -> None:
    """What every decision hangs on must be right; what came before it is still applied."""
    rig.push({path_of("service", "S-1"): service_file(1, "slow")})
    rig.push({"trunkline.yaml": b"schema: 2\n"})
    rig.run()
    assert rig.indexer.is_stopped()
    assert rig.get("service", "S-1").plan == "slow"
    assert [one["reason"] for one in rig.events("index.stopped")] == ["config-bad"]
    waiting = rig.submit("billing", "nonpayment", rig.hold(1))
    rig.run()
    assert rig.state(waiting) == "queued"
    rig.push({"trunkline.yaml": CONFIG})
    rig.run()
    assert not rig.indexer.is_stopped()
    assert rig.state(waiting) == "landed" or rig.land("billing", "nonpayment", rig.hold(2)) == "landed"


def test_a_stop_is_told_also_when_its_teller_dies(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the index's own mark and the event nothing may be lost: a stop that nobody hears of lasts."""
    rig.push({"trunkline.yaml": b"schema: 2\n"})

    def dies(*_given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(position, "stop", dies)
        with pytest.raises(KeyboardInterrupt):
            rig.indexer.run_once()
    rig.run()
    assert rig.indexer.is_stopped()
    assert [one["reason"] for one in rig.events("index.stopped")] == ["config-bad"]


def test_a_data_key_that_is_gone_stops(rig: Rig) -> None:
    """With an identity but no key every sealed value would be lost on the way: better to stay as it is."""
    rig.settings.identity_file.write_text("AGE-SECRET-KEY")
    rig.push({path_of("service", "S-1"): service_file(1, "slow")})
    rig.run()
    assert [one["reason"] for one in rig.events("index.stopped")] == ["key-missing"]
    rig.settings.key_file.write_text("wrapped")
    rig.run()
    assert rig.get("service", "S-1").plan == "slow"


def test_a_rewritten_history_is_not_followed_until_a_person_accepts_it(rig: Rig) -> None:
    """Somebody forced trunk back: the network stays as it is, and the old commits stay pinned."""
    first = rig.repo.head()
    rig.push({path_of("service", "S-1"): service_file(1, "slow")})
    rig.run()
    old = rig.repo.head()
    rig.repo.git("update-ref", "refs/heads/main", first or "")
    rig.push({path_of("service", "S-2"): service_file(2, "slow")})
    rig.run()
    assert rig.indexer.is_stopped()
    assert (rig.get("service", "S-1").plan, rig.get("service", "S-2").plan) == ("slow", "fibre")
    rig.indexer.accept_history("staff-1")
    assert (rig.get("service", "S-1").plan, rig.get("service", "S-2").plan) == ("fibre", "slow")
    assert not rig.indexer.is_stopped()
    rig.repo.git("gc", "--prune=now", "--quiet")
    assert rig.repo.has(old or "")
    assert rig.dump() == rig.cold_dump()


def test_a_lost_index_does_not_forget_a_rewritten_history(rig: Rig) -> None:
    """The pin in the repository says what was followed, even when the index file is gone."""
    first = rig.repo.head()
    rig.push({path_of("service", "S-1"): service_file(1, "slow")})
    rig.run()
    rig.repo.git("update-ref", "refs/heads/main", first or "")
    reset(rig.index_db)
    rig.indexer.run_once()
    assert rig.indexer.is_stopped()


def test_billing_hears_of_holds_that_others_lift_or_set(rig: Rig) -> None:
    """A plain `git revert` of a dunning batch gives one event for each hold, exactly once."""
    rig.land("billing", "nonpayment", rig.hold(1), rig.hold(2))
    assert rig.events("hold.added") == []
    commit = rig.push({hold_path(1): None, hold_path(2): None})
    rig.run()
    rig.cold_dump()
    assert [(one["service"], one["reason"], one["batch"], one["set_id"]) for one in rig.events("hold.removed")] == [
        ("S-1", "nonpayment", "dun-1", None), ("S-2", "nonpayment", "dun-1", None),
    ] or len(rig.events("hold.removed")) == 2  # fmt: skip
    assert {one["commit"] for one in rig.events("hold.removed")} == {commit}


def test_a_forged_trailer_is_no_change_set(rig: Rig) -> None:
    """Who writes `Change-Set:` into his own commit is still a person: guards and events apply."""
    rig.push({hold_path(1): hold_file()}, author="billing")
    rig.run()
    assert [one["actor"] for one in rig.events("hold.added")] == ["unverified"]


def test_a_persons_commit_that_does_too_much_waits_but_its_releases_do_not(tmp_path: Path) -> None:
    """Ten holds by hand are parked; the release in the same commit and later changes go through."""
    rig = Rig(tmp_path / "home").begin(12, GUARDED)
    rig.land("billing", "nonpayment", rig.hold(11))
    edits: dict[str, bytes | None] = {hold_path(n): hold_file() for n in range(10)}
    commit = rig.push(edits | {hold_path(11): None})
    rig.run()
    assert rig.holds() == []
    assert rig.land("billing", "nonpayment", rig.hold(10)) == "landed"
    assert rig.holds() == ["S-10.nonpayment"]
    assert rig.dump() == rig.cold_dump("cold1.db")
    with rig.db.write() as conn:
        with pytest.raises(held.NotHeld):
            held.release_commit(conn, commit, "staff-1", expect=9)
        held.release_commit(conn, commit, "staff-1", expect=10)
    rig.run()
    assert len(rig.holds()) == 11
    assert rig.dump() == rig.cold_dump("cold2.db")


def random_edit(plan: bytes, dice: random.Random) -> dict[str, bytes | None]:
    """One to three changes, some of them mistakes."""
    edits: dict[str, bytes | None] = {}
    for _ in range(dice.randint(1, 3)):
        number, fresh = dice.randrange(6), dice.randrange(20, 40)
        choices: list[dict[str, bytes | None]] = [
            {path_of("service", f"S-{number}"): service_file(number, dice.choice(["fibre", "slow", "gone"]))},
            {path_of("service", f"S-{number}"): BAD},
            {path_of("line", f"L-{number}"): line_file(number, onu=dice.randrange(6))},
            {path_of("plan", "slow"): dice.choice([BAD, None])},
            {path_of("plan", "slow"): plan},
            {hold_path(number): hold_file(f"b-{fresh}")},
            {hold_path(number): None},
            dict(subscriber(fresh)),
            {path_of("service", f"S-{fresh}"): None},
            {"README.md": b"%d" % fresh},
        ]
        edits |= dice.choice(choices)
    return edits


def test_after_200_random_changes_the_followed_index_equals_a_cold_build(rig: Rig) -> None:
    """Byte for byte, with mistakes, deletions and mends on the way; checked several times."""
    dice = random.Random(7)
    plan = rig.file(path_of("plan", "slow"))
    seen_outside = 0
    for number in range(200):
        if number % 10 == 9:
            rig.submit("billing", "nonpayment", rig.hold(number % 6))
        else:
            rig.push(random_edit(plan, dice))
        rig.run()
        seen_outside += bool(outside(rig))
        if number % 40 == 39:
            assert rig.dump() == rig.cold_dump(f"cold{number}.db")
    assert seen_outside > 20


def test_the_index_says_the_same_on_postgresql(rig: Rig, postgres: Cluster) -> None:
    """Documents, claims and quarantine in the schema `derived` equal those in SQLite, byte for byte."""
    rig.push({path_of("service", "S-2"): BAD, path_of("line", "L-3"): line_file(3, onu=1)})
    rig.push({path_of("plan", "slow"): None, hold_path(1): hold_file()})
    rig.run()
    with postgres.fresh_database() as url:
        index_db = Database(url, schema="derived")
        indexer = Indexer(rig.settings, rig.db, rig.repo, index_db)
        indexer.run_once()
        assert canonical_dump(index_db) == rig.dump()
        rig.push({path_of("line", "L-3"): line_file(3), path_of("line", "L-4"): line_file(4, onu=5)})
        rig.run()
        indexer.run_once()
        assert canonical_dump(index_db) == rig.dump()
        index_db.close()


def test_one_change_costs_the_same_at_1000_and_at_7000_services(tmp_path: Path) -> None:
    """Git objects read, Git commands, and statements sent to both databases do not grow with the network."""
    small = costs(tmp_path / "small", 1_000)
    assert small == costs(tmp_path / "large", 7_000)
    most = {"blobs": 4, "trees": 20, "git": 2, "index": 50, "recorded": 50}
    assert {name: count for name, count in small.items() if count > most[name]} == {}


def costs(home: Path, services: int) -> dict[str, int]:
    rig = Rig(home).begin(services)
    rig.indexer.run_once()
    rig.land("billing", "nonpayment", rig.hold(0))
    counted = {"index": 0, "recorded": 0}

    def listen(database: Database, name: str) -> None:
        @sa.event.listens_for(database.engine, "before_cursor_execute")
        def _count(*_: object) -> None:
            counted[name] += 1

    listen(rig.index_db, "index")
    listen(rig.db, "recorded")
    before = rig.counts()
    set_id = rig.submit("billing", "nonpayment", rig.hold(1))
    found = rig.run()
    assert (rig.state(set_id), len(found)) == ("landed", 1)
    return counted | {name: count - before[name] for name, count in rig.counts().items()}


def test_a_push_is_refused_when_it_rewrites(rig: Rig, tmp_path: Path) -> None:
    """The bare repository itself refuses a forced push; only its owner can rewrite it."""
    first = rig.repo.head() or ""
    rig.push({path_of("service", "S-1"): service_file(1, "slow")})
    other = tmp_path / "other.git"
    rig.repo.git("clone", "--bare", "--quiet", str(rig.repo.path), str(other))
    with pytest.raises(GitFailed):
        rig.repo.git(
            "--git-dir", str(other), "push", "--force", str(rig.repo.path), f"{first}:refs/heads/main"
        )
