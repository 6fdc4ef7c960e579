"""A channel to one NAS: paced, the same octets again, few before many, one at a time while silent; time is a number."""

from collections.abc import Callable

from msgspec.structs import replace

from aaa.coa.channel import MASS, RELEASE, SINGLE, Ask, Channel
from aaa.coa.engine import Engine
from aaa.coa.outcome import Outcome
from aaa.radius import packet as wire
from aaa.radius.nases import NasEntry
from aaa.radius.packet import pair

SECRET = b"testing123"
NAS = NasEntry("bng1", "127.0.0.1", "mikrotik", (SECRET,), True, False, 3799, 50, 600)
ACK, NAK = wire.DISCONNECT_ACK, wire.DISCONNECT_NAK


class Line:
    """A channel and what left it; outcomes by session."""

    def __init__(self, nas: NasEntry = NAS) -> None:
        self.nas, self.channel = nas, Channel(nas)
        self.sent: list[tuple[float, int, bytes]] = []
        self.outcomes: dict[bytes, Outcome] = {}
        self.order: list[bytes] = []

    def ask(self, session: bytes, rank: int = SINGLE) -> Ask:
        made = Ask(
            self.nas, wire.DISCONNECT_REQUEST, pair(44, session), lambda o: self.settled(session, o), rank
        )
        self.channel.submit(made)
        return made

    def settled(self, session: bytes, outcome: Outcome) -> None:
        assert session not in self.outcomes, "settled twice"
        self.outcomes[session] = outcome
        self.order.append(session)

    def until(self, end: float, answer: bool = True, begin: float = 0.0) -> None:
        """Let time pass in milliseconds; answer every request at once, or none."""
        for tick in range(int(begin * 1000), int(end * 1000) + 1):
            now = tick / 1000
            for port, datagram in list(self.channel.sends(now)):
                self.sent.append((now, port, datagram))
                if answer:
                    self.channel.received(port, reply(datagram), now)


def reply(datagram: bytes, code: int = ACK, block: bytes = b"", secret: bytes = SECRET) -> bytes:
    request = wire.read(datagram)
    assert request is not None
    return wire.reply(code, request, secret, block)


def session_of(datagram: bytes) -> bytes:
    request = wire.read(datagram)
    assert request is not None
    return request.first(44) or b""


def test_it_keeps_the_rate_and_uses_it():
    """50 a second: never more than two at once, never more than 51 in any second, and all of it is used."""
    line = Line()
    for number in range(200):
        line.ask(b"%d" % number)
    line.until(4.0)
    moments = [at for at, _port, _datagram in line.sent]
    assert len(moments) == 200
    for index, begin in enumerate(moments):
        assert sum(begin <= at < begin + 1 for at in moments[index:]) <= 51
    assert max(moments.count(at) for at in moments) <= 2


def test_a_retransmission_is_the_same_octets_and_counts_against_the_rate():
    """Three transmissions of one request over half, one and two seconds; then a timeout that says so."""
    line = Line()
    line.ask(b"a")
    line.until(4.0, answer=False)
    assert [round(at, 1) for at, _port, _datagram in line.sent] == [0.0, 0.5, 1.5]
    assert len({datagram for _at, _port, datagram in line.sent}) == 1
    assert (line.outcomes[b"a"].result, line.outcomes[b"a"].attempts) == ("timeout", 3)
    full = Line()
    for number in range(100):
        full.ask(b"%d" % number)
    full.until(3.0, answer=False)
    moments = [at for at, _port, _datagram in full.sent]
    assert max(sum(begin <= at < begin + 1 for at in moments) for begin in moments) <= 51


def test_few_go_before_many_and_releases_before_holds():
    """A single change that comes last leaves first, then the release, then what is left of the mass."""
    line = Line(replace(NAS, coa_rate=1))
    for number in range(3):
        line.ask(b"mass%d" % number, MASS)
    line.until(0.0)
    left = len(line.sent)
    line.ask(b"free", RELEASE)
    line.ask(b"one")
    line.until(6.0, begin=0.001)
    later = [session_of(datagram) for _at, _port, datagram in line.sent[left:]]
    assert later == [b"one", b"free", *(b"mass%d" % number for number in range(left, 3))]


