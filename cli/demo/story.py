"""The story of the demo, step by step: each says what happened and how long it took."""

import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta

import sqlalchemy as sa

from billing.dunning import DunningRun
from cli.demo import engineer
from cli.demo.business import SUSPENDED, Office, first_of_month
from cli.demo.stage import Stage
from cli.demo.telling import Teller, wait_until
from core import clock
from intents.committer import parked, release
from intents.validate import validate_tree
from reconciler import receipts, runs
from reconciler.models import object_work
from reconciler.states import RunState

ALICE = "S-10001"
WRONG, UNANNOUNCED = 100, 60
_SUPPORT = "support-7"


class StoryBroken(Exception):
    """The story did not go as it should."""


class Story:
    """Every step needs the ones before it."""

    def __init__(self, stage: Stage, teller: Teller) -> None:
        self.stage, self.tell = stage, teller
        self.office: Office
        self.months = [first_of_month(clock.today("Australia/Perth"), back) for back in (4, 3, 2)]
        self.services: dict[str, list[str]] = {}
        self.account = ""

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Title and function of each step."""
        return [
            ("Make the example network: AARNet's 19 routers with an access network on top", self.make),
            ("Validate every file of trunk", self.validate),
            ("Serve: committer, indexer, reconciler, RADIUS, API and console", self.serve),
            ("Apply trunk to every device over SSH, from nothing", self.apply),
            ("A subscriber logs in at a BNG", self.log_in),
            ("Bill a month; everybody pays but one", self.bill),
            ("Overdue: a hold commit moves the live session into the walled garden", self.hold),
            ("The payment arrives: payment and release are one transaction", self.pay),
            (f"A wrong dunning batch of {WRONG} comes back by one plain `git revert`", self.revert),
            ("A batch that nobody announced is parked by a guard and released by hand", self.guard),
        ]

    def make(self) -> None:
        """The first commit, and the office's books."""
        commit, files = self.stage.make_repository()
        self.office = Office(self.stage)
        devices = len(list(self.stage.fleet))
        self.tell.say(f"{files} files in commit {commit[:12]}; {devices} virtual devices listen on SSH")

    def validate(self) -> None:
        """What a pull request would be told."""
        head = self.stage.one.repo.head() or ""
        problems = validate_tree(self.stage.one.repo, head)
        if problems:
            raise StoryBroken("; ".join(str(problem) for problem in problems[:3]))
        self.tell.say("every file is good: 0 errors, 0 warnings")

    def serve(self) -> None:
        """Everything in this process, RADIUS workers in their own."""
        serving, radius = self.stage.serve(), self.stage.one.radius
        self.tell.say(
            f"console and API: {serving.url}",
            f"RADIUS: 127.0.0.1 ports {radius.auth_port} and {radius.acct_port}, {len(radius.workers)} workers",
        )

    def apply(self) -> None:
        """Wait for the device machine and for the subscriber objects."""
        wanted = len(list(self.stage.fleet))
        wait_until("every device verified", lambda: self._verified() == wanted, 90, why=self._waiting)
        wait_until("every subscriber object placed", lambda: not self._objects_left(), cap=90)
        with self.stage.one.db.read() as conn:
            found = [r for r in receipts.recent(conn, 5000) if r.lane == 3]
        spent = sorted((r.ended_at - r.started_at).total_seconds() for r in found)
        onus = sum(len(d.objects.table.onus) for d in self.stage.fleet if d.spec.role == "olt")
        self.tell.say(
            f"{wanted} devices verified; one took {statistics.median(spent):.2f} s (median), {spent[-1]:.2f} s (most)",
            f"{onus} ONUs and their service ports registered on the OLTs, each one read back",
        )

    def log_in(self) -> None:
        """Alice and her reply attributes."""
        reply, _ = self.stage.dial(ALICE)
        self.tell.say(f"{ALICE} dials by PPPoE: Access-Accept after {reply.milliseconds:.1f} ms")
        self.tell.show("reply attributes", reply.attributes)

    def bill(self) -> None:
        """Four months back: adopt, bill, pay."""
        month = self.months[0]
        adopted = self.office.adopt(month)
        run = self.office.bill(month)
        self.services = self.office.accounts()
        self.account = next(a for a, services in self.services.items() if ALICE in services)
        paid = self.office.pay_all([a for a in self.services if a != self.account], month + timedelta(days=5))
        self.tell.say(
            f"{adopted} services of {len(self.services)} customers; {len(run.final)} invoices dated {month}",
            f"{paid} payments taken; {self.account} still owes {self.office.owed(self.account)}",
        )

    def hold(self) -> None:
        """Dunning holds one service."""
        begun = time.monotonic()
        run = self._dun(self.months[0] + SUSPENDED, held=[ALICE])
        commit = self._landed(run)
        self._proven(commit, run)
        spent = time.monotonic() - begun
        wait_until("the redial", lambda: "garden" in self.stage.pool(ALICE))
        self.tell.say(
            f"hold commit {commit[:12]}; {spent * 1000:.0f} ms from the dunning run to the NAS's acknowledgement",
            f"the NAS answered: {self._answer(commit)}",
        )
        session = self.stage.live(ALICE)
        self.tell.show("the next login lands in the walled garden", session.policy if session else [])

    def pay(self) -> None:
        """Alice pays."""
        begun = time.monotonic()
        paid = self.office.pay(self.account, self.months[0] + SUSPENDED)
        if paid is None or not paid.set_ids:
            raise StoryBroken("the payment did not ask for a release")
        commit = self._commit_of(paid.set_ids[0])
        wait_until("proof of the release", lambda: self.office.settled(commit, [ALICE]) == 1)
        spent = time.monotonic() - begun
        wait_until("the redial", lambda: "garden" not in (self.stage.pool(ALICE) or "garden"))
        self.tell.say(
            f"{paid.amount} taken; release commit {commit[:12]}; {spent * 1000:.0f} ms from payment to free",
            f"{ALICE} is free: acknowledged, and no session is left on the old policy; pool {self.stage.pool(ALICE)}",
        )

    def revert(self) -> None:
        """A hundred holds that should not be, and one revert."""
        victims = self._unpaid(self.months[1], WRONG)
        for service in victims:
            self.stage.dial(service)
        run = self._dun(self.months[1] + SUSPENDED, held=victims, expect=WRONG)
        commit = self._landed(run)
        held = wait_until("all held", lambda: self.office.settled(commit, victims) == WRONG, cap=60)
        wait_until("all redialled", lambda: self._in(victims, "garden") == WRONG, cap=60)
        self.tell.say(f"{WRONG} holds in one commit {commit[:12]}: {WRONG} live sessions in the garden")
        begun = time.monotonic()
        reverted = engineer.revert(self.stage.settings, commit)
        wait_until("all free", lambda: self.office.settled(reverted, victims) == WRONG, cap=60)
        free = time.monotonic() - begun
        wait_until("all redialled", lambda: self._in(victims, "cgn") == WRONG, cap=60)
        self.tell.say(
            f"held within {held:.2f} s of landing; `git revert {commit[:12]}` pushed: all free {free:.2f} s later",
        )
        wait_until("billing knows", lambda: self.office.overrides() == WRONG)
        again = self.office.dun(self.months[1] + SUSPENDED + timedelta(days=1))
        if again.held:
            raise StoryBroken(f"dunning held {len(again.held)} services again")
        self.tell.say(f"billing recorded {WRONG} overrides; the next dunning run holds nobody of them again")

    def guard(self) -> None:
        """The same without announcing the count."""
        self.office.pay_all(self.services, self.months[2])
        victims = self._unpaid(self.months[2], UNANNOUNCED)
        run = self._dun(self.months[2] + SUSPENDED, held=victims)
        wait_until("the guard", lambda: self.office.state_of(run.hold_set) == "parked")
        with self.stage.one.db.read() as conn:
            (waiting,) = parked(conn)
        guard = waiting["guard"]
        self.tell.say(
            f"set {run.hold_set} is parked: {guard['count']} restrictions, the guard '{guard['guard']}' "
            f"lets {guard['limit']} pass; nothing else waits for it",
        )
        with self.stage.one.db.write() as conn:
            release(conn, str(run.hold_set), _SUPPORT, expect=UNANNOUNCED)
        commit = self._landed(run)
        wait_until("all held", lambda: self.office.settled(commit, victims) == UNANNOUNCED, cap=60)
        self.tell.say(
            f"{_SUPPORT} released it with the count {UNANNOUNCED}: landed as {commit[:12]} and proven"
        )

    def _unpaid(self, month: date, count: int) -> list[str]:
        """Bill a month and let everybody pay but `count` accounts with one plain Internet service each."""
        self.office.bill(month)
        unpaid = [
            a for a, services in self.services.items() if self._is_plain(services) and a != self.account
        ][:count]
        self.office.pay_all([a for a in self.services if a not in unpaid], month + timedelta(days=5))
        return sorted(self.services[account][0] for account in unpaid)

    def _is_plain(self, services: list[str]) -> bool:
        if len(services) != 1:
            return False
        with self.stage.one.reader() as reader:
            service = reader.get("service", services[0])
        return bool(service.session and service.session.method == "pppoe" and service.on_hold == "auto")

    def _dun(self, on: date, held: list[str], expect: int | None = None) -> DunningRun:
        run = self.office.dun(on, expect)
        if sorted(run.held) != sorted(held):
            raise StoryBroken(f"dunning held {len(run.held)} services, not {len(held)}")
        return run

    def _landed(self, run: DunningRun) -> str:
        return self._commit_of(str(run.hold_set))

    def _commit_of(self, set_id: str) -> str:
        wait_until(f"landing of {set_id}", lambda: self.office.state_of(set_id) == "landed")
        return self.office.commit_of(set_id)

    def _proven(self, commit: str, run: DunningRun) -> None:
        wait_until("proof", lambda: self.office.settled(commit, run.held) == len(run.held))

    def _answer(self, commit: str) -> str:
        with self.stage.one.db.read() as conn:
            found = [r for r in receipts.of_commit(conn, commit) if r.step.startswith("session")]
        return f"{found[0].asked.split(':')[0]}: {found[0].answer}" if found else "no session was live"

    def _in(self, services: list[str], pool: str) -> int:
        return sum(pool in self.stage.pool(service) for service in services)

    def _waiting(self) -> str:
        """Devices that are not verified, and why."""
        with self.stage.one.db.read() as conn:
            found = runs.latest(conn)
        late = {d: r for d, r in found.items() if r.state is not RunState.VERIFIED}
        return "; ".join(f"{device} is {run.state} ({run.why})" for device, run in sorted(late.items()))

    def _verified(self) -> int:
        with self.stage.one.db.read() as conn:
            return sum(run.state is RunState.VERIFIED for run in runs.latest(conn).values())

    def _objects_left(self) -> int:
        with self.stage.one.db.read() as conn:
            return int(conn.execute(sa.select(sa.func.count()).select_from(object_work)).scalar() or 0)
