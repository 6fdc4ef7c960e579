"""What goes wrong in one place costs that place: threads go on, queues have an end, one bad row holds nobody up."""

import threading
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from aaa.accounting.commit import Submitted
from aaa.accounting.record import START
from aaa.eap import avp
from aaa.eap.inner import Inner
from aaa.eap.judge import Done
from aaa.eap.message import IDENTITY, RESPONSE, Eap
from aaa.eap.resume import Resumable
from aaa.eap.ttls import TtlsPhase
from aaa.proxy.shadow import Shadow
from aaa.radius import packet as wire
from aaa.radius.authenticate import Verdict
from aaa.radius.chores import Chores
from aaa.radius.deferred import Answer, Ask, Deferred
from aaa.radius.nases import NasEntry
from aaa.radius.packet import MAX_LENGTH, Packet, pair
from aaa.radius.refusals import Refusals, last_refusals
from aaa.radius.request import asked_of
from aaa.radius.worker import _MOST_DEFERRED
from cli.commands import radius
from core.db import DatabaseAway
from core.errors import first_line
from tests.aaa.network import SECRET
from tests.aaa.test_accounting import record

NAS = NasEntry("bng1", "127.0.0.1", "mikrotik", (b"x",), True, False, 3799, 500, 300)


def test_a_name_with_nul_from_inside_a_tunnel_does_not_hold_up_refusals(recorded):
    """PostgreSQL refuses NUL in text: it is taken out of inner identities, and of whatever a certificate names."""
    inner, asked = Inner(), []
    inner.take(Eap(RESPONSE, 1, IDENTITY, b"bob\0by"), lambda *_: Verdict(b"", "unknown"))
    assert inner.login == "bobby"
    phase = TtlsPhase(Resumable())

    def decide(login, _proof):
        asked.append(login)
        return Verdict(b"", "unknown")

    assert isinstance(phase.heard(avp.write(1, b"al\0ice") + avp.write(2, b"pw"), decide), Done)
    assert asked == ["alice"]
    refusals = Refusals()
    refusals.note("x\0y", NAS, Verdict(b"", "wrong-credentials", detail="certificate\0 of nobody"))
    refusals.flush(recorded)
    with recorded.read() as conn:
        (found,) = last_refusals(conn, "xy")
    assert found["detail"] == "certificate of nobody"


def test_a_chore_that_fails_keeps_no_other_from_being_done(server, node, recorded):
    """One flush raises an error without a word: the others and the counts are done all the same."""
    worker, done = server.worker, []
    chores = Chores(node.home, recorded, worker._journal, worker.answers, worker.watched, keeper=False)
    stop = threading.Event()

    def bad(_db):
        raise AssertionError

    def good(_db):
        done.append(1)
        stop.set()

    chores.run(stop, (bad, good))
    assert done == [1]
    assert first_line(AssertionError()) == "AssertionError()"


def test_an_answer_that_cannot_be_given_does_not_end_the_commit(server):
    """The thread that answers all accounting outlives one reply that raises."""
    commit = server.worker.commit
    settled: list[bool] = []

    def raises(_numbers, _durable):
        raise RuntimeError("no way back")

    def settles(numbers, durable):
        settled.extend([durable] * len(numbers))

    second = record(START, session_id=b"0002")
    commit.settle([Submitted([record(START)], raises), Submitted([second], settles)])
    assert settled == [True]


def test_a_thread_that_stumbles_goes_on(server, nas, monkeypatch):
    """A mistake of ours in the answering thread costs the packet at hand: the next one is answered."""
    worker, once = server.worker, [True]
    right = worker.answers.plainly

    def stumbles(datagram, source):
        if once.pop() if once else False:
            raise KeyError("a mistake of ours")
        return right(datagram, source)

    monkeypatch.setattr(worker.answers, "plainly", stumbles)
    assert nas().login("s1@example.net", "pw-1").accepted
    assert not once


