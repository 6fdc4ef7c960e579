"""No redial lands on the old policy: the lane, the workers and the NAS in any order that hypothesis can think of.

Everything is the real code (view builder, views, answers, accounting, session lane, CoA channels, both databases) but
the network and the clock: what is in the air is delivered, lost or answered when a rule says so, and time stands still
until a rule moves it. The NAS behaves like a real one: it forgets, refuses, reboots, and answers a repeated request
with the same octets.
"""

import contextlib
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from aaa import enforcement
from aaa.accounting.record import AccountingRecord
from aaa.accounting.store import apply
from aaa.coa.channel import Ask, Channel
from aaa.radius import packet as wire
from aaa.radius.answers import Answers
from aaa.radius.authenticate import Authenticator
from aaa.radius.credentials import hide
from aaa.radius.deferred import Answer
from aaa.radius.limits import Attempts, Limits
from aaa.radius.nases import NasTable
from aaa.radius.packet import pair
from aaa.view.builder import ViewBuilder
from aaa.view.derived import open_derived
from aaa.view.lookup import View
from aaa.view.models import newest, view_position
from aaa.view.records import read_class
from aaa.view.seal import Seal
from core import clock
from core.db import Database, insert_many
from intents.index import layout
from intents.index.models import index_change, index_state
from reconciler.context import Context
from reconciler.models import session_work
from reconciler.secrets import MaskedSecrets
from reconciler.sessions import SessionLane
from tests.aaa.network import SECRET, Network, open_secret, reading, settings_in

SOURCE = "127.0.0.1"
SERVICES = ("S-1", "S-2")
WORKERS = ("node1-0", "node1-1", "node2-0")
START, STOP, INTERIM, ON = 1, 2, 3, 7
_BEGUN = datetime(2026, 11, 25, 12, tzinfo=UTC)
_HOLDS = [
    ("nonpayment", "walled-garden", ""),
    ("abuse", "throttle", "rate: {down: 1M, up: 1M}"),
    ("admin", "block", ""),
]


class Time:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        """In place of core.clock.monotonic."""
        return 1000.0 + self.passed

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.passed += seconds
        clock.advance(timedelta(seconds=seconds))


class Air:
    """In place of the engine's sockets: the real channels, and datagrams under way in both directions."""

    def __init__(self, time: Time, submitted: Callable[[Ask], None]) -> None:
        self.time, self.submitted = time, submitted
        self.channels: dict[tuple[str, int], Channel] = {}
        self.requests: list[tuple[tuple[str, int], int, bytes]] = []
        self.replies: list[tuple[tuple[str, int], int, bytes]] = []
        self.counted: Counter[str] = Counter()

    def submit(self, ask: Ask) -> None:
        self.submitted(ask)
        key = (ask.nas.source, ask.nas.coa_port)
        self.channels.setdefault(key, Channel(ask.nas)).submit(ask)

    def withdraw(self, ask: Ask) -> None:
        for channel in self.channels.values():
            channel.withdraw(ask)

    def stop(self) -> None:
        """Nothing runs."""

    def pump(self) -> None:
        for key, channel in self.channels.items():
            self.requests += [(key, *sent) for sent in channel.sends(self.time.monotonic())]

    def reply(self, index: int) -> None:
        key, port, datagram = self.replies.pop(index)
        self.channels[key].received(port, datagram, self.time.monotonic())


class Live(msgspec.Struct, eq=False):
    """A session as the NAS has it."""

    session_id: bytes
    service: str
    cls: bytes
    began: float

    @property
    def policy_hash(self) -> str:
        """What it is on."""
        found = read_class(self.cls)
        assert found is not None
        return found[1]


class Worker:
    """A RADIUS worker: its own view, its answers, and records that wait for the group commit."""

    def __init__(self, name: str, seal: Seal) -> None:
        self.name, self.view, self.alive = name, View(None), True
        table = NasTable(self.view, seal)
        authenticator = Authenticator(self.view, seal, Attempts(Limits()))
        self.answers = Answers(self.view, table, authenticator, lambda *_: None)
        self.records: list[AccountingRecord] = []


