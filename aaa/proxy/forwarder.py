"""Forwarder: the handler of requests that another server answers. One for each route; keeps nothing of its own."""

from collections.abc import Callable

import msgspec

from aaa.errors import Dropped
from aaa.proxy.errand import Errand, Reply
from aaa.proxy.errands import Errands
from aaa.proxy.filters import filtered
from aaa.proxy.homes import HomeServer
from aaa.proxy.rewrite import Signed, access_request, reply_block
from aaa.proxy.routes import Route
from aaa.radius import packet as wire
from aaa.radius.authenticate import Verdict
from aaa.radius.deferred import Answer, Ask, Respond
from aaa.radius.packet import Packet

_CODES = frozenset((wire.ACCESS_ACCEPT, wire.ACCESS_REJECT, wire.ACCESS_CHALLENGE))
_STATE = 24


class Beside(msgspec.Struct, frozen=True):
    """What a forwarder tells and asks the rest of the worker. `decide`: our own decision, told to whoever counts; it
    raises Dropped where we say nothing either.
    """

    decide: Callable[[Ask], Verdict]
    compare: Callable[[Ask, Packet | None], None]


class Forwarder:
    """Passes an Access-Request on, and the reply back."""

    def __init__(self, route: Route, errands: Errands, proxy_state: bytes, beside: Beside) -> None:
        self._route, self._errands, self._beside = route, errands, beside
        self._proxy_state = proxy_state

    def handle(self, ask: Ask, respond: Respond) -> None:
        """Ask there; never waits. A request that came from us already is a loop: silence."""
        if self._proxy_state in ask.packet.all(wire.PROXY_STATE):
            self._errands.counted["loop"] += 1
            respond(None)
            return
        self._errands.submit(self._route.auth, lambda homes: self._errand(homes, ask, respond))

    def _errand(self, homes: list[HomeServer], ask: Ask, respond: Respond) -> Errand:
        def make(secret: bytes, identifier: int) -> Signed | None:
            return access_request(
                ask.packet, ask.secret, secret, identifier, self._proxy_state, self._route.strip
            )

        def done(reply: Reply | None) -> None:
            if reply is None:
                respond(self._fallback(ask))
                if self._route.shadow:
                    self._beside.compare(ask, None)
            else:
                self._back(ask, reply, respond)

        return Errand(homes, make, done, _CODES, state=ask.packet.first(_STATE) or b"")

    def _back(self, ask: Ask, reply: Reply, respond: Respond) -> None:
        answer = self._answer(ask, reply)
        respond(answer)
        if answer is None:
            self._errands.counted["unusable-reply"] += 1
            return
        if (state := reply.packet.first(_STATE)) and reply.packet.code == wire.ACCESS_CHALLENGE:
            self._errands.remember(state, reply.home)
            return
        if self._route.shadow:
            self._beside.compare(ask, reply.packet)

    def _answer(self, ask: Ask, reply: Reply) -> Answer | None:
        """The reply for the NAS: the old server's as it is, anybody else's without what it may not set."""
        packet = reply.packet
        if not self._route.old:
            packet, dropped = filtered(packet, self._route.allow, self._route.name)
            self._errands.counted["filtered"] += dropped
        theirs, ours = (reply.secret, reply.authenticator), (ask.secret, ask.packet.authenticator)
        block = reply_block(packet, theirs, ours)
        if block is None:
            return None
        made = wire.reply(packet.code, ask.packet, ask.secret, block)
        return Answer(made) if len(made) <= wire.MAX_LENGTH else None

    def _fallback(self, ask: Ask) -> Answer | None:
        """The old server is silent: our own answer, where the operator wants that and the method lets us."""
        asked = ask.asked
        if not (self._route.old and self._route.fallback) or asked is None or asked.unusual:
            return None
        try:
            verdict = self._beside.decide(ask)
        except Dropped:
            return None
        self._errands.counted["fallback"] += 1
        if verdict.accepted:
            return Answer(wire.reply(wire.ACCESS_ACCEPT, ask.packet, ask.secret, verdict.block), told=True)
        return Answer(wire.reply(wire.ACCESS_REJECT, ask.packet, ask.secret), delayed=True, told=True)