def test_more_than_256_may_be_under_way():
    """A fast NAS that answers slowly gets a second port; an identifier is never used twice at a time."""
    line = Line(replace(NAS, coa_rate=1000))
    for number in range(400):
        line.ask(b"%d" % number)
    line.until(0.45, answer=False)
    assert len(line.sent) == 400
    places = {(port, datagram[1]) for _at, port, datagram in line.sent}
    assert (len(places), {port for port, _ in places}) == (400, {0, 1})


def test_a_silent_nas_gets_one_at_a_time_and_the_queue_is_told():
    """After five requests without any answer the rest is reported as not sent; a probe that is answered opens it."""
    line = Line()
    for number in range(300):
        line.ask(b"%d" % number)
    line.until(20.0, answer=False)
    assert line.channel.silent
    assert {outcome.result for outcome in line.outcomes.values()} == {"timeout"}
    assert len(line.outcomes) == 300
    unsent = [outcome for outcome in line.outcomes.values() if not outcome.attempts]
    assert len(unsent) >= 150
    assert unsent[0].meaning == "timeout (not sent: the NAS has been silent)"
    for number in range(5):
        line.ask(b"later%d" % number)
    before = len(line.sent)
    line.until(20.1, answer=False, begin=20.001)
    assert len(line.sent) == before + 1
    _at, port, probe = line.sent[-1]
    line.channel.received(port, reply(probe), 20.2)
    line.until(20.5, begin=20.2)
    assert {line.outcomes[b"later%d" % number].result for number in range(5)} == {"acked"}


def test_what_has_not_left_can_be_withdrawn():
    """A newer change takes its place at once, wherever in the queue it is; what has left gets its true outcome."""
    line = Line(replace(NAS, coa_rate=1))
    asks = [line.ask(b"%d" % number, MASS) for number in range(5)]
    line.until(0.0, answer=False)
    for ask in asks:
        line.channel.withdraw(ask)
    assert {line.outcomes[session].result for session in (b"2", b"3", b"4")} == {"superseded"}
    assert b"0" not in line.outcomes
    _at, port, datagram = line.sent[0]
    line.channel.received(port, reply(datagram, NAK, pair(101, (506).to_bytes(4))), 0.1)
    assert line.outcomes[b"0"].word == "nak(506)"


def test_only_a_signed_reply_of_the_right_kind_counts():
    """Another secret, another code, a repeated or damaged datagram: passed over, and the request goes on."""
    line = Line()
    line.ask(b"a")
    line.until(0.0, answer=False)
    _at, port, datagram = line.sent[0]
    for wrong in (
        reply(datagram, secret=b"other"), reply(datagram, wire.COA_ACK), b"", reply(datagram)[:-1],
        reply(datagram)[:20] + bytes(18),
    ):  # fmt: skip
        line.channel.received(port, wrong, 0.1)
    assert line.outcomes == {}
    line.channel.received(port, reply(datagram), 0.1)
    line.channel.received(port, reply(datagram), 0.1)
    assert line.outcomes[b"a"] == Outcome("acked", 0, 100, 1)


def test_a_silent_nas_holds_up_nobody_else(nas, server):
    """One engine, one NAS that never answers, one that does: the second is done while the first is still waited for."""
    from aaa.coa.client import identity_of
    from aaa.radius.client import NasStandIn

    quick = NasStandIn(nas(), SECRET, redial=False).start()
    silent = NasStandIn(nas(), SECRET, redial=False).start()
    silent.faults.loss = 1.0
    engine = Engine()
    done: list[str] = []

    def noting(name: str) -> Callable[[Outcome], None]:
        return lambda outcome: done.append(f"{name} {outcome.word}")

    try:
        for name, stand_in, count in (("silent", silent, 20), ("quick", quick, 20)):
            to = replace(NAS, coa_port=stand_in.coa_port, coa_rate=500)
            for number in range(count):
                body = identity_of(to, b"%d" % number)
                ask = Ask(to, wire.DISCONNECT_REQUEST, body, noting(name), waits=(0.3, 0.3))
                engine.submit(ask)
        while len(done) < 40:
            engine.step()
    finally:
        engine.stop()
        quick.stop()
        silent.stop()
    assert done == ["quick no-session"] * 20 + ["silent timeout"] * 20