class Redials(RuleBasedStateMachine):
    """The rules. `teardown` lets everything settle and looks at every session that is left."""

    def __init__(self, template: bytes) -> None:
        super().__init__()
        self.ends = contextlib.ExitStack()
        home = Path(self.ends.enter_context(tempfile.TemporaryDirectory()))
        self.time = Time()
        self.ends.enter_context(clock.frozen(_BEGUN))
        patch = pytest.MonkeyPatch()
        patch.setattr(clock, "monotonic", self.time.monotonic)
        self.ends.callback(patch.undo)
        self.settings = settings_in(home)
        (home / "trunkline.db").write_bytes(template)
        self.db = Database(self.settings.database_url, durable=False)
        self.index = open_derived(self.settings)
        self.ends.callback(self.index.close)
        self.ends.callback(self.db.close)
        self.sessions: dict[bytes, Live] = {}
        self.answered: dict[bytes, bytes] = {}
        self.acct: list[tuple[int, bytes, float]] = []
        self.dialling: list[str] = []
        self.history: dict[str, list[tuple[int, str, float]]] = {one: [] for one in SERVICES}
        self.number = 0

    @initialize()
    def begin(self) -> None:
        self.network = Network()
        for number in (1, 2):
            self.network.subscriber(number)
        layout.prepare(self.index)
        with self.index.write() as conn:
            conn.execute(sa.update(index_state).values(commit_id="c0"))
        seal = Seal.of(self.settings.home)
        self.builder = ViewBuilder(self.index, lambda: reading(self.network), open_secret, seal)
        self.indexed("device", "bng1")
        self.workers = [Worker(name, seal) for name in WORKERS]
        for worker in self.workers:
            self.follow(worker)
        self.restart_lane()
        self.lane.step()
        for service in SERVICES:
            self.login(self.workers[0], service)
        self.everything_arrives()

    # What engineers and billing do

    @rule(service=st.sampled_from(SERVICES), hold=st.sampled_from(_HOLDS), build=st.booleans())
    def hold(self, service: str, hold: tuple[str, str, str], build: bool) -> None:
        self.network.hold(service, hold[0], hold[1], hold[2])
        self.indexed("hold", f"{service}.{hold[0]}", build)

    @rule(service=st.sampled_from(SERVICES), hold=st.sampled_from(_HOLDS), build=st.booleans())
    def release(self, service: str, hold: tuple[str, str, str], build: bool) -> None:
        self.network.drop("hold", f"{service}.{hold[0]}")
        self.indexed("hold", f"{service}.{hold[0]}", build)

    @rule()
    def build(self) -> None:
        self.builder.run_once()
        with self.index.read() as conn:
            seq = newest(conn)
        for service, record in enforcement.wanted(self.index, SERVICES).items():
            told = self.history[service]
            if not told or told[-1][1] != record.policy_hash:
                told.append((seq, record.policy_hash, self.time.passed))

    # What workers do

    @rule(which=st.integers(0, 2))
    def follow_one(self, which: int) -> None:
        if self.workers[which].alive:
            self.follow(self.workers[which])

    @rule(which=st.integers(0, 2))
    def heartbeat(self, which: int) -> None:
        if self.workers[which].alive:
            self.workers[which].view.acknowledge(self.index, WORKERS[which])

    @rule(which=st.integers(1, 2))
    def die(self, which: int) -> None:
        self.workers[which].alive = False
        self.workers[which].records = []  # never acknowledged: the NAS sends them again, or they are lost

    @rule(which=st.integers(1, 2))
    def revive(self, which: int) -> None:
        self.workers[which].alive = True  # from its snapshot: what it knew

    @rule(which=st.integers(0, 2))
    def commit_group(self, which: int) -> None:
        worker = self.workers[which]
        records, worker.records = worker.records, []
        with self.db.write() as conn:
            apply(conn, records)

    # What subscribers and the NAS do

    @rule(which=st.integers(0, 2), who=st.integers(0, 9))
    def dial(self, which: int, who: int) -> None:
        worker = self.workers[which]
        if self.dialling and worker.alive:
            self.login(worker, self.dialling.pop(who % len(self.dialling)))

    @rule(who=st.integers(0, 9), silently=st.booleans())
    def hang_up(self, who: int, silently: bool) -> None:
        if self.sessions:
            one = self.sessions[sorted(self.sessions)[who % len(self.sessions)]]
            self.drop(one, told=not silently)

    @rule(who=st.integers(0, 9))
    def interim(self, who: int) -> None:
        if self.sessions:
            one = self.sessions[sorted(self.sessions)[who % len(self.sessions)]]
            self.account(INTERIM, one)

    @rule()
    def reboot(self) -> None:
        self.dialling += [one.service for one in self.sessions.values()]
        self.sessions = {}
        self.answered = {}
        self.acct.append((ON, b"", clock.now().timestamp()))

    @rule(which=st.integers(0, 2), what=st.integers(0, 9), keep=st.booleans())
    def deliver_accounting(self, which: int, what: int, keep: bool) -> None:
        if self.acct and self.workers[which].alive:
            index = what % len(self.acct)
            self.received(self.workers[which], self.acct[index])
            if not keep:  # else it comes a second time
                del self.acct[index]

    @rule(what=st.integers(0, 9))
    def lose_accounting(self, what: int) -> None:
        if self.acct:
            del self.acct[what % len(self.acct)]

    # What happens to CoA and Disconnect

    @rule()
    def step(self) -> None:
        self.lane.step()
        self.air.pump()

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.2, 5.0, 11.0]))
    def pass_time(self, seconds: float) -> None:
        self.time.move(seconds)
        self.air.pump()

    @rule(what=st.integers(0, 9), nak=st.sampled_from([0, 0, 0, 506, 402]))
    def deliver_request(self, what: int, nak: int) -> None:
        if self.air.requests:
            key, port, datagram = self.air.requests.pop(what % len(self.air.requests))
            self.air.replies.append((key, port, self.perform(datagram, nak)))

    @rule(what=st.integers(0, 9))
    def lose_request(self, what: int) -> None:
        if self.air.requests:
            del self.air.requests[what % len(self.air.requests)]

    @rule(what=st.integers(0, 9))
    def deliver_reply(self, what: int) -> None:
        if self.air.replies:
            self.air.reply(what % len(self.air.replies))

    @rule(what=st.integers(0, 9))
    def lose_reply(self, what: int) -> None:
        if self.air.replies:
            del self.air.replies[what % len(self.air.replies)]

    @rule(lost=st.sampled_from(["requests", "replies"]))
    def silence(self, lost: str) -> None:
        """Nothing comes through for longer than anybody sends again: performed or not, nobody hears of it."""
        for _transmission in range(8):
            self.step()
            while self.air.requests:
                if lost == "requests":
                    self.lose_request(0)
                else:
                    self.deliver_request(0, 0)
            self.air.replies = []
            self.time.move(0.7)

    @rule()
    def all_is_well(self) -> None:
        """For a moment everything works."""
        self.build()
        self.everything_arrives()
        self.everything_is_answered()

    @rule()
    def restart_lane(self) -> None:
        """What was in the air is lost with the old process; what it asked has no outcome."""
        self.air = Air(self.time, self.waited_for_workers)
        context = Context(
            settings=self.settings, db=self.db, index_db=self.index, reader=lambda: reading(self.network),
            secrets=MaskedSecrets(), key=None, owner="node1",
        )  # fmt: skip
        self.lane = SessionLane(context, engine=self.air)  # type: ignore[arg-type]

    # What must hold

    def waited_for_workers(self, ask: Ask) -> None:
        """A correction leaves when every live worker knows, or after half a second."""
        session_id = wire.read(bytes((43, 0, 0, 20 + len(ask.body))) + bytes(16) + ask.body)
        assert session_id is not None
        one = self.sessions.get(session_id.first(44) or b"")
        if one is None or not self.history[one.service]:
            return
        seq, _policy, built = self.history[one.service][-1]
        with self.index.read() as conn:
            behind = enforcement.behind(enforcement.positions(conn), seq)
        assert not behind or self.time.passed >= built + 0.5, f"sent before {behind} knew {seq}"

    def login(self, worker: Worker, service: str) -> None:
        number = service.removeprefix("S-")
        authenticator = secrets.token_bytes(16)
        body = pair(1, f"s{number}@example.net".encode()) + pair(7, (1).to_bytes(4))
        body += pair(2, hide(f"pw-{number}".encode(), SECRET, authenticator))
        answer = worker.answers.access(wire.request(1, 1, SECRET, body, authenticator), SOURCE)
        assert isinstance(answer, Answer)
        reply = wire.read(answer.reply)
        assert reply is not None
        if reply.code != wire.ACCESS_ACCEPT:
            self.dialling.append(service)  # it tries again later
            return
        cls = reply.first(25)
        assert cls is not None
        self.number += 1
        one = Live(b"%08d" % self.number, service, cls, clock.now().timestamp())
        self.sessions[one.session_id] = one
        self.never_older_than_acknowledged(worker, one)
        self.account(START, one)

    def never_older_than_acknowledged(self, worker: Worker, one: Live) -> None:
        """A worker that acknowledged R answers with R's policy or a later one."""
        with self.index.read() as conn:
            acked = (
                conn.scalar(sa.select(view_position.c.seq).where(view_position.c.worker == worker.name)) or 0
            )
        told = self.history[one.service]
        before = [index for index, (seq, _hash, _at) in enumerate(told) if seq <= acked]
        allowed = {policy for _seq, policy, _at in told[before[-1] if before else 0 :]}
        assert one.policy_hash in allowed, f"{worker.name} acknowledged {acked}"

    def perform(self, datagram: bytes, nak: int) -> bytes:
        """The NAS: a repeated request gets the same octets and is not performed again."""
        if datagram in self.answered:
            return self.answered[datagram]
        request = wire.read(datagram)
        assert request is not None
        assert wire.request_authenticator_is_right(request, SECRET)
        coa = request.code == wire.COA_REQUEST
        ack, refusal = (wire.COA_ACK, wire.COA_NAK) if coa else (wire.DISCONNECT_ACK, wire.DISCONNECT_NAK)
        one = self.sessions.get(request.first(44) or b"")
        if one is None or nak:
            cause = pair(101, (nak or 503).to_bytes(4))
            reply = wire.reply(refusal, request, SECRET, cause)
        else:
            if coa:
                one.cls = request.first(25) or one.cls
            else:
                self.drop(one, told=True)
            reply = wire.reply(ack, request, SECRET)
        self.answered[datagram] = reply
        return reply

    def drop(self, one: Live, told: bool) -> None:
        del self.sessions[one.session_id]
        if told:
            self.account(STOP, one)
        self.dialling.append(one.service)

    def account(self, kind: int, one: Live) -> None:
        now = clock.now().timestamp()
        number = one.service.removeprefix("S-")
        body = pair(40, kind.to_bytes(4)) + pair(44, one.session_id) + pair(25, one.cls)
        body += pair(1, f"s{number}@example.net".encode())
        body += pair(46, int(now - one.began).to_bytes(4))
        self.acct.append((kind, body, now))

    def received(self, worker: Worker, event: tuple[int, bytes, float]) -> None:
        """A worker reads it now (with what it knows now); the group commit makes it durable later."""
        kind, body, at = event
        body = body or pair(40, kind.to_bytes(4))
        read = worker.answers.accounting(wire.request(4, 1, SECRET, body), SOURCE)
        assert read is not None
        assert read[0] is not None
        worker.records.append(msgspec.structs.replace(read[0], at=at))

    def indexed(self, kind: str, identifier: str, build: bool = True) -> None:
        self.number += 1
        row = {
            "commit_id": f"c{self.number}", "path": "-", "kind": kind, "id": identifier, "op": "put",
            "changed_at": clock.now(),
        }  # fmt: skip
        with self.index.write() as conn:
            insert_many(conn, index_change, [row])
        if build:
            self.build()

    def follow(self, worker: Worker) -> None:
        worker.view.follow(self.index)
        worker.view.acknowledge(self.index, worker.name)

    def teardown(self) -> None:
        try:
            if hasattr(self, "lane"):
                self.settle()
                self.look()
        finally:
            if hasattr(self, "lane"):
                self.lane.close()
            self.ends.close()

    def settle(self) -> None:
        """Everybody follows, nothing is lost any more, and every session sends an interim now and then."""
        self.build()
        for worker in self.workers:
            worker.alive = True
        for turn in range(60):
            self.time.move(4.0 if turn < 20 else 61.0)
            self.everything_arrives()
            for one in self.sessions.values():
                self.account(INTERIM, one)
            waiting, self.dialling = self.dialling, []
            for service in waiting:
                self.login(self.workers[turn % 3], service)
            self.everything_is_answered()
            if turn > 3 and self.is_quiet():
                return

    def everything_arrives(self) -> None:
        for each in self.workers:
            if each.alive:
                self.follow(each)
            for event in self.acct if each.alive else ():
                self.received(each, event)
        self.acct = []
        for index in range(len(self.workers)):
            self.commit_group(index)

    def everything_is_answered(self) -> None:
        for _again in range(4):
            self.step()
            while self.air.requests:
                self.deliver_request(0, 0)
            while self.air.replies:
                self.deliver_reply(0)
            self.time.move(0.1)

    def is_quiet(self) -> bool:
        with self.db.read() as conn:
            work = conn.scalar(sa.select(sa.func.count()).select_from(session_work))
        return (
            not work
            and not enforcement.marked_sessions(self.db)
            and all(one.policy_hash == self.history[one.service][-1][1] for one in self.sessions.values())
        )

    def look(self) -> None:
        """No open session is on a policy that is not wanted."""
        wanted = enforcement.wanted(self.index, SERVICES)
        found = {
            one.session_id: (one.service, one.policy_hash)
            for one in self.sessions.values()
            if one.policy_hash != wanted[one.service].policy_hash
        }
        assert not found, f"on a policy that is not wanted: {found}"
        with self.db.read() as conn:
            assert conn.execute(sa.select(session_work)).all() == []
        assert enforcement.marked_sessions(self.db) == {}


