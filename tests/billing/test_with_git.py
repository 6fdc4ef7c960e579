"""Billing with the real queue, committer, repository and indexer: hold, plain revert, override, release, stale hold."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from billing import accounts, holds, overrides, overview, payments, undoing
from billing.billrun import run_billing
from billing.collecting import waiting
from billing.collecting.status import status
from billing.dunning import run_dunning
from core import discovery
from core.crypto import DataKey
from core.db import Database
from core.jobs import Worker
from core.money import Money
from core.settings import Settings
from crm import activation, customers, day, orders
from crm.access import Gpon
from crm.adoption import adopt_services
from intents.committer import Committer, release
from intents.index.indexer import Indexer
from intents.index.reader import open_reader
from intents.kinds import path_of
from intents.models import change_set
from intents.repository import Repository
from tests.intents import build
from tests.support import run

discovery.load_all(("core", "billing", "crm"))  # they subscribe
START, LATE = date(2026, 1, 1), date(2026, 2, 1)


class Loop:
    """Queue, committer, indexer and jobs, run by hand."""

    def __init__(self, database: Database, home: Path, services: int, config: bytes = build.CONFIG) -> None:
        self.db, self.home = database, home
        url = database.url.render_as_string(hide_password=False)
        self.settings = Settings.load(home, env={}, database_url=url)
        build.make(self.settings, services, config)
        self.repo = Repository(self.settings.repository, self.settings.trunk)
        self.index_db = Database(self.settings.index_url)
        self.indexer = Indexer(self.settings, database, self.repo, self.index_db)
        self.committer = Committer(self.settings, database, self.repo, self.index_db)
        self.settle()

    def settle(self) -> None:
        """Until nothing is left to do."""
        for _ in range(20):
            done = (
                self.committer.run_once() + len(self.indexer.run_once()) + Worker(self.db, "test").run_once()
            )
            if not done:
                return

    def bill(self, on: date) -> Any:
        """Run billing."""
        with open_reader(self.index_db) as reader:
            return run_billing(self.db, reader, on)

    def dun(self, on: date, **given: Any) -> Any:
        """Run dunning."""
        with open_reader(self.index_db) as reader:
            return run_dunning(self.db, reader, on, **given)

    def pay(self, service: str, on: date = LATE) -> payments.Paid:
        """Pay the account of `S-<n>` in full."""
        with self.db.write() as conn:
            (account,) = accounts.of_customer(conn, service.replace("S-", "C-"))
            return payments.pay(conn, account.id, Money(7900, "AUD"), "cash", f"pay-{service}", on=on)

    def holds(self) -> list[str]:
        """The holds that are on trunk."""
        head = self.repo.head()
        assert head is not None
        return sorted(entry.path for entry in self.repo.entries(head) if entry.path.startswith("holds/"))

    def state(self, set_id: str | None) -> str:
        """The state of a change set."""
        with self.db.read() as conn:
            query = sa.select(change_set.c.state).where(change_set.c.set_id == set_id)
            return str(conn.execute(query).scalar_one())

    def revert_head(self) -> None:
        """A person reverts the newest commit with plain Git and pushes."""
        clone = self.home / "clone"
        run(["git", "clone", "-q", self.settings.repository, clone])
        person = ["-c", "user.name=staff-7", "-c", "user.email=staff-7@example.net"]
        run(["git", *person, "revert", "--no-edit", "HEAD"], cwd=clone)
        run(["git", "push", "-q", "origin", "HEAD:main"], cwd=clone)
        self.settle()


@pytest.fixture
def loop(database: Database, tmp_path: Path) -> Iterator[Loop]:
    """Twelve subscribers who have not paid January."""
    made = owing(Loop(database, tmp_path / "home", 12))
    yield made
    made.index_db.close()


def owing(loop: Loop) -> Loop:
    """Adopt everybody and bill January."""
    with open_reader(loop.index_db) as reader:
        adopt_services(loop.db, reader, since=START, actor="staff-7")
    loop.bill(START)
    return loop


def test_a_run_is_one_commit_and_its_plain_revert_is_an_override(loop: Loop):
    """Twelve holds in one commit; `git revert` frees all; the next run holds nobody; new debt is held again."""
    before = loop.repo.head()
    loop.dun(LATE)
    loop.settle()
    assert len(loop.holds()) == 12
    assert len(loop.repo.first_parents(before, loop.repo.head() or "")) == 1
    loop.revert_head()
    assert loop.holds() == []
    with loop.db.read() as conn:
        (account,) = accounts.of_customer(conn, "C-3")
        assert list(overrides.in_force(conn, [account.id])) == ["S-3"]
        assert holds.held(conn, [account.id]) == {}
    assert loop.dun(date(2026, 2, 10)).held == ()
    loop.bill(LATE)
    assert len(loop.dun(date(2026, 3, 2)).held) == 12


def test_undoing_a_run_frees_everybody_and_holds_nobody_of_them_again(loop: Loop):
    """`undo` is one commit by the person; billing hears it as somebody else's: overrides, until newer debt is due."""
    run = loop.dun(LATE)
    loop.settle()
    assert len(loop.holds()) == 12
    before = loop.repo.head()
    undone = undoing.undo(loop.db, run.id, actor="anna")
    loop.settle()
    assert loop.state(str(undone.set_id)) == "landed"
    assert (len(undone.freed), loop.holds()) == (12, [])
    assert len(loop.repo.first_parents(before, loop.repo.head() or "")) == 1
    with loop.db.read() as conn:
        (account,) = accounts.of_customer(conn, "C-3")
        assert list(overrides.in_force(conn, [account.id])) == ["S-3"]
    assert loop.dun(date(2026, 2, 10)).held == ()
    assert undoing.undo(loop.db, run.id, actor="anna").freed == ()