def test_a_datagram_over_which_we_stumble_costs_no_other_its_record(server, monkeypatch):
    """Those before it in the burst go on to their commit; it is answered when it comes again."""
    worker = server.worker
    came: list[bytes] = []
    submitted: list[Submitted] = []
    right = worker.answers.accounting

    def stumbles(datagram, source, received):
        came.append(datagram)
        if len(came) == 2:
            raise KeyError("a mistake of ours")
        return right(datagram, source, received)

    monkeypatch.setattr(worker.answers, "accounting", stumbles)
    monkeypatch.setattr(worker.commit, "submit_all", submitted.append)
    source = ("127.0.0.1", 9)
    burst = [
        (wire.request(4, 1, SECRET, pair(40, bytes((0, 0, 0, 1))) + pair(44, name)), source)
        for name in (b"1", b"2")
    ]
    with pytest.raises(KeyError):
        worker._accounts._take(burst)
    worker._accounts._take(burst)
    assert [[one.session_id for one in some.records] for some in submitted] == [[b"1"], [b"2"]]


def test_requests_that_wait_for_a_handler_have_an_end(server):
    """More than can be answered in time are dropped and counted, and not held in memory."""
    worker = server.worker
    told: list[Any] = []

    class Slow:
        def handle(self, _ask, _respond):
            gate.wait(20)

    gate = threading.Event()
    ask = Ask(Packet(1, 1, bytes(16), [], b"", 0), NAS, b"x")
    for _ in range(_MOST_DEFERRED + 2):
        worker._defer(Deferred(Slow(), ask), told.append)
    gate.set()
    assert told[:1] == [None]
    assert worker.answers.dropped["busy"] >= 1


def test_a_reply_that_no_packet_holds_is_not_sent(server):
    """A method's answer and a packet full of Proxy-State are more than 4,096 octets: dropped and counted (RFC 2865)."""
    worker = server.worker
    told: list[Any] = []
    deferred = Deferred(
        worker.answers.methods["MS-CHAP"], Ask(Packet(1, 1, bytes(16), [], b"", 0), NAS, b"x")
    )
    fits = Answer(bytes(MAX_LENGTH))
    for answer in (fits, Answer(bytes(MAX_LENGTH + 1))):
        worker._timed(deferred, told.append, 0)(answer)
    assert told == [fits, None]
    assert worker.answers.dropped["no-room-for-a-reply"] == 1


def test_realms_that_strangers_make_up_are_counted_as_others(monkeypatch):
    """Comparing with the old server keeps so many realms until the database takes them, and one for all beyond."""
    monkeypatch.setattr("aaa.proxy.shadow._KEPT", 3)
    shadow = Shadow(lambda _ask, _theirs: Verdict(b"", "unknown"))
    for number in range(9):
        asked = asked_of({1: b"x@realm-%d" % number}, [], bytes(16))
        shadow.compare(Ask(Packet(1, 1, bytes(16), [], b"", 0), NAS, b"x", asked), None)
    told = {tally.realm: count for tally, count in shadow._tally.items()}
    assert told == {"realm-0": 1, "realm-1": 1, "realm-2": 1, "(others)": 6}


@pytest.mark.parametrize(
    "args",
    [
        ("sessions", "--limit", "-5"),
        ("node", "forget", "n2", "--rest", "-5"),
        ("grant", "S-1", "--days", "1e12"),
        ("voucher", "create", "--plan", "x", "--hours", "1e300"),
    ],
)
def test_a_number_that_cannot_be_is_a_mistake_in_usage(args):
    """Status 2 with the option's name, before any database is asked."""
    done = CliRunner().invoke(radius.app, list(args))
    assert done.exit_code == 2, done.output
    assert args[-2] in done.stderr


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """The stumbling thread does not wait."""
    monkeypatch.setattr("aaa.radius.worker._BREATH", 0.0)


def test_a_busy_database_is_news_when_it_lasts(server, node, recorded, monkeypatch):
    """For ten seconds a chore that meets a lock says nothing; a bug of ours is said at once."""
    worker = server.worker
    chores = Chores(node.home, recorded, worker._journal, worker.answers, worker.watched, keeper=False)
    moment = 1000.0
    monkeypatch.setattr("core.clock.monotonic", lambda: moment)

    def fails(error: Exception) -> list[str]:
        def chore() -> None:
            raise error

        with capture_logs() as said:
            chores._one("counts are not written", chore)
        return [one["event"] for one in said]

    locked = DatabaseAway("sqlite:///x.db", "database is locked")
    assert fails(locked) == []
    moment += 10
    assert fails(locked) == ["counts are not written"]
    chores._one("counts are not written", lambda: None)
    assert fails(locked) == []
    assert fails(ValueError("a mistake")) == ["counts are not written"]