@pytest.fixture
def machine(sqlite_template: Path) -> Iterator[Redials]:
    """The same machine, led by hand; at the end everything settles and every session is looked at."""
    made = Redials(sqlite_template.read_bytes())
    made.begin()
    yield made
    made.teardown()


THROTTLE, GARDEN = _HOLDS[1], _HOLDS[0]


def test_a_change_that_nobody_heard_of_is_not_taken_for_none(machine: Redials) -> None:
    """The NAS applied a CoA and every reply was lost; taking the change back must still reach the session."""
    machine.hold("S-1", THROTTLE, build=True)
    machine.everything_arrives()
    machine.silence("replies")
    machine.release("S-1", THROTTLE, build=True)


def test_a_redial_to_a_laggard_is_corrected_by_its_start(machine: Redials) -> None:
    """A worker that does not follow lets a redial in on the old policy; its Accounting-Start brings that to light."""
    machine.hold("S-1", GARDEN, build=True)
    machine.follow_one(0)
    machine.follow_one(2)
    machine.step()
    assert machine.air.requests == []
    machine.pass_time(0.6)
    machine.step()
    machine.deliver_request(0, 0)
    machine.deliver_reply(0)
    machine.step()
    assert machine.dialling == ["S-1"]
    machine.dial(1, 0)
    machine.everything_arrives()
    machine.everything_is_answered()
    assert machine.dialling == ["S-1"], "the redial was ended again"


