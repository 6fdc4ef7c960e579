"""The same packet through the fast path, the careful path and pyrad: what each answers, side by side."""

from aaa.radius import packet as wire
from aaa.radius.answers import Answers
from aaa.radius.authenticate import Authenticator
from aaa.radius.deferred import Answer
from aaa.radius.limits import Attempts, Limits
from aaa.radius.nases import NasTable
from aaa.radius.request import read_request
from aaa.radius.slow import read_slowly, reply_slowly
from aaa.view.lookup import View
from aaa.view.seal import KEY_LENGTH, Seal
from tests.aaa.network import Network

REQUIRE, AUTO, LEGACY, ROTATING = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
SOURCES = (REQUIRE, AUTO, LEGACY, ROTATING)


class Three:
    """One network behind three codecs. Failed attempts are never too many here."""

    def __init__(self, network: Network | None = None) -> None:
        seal = Seal(bytes(range(KEY_LENGTH)))
        view = View(None, [(1, one.key, one.record) for one in (network or world()).records(seal)])
        self.table = NasTable(view, seal)
        self.authenticator = Authenticator(view, seal, Attempts(Limits(attempts=10**9)))
        self.answers = Answers(view, self.table, self.authenticator, lambda *_: None)

    def fast(self, datagram: bytes, source: str) -> Answer | None:
        """As the server answers."""
        return self._plain(self.answers.access(datagram, source))

    def careful(self, datagram: bytes, source: str) -> Answer | None:
        """As it answers without its fast path."""
        return self._plain(self.answers.carefully(datagram, source))

    def by_pyrad(self, datagram: bytes, source: str, secret: bytes) -> Answer | None:
        """Read and written by pyrad; the decision between is ours. None where pyrad cannot read it."""
        nas, packet = self.table.at(source), read_slowly(datagram, secret)
        if nas is None or packet is None:
            return None
        verdict = self.authenticator.decide(packet, read_request(packet), nas, secret)
        code = wire.ACCESS_ACCEPT if verdict.accepted else wire.ACCESS_REJECT
        return Answer(reply_slowly(code, packet, secret, verdict.block), not verdict.accepted)

    @staticmethod
    def _plain(answer: object) -> Answer | None:
        assert answer is None or isinstance(answer, Answer)
        return answer


def world() -> Network:
    """NASes of every rule, and a subscriber of every kind of login."""
    network = Network()
    network.bng("bng3", "mikrotik", LEGACY, ma="auto")
    network.put("device", "bng3", network.texts["device", "bng3"].replace("  coa:", "  legacy: true\n  coa:"))
    network.bng("bng4", "pppd", ROTATING, ma="auto", secret='brandnew1", "enc:v1:testing123')
    edge = network.texts["edge", "west"]
    more = "  - {device: bng3, port: a, priority: 90}\n  - {device: bng4, port: a, priority: 80}\npools:"
    network.put("edge", "west", edge.replace("pools:", more))
    network.subscriber(1)
    network.subscriber(
        2, session='method: pppoe, login: s2@example.net, password: "enc:v1:pw-2", bind: [circuit]'
    )
    network.subscriber(3)
    network.hold("S-3", "abuse", "block")
    network.subscriber(8, session='method: ipoe, mac: "02:00:5e:10:00:09"')
    network.subscriber(9, session='method: ipoe, circuit-id: "olt1 0/1/0:9"')
    return network


def drops(answers: Answers) -> int:
    """How many packets were dropped so far, for whatever reason."""
    return sum(answers.dropped.values())


__all__ = ["SOURCES", "Three", "drops", "world"]