def test_a_payment_removes_the_file_and_billing_hears_its_own_release_as_its_own(loop: Loop):
    """One payer of twelve: one file less, and no override."""
    loop.dun(LATE)
    loop.settle()
    paid = loop.pay("S-3")
    loop.settle()
    assert loop.state(paid.set_ids[0]) == "landed"
    assert path_of("hold", "S-3.nonpayment") not in loop.holds()
    assert len(loop.holds()) == 11
    with loop.db.read() as conn:
        (account,) = accounts.of_customer(conn, "C-3")
        assert overrides.in_force(conn, [account.id]) == {}


def test_invariant_31_a_hold_that_saw_an_older_balance_is_discarded(database: Database, tmp_path: Path):
    """A parked run is released by a person after one of its twelve has paid: eleven are held."""
    guarded = build.CONFIG + b"guards: {restrict: {count: 5}}\n"
    loop = owing(Loop(database, tmp_path / "home", 12, guarded))
    run_ = loop.dun(LATE)
    loop.settle()
    assert (loop.state(run_.hold_set), loop.holds()) == ("parked", [])
    loop.pay("S-3")
    loop.settle()
    with database.write() as conn:
        release(conn, str(run_.hold_set), "staff-7", 12)
    loop.settle()
    assert len(loop.holds()) == 11
    assert path_of("hold", "S-3.nonpayment") not in loop.holds()
    loop.index_db.close()


def test_a_parked_run_is_named_until_a_person_lets_it_pass(database: Database, tmp_path: Path):
    """By the day's work and by whoever asks: nobody of it is held, however often dunning runs again."""
    guarded = build.CONFIG + b"guards: {restrict: {count: 5}}\n"
    loop = owing(Loop(database, tmp_path / "home", 12, guarded))
    set_id = str(loop.dun(LATE).hold_set)
    loop.settle()
    assert loop.dun(LATE, expect=12).held == ()
    with open_reader(loop.index_db) as reader:
        told, problems = day.STEPS["dunned"](day.Work(database, reader, None, LATE, "ada"))
        assert (told, len(problems)) == ("0 holds and 0 releases asked for", 1)
        assert f"`trunkline release {set_id} --expect 12`" in problems[0]
        with database.read() as conn:
            (account,) = accounts.of_customer(conn, "C-3")
            stands = overview.standing(conn, account.id, LATE)
            said = status(conn, reader, account.id, LATE).services
        assert (stands.held, stands.asked) == ((), {"S-3": set_id})
        assert said == {"S-3": f"asked to be held (walled-garden), waits for a person ({set_id})"}
    with database.write() as conn:
        release(conn, set_id, "staff-7", 12)
    loop.settle()
    with database.read() as conn:
        assert waiting.waiting(conn) == []
        stands = overview.standing(conn, account.id, LATE)
    assert (stands.held, stands.asked) == (("S-3",), {})
    loop.index_db.close()


def test_the_expected_count_lets_a_large_run_pass(database: Database, tmp_path: Path):
    """A person names twelve before the run: nothing is parked."""
    guarded = build.CONFIG + b"guards: {restrict: {count: 5}}\n"
    loop = owing(Loop(database, tmp_path / "home", 12, guarded))
    run_ = loop.dun(LATE, expect=12)
    loop.settle()
    assert (loop.state(run_.hold_set), len(loop.holds())) == ("landed", 12)
    loop.index_db.close()


def test_an_order_lands_as_files_and_is_billed(loop: Loop):
    """Order -> files on trunk -> the OLT is only observed, so landing activates -> billed."""
    with open_reader(loop.index_db) as reader:
        with loop.db.write() as conn:
            customer = customers.add(conn, None, "Ada")
            access = Gpon(olt="olt0", pon="0/1/0", serial="HWTCFFFF0001")
            order_id = orders.place_order(conn, reader, customer, "fibre", access, actor="staff-7")
        activation.activate(loop.db, reader, order_id, actor="staff-7", key=DataKey.generate())
    loop.settle()
    with loop.db.read() as conn:
        order = orders.get(conn, order_id)
        today = accounts.get(conn, order.account_id).today
    assert (order.state, order.reason) == ("active", None)
    assert order.account_id not in loop.bill(today).parked
    with open_reader(loop.index_db) as reader:
        assert reader.get("service", str(order.service)).plan == "fibre"
        assert reader.get("line", str(order.line)).onu == 12