def test_a_correction_waits_for_the_workers(machine: Redials) -> None:
    """Nothing leaves before all know, and then it leaves at once."""
    machine.hold("S-1", GARDEN, build=True)
    machine.step()
    assert machine.air.requests == []
    for which in range(3):
        machine.follow_one(which)
    machine.step()
    assert len(machine.air.requests) == 1


def test_a_release_during_the_correction_is_not_lost(machine: Redials) -> None:
    """The hold's Disconnect is under way when the hold is lifted: the work for the release survives its receipt."""
    machine.hold("S-1", THROTTLE, build=True)
    machine.everything_arrives()
    machine.step()
    machine.release("S-1", THROTTLE, build=True)
    machine.everything_arrives()
    machine.step()
    machine.deliver_request(0, 0)
    machine.deliver_reply(0)
    machine.step()
    machine.all_is_well()
    wanted = enforcement.wanted(machine.index, ["S-1"])["S-1"].policy_hash
    assert {one.policy_hash for one in machine.sessions.values() if one.service == "S-1"} == {wanted}


def test_a_start_that_comes_late_is_enough(machine: Redials) -> None:
    """The login was before the hold, its Start comes after everything was settled: it is corrected by the Start."""
    machine.hang_up(0, silently=False)
    machine.everything_arrives()
    machine.dial(0, 0)
    late, machine.acct = machine.acct, []
    machine.hold("S-1", GARDEN, build=True)
    machine.all_is_well()
    machine.acct = late
    machine.everything_arrives()
    machine.everything_is_answered()
    assert machine.dialling == ["S-1"]


def test_no_redial_stays_on_the_old_policy(sqlite_template: Path) -> None:
    """Whatever the order of commits, views, logins, accounting, losses, NAKs, reboots and restarts: when all has
    settled, no session is on a policy that is not wanted, no login got less than its worker had acknowledged, and no
    correction left before the workers knew (or had half a second).
    """
    template = sqlite_template.read_bytes()
    checked: Any = settings(
        max_examples=15, stateful_step_count=30, deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )  # fmt: skip
    machine: Any = lambda: Redials(template)  # noqa: E731 - it wants a factory, and says a class
    run_state_machine_as_test(machine, settings=checked)
