"""HomeServer: one server that we ask, its lanes, and whether it lives (RFC 3539 section 3.4, RFC 5997).

alive -> suspect: a request was not answered in all its tries, or nobody listens there; others are asked first now, and
it is asked for its status. suspect -> dead: no answer to that either. Any verified reply: alive. Who never answered a
Status-Server: alive again after a minute, for the next request to find out.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import structlog

from aaa.proxy.errand import Errand, Reply
from aaa.proxy.lanes import Lane, udp_lane
from aaa.proxy.rewrite import status_request
from aaa.proxy.target import Target
from aaa.radius import packet as wire
from aaa.radsec.client import Connector

if TYPE_CHECKING:
    from aaa.proxy.errands import Errands

State = Literal["alive", "suspect", "dead"]
_LANES = 64  # 16,384 requests under way to one server: more would not be answered in time either
_STREAMS = 8
_PROBED = frozenset((wire.ACCESS_ACCEPT, wire.ACCOUNTING_RESPONSE))
_log = structlog.get_logger()


class HomeServer:
    """Used on the loop's thread alone."""

    def __init__(self, target: Target, errands: "Errands", node: Path | None) -> None:
        self.target, self._errands = target, errands
        self.state: State = "alive"
        self._loop = errands.thread.loop
        self._lanes: list[Lane] = []
        self._waiting: list[Errand] = []
        self._signs = target.require_ma
        self._tells = False
        """Whether it ever answered Status-Server."""
        self._watching: asyncio.Task[None] | None = None
        self._used = self._loop.time()
        self._keepers: set[asyncio.Task[None]] = set()
        self._connector: Connector | None = None
        if target.transport == "radsec":
            self._connector = Connector(
                target.host, target.port, node, self._connected, self._received, self._lost
            )
            self._connector.start(self._loop)

    def carry(self, errand: Errand) -> None:
        """Send an errand; it comes back to `Errands.next` when it is not answered."""
        if not errand.probe:
            self._used = self._loop.time()
        lane = self._lane()
        if lane is None:
            self._wait(errand)
            return
        identifier = lane.take(errand)
        assert identifier is not None
        made = errand.make(self.target.secret, identifier)
        if made is None:
            lane.release(identifier)
            self._errands.counted["unsendable"] += 1
            errand.finish(None)
            return
        errand.datagram, errand.authenticator = made
        errand.home, errand.lane, errand.identifier, errand.tries = self, lane, identifier, 1
        self._send(lane, errand)

    def idle_since(self, now: float) -> float:
        """Seconds since it was last asked; 0 while something is under way."""
        busy = any(not errand.probe for lane in self._lanes for errand in lane.pending.values())
        return 0.0 if busy or self._waiting else now - self._used

    def close(self) -> None:
        """Close the lanes; what is under way is given up."""
        for task in (*self._keepers, *([self._watching] if self._watching else [])):
            task.cancel()
        if self._connector is not None:
            self._connector.stop()
        for lane in list(self._lanes):
            self._drop(lane)

    def _send(self, lane: Lane, errand: Errand) -> None:
        patience = self._errands.patience
        # TCP sends again by itself (RFC 6613 section 2.1): there is one try, and it may take as long.
        span = patience.timeout * (patience.tries if self._connector else 1)
        errand.timer = self._loop.call_later(span, self._late, errand)
        lane.write(errand.datagram)

    def _lane(self) -> Lane | None:
        for lane in self._lanes:
            if lane.has_room:
                return lane
        if self._connector is not None:
            if self._lanes and len(self._lanes) < _STREAMS:
                self._connector.more()
            return None
        if len(self._lanes) >= _LANES:
            self._errands.counted["full"] += 1
            return None
        try:
            address = (self.target.host, self.target.port)
            lane = udp_lane(self._loop, address, self._received, self._refused)
        except OSError as error:
            _log.warning("no socket to a RADIUS server", server=str(self.target), error=str(error))
            return None
        self._lanes.append(lane)
        return lane

    def _wait(self, errand: Errand) -> None:
        """No lane: a connection may come up within the timeout; the others are not waited for."""
        errand.home, errand.lane = self, None
        if self._connector is None or self.state == "dead":
            self._loop.call_soon(self._errands.next, errand)
            return
        self._waiting.append(errand)
        errand.timer = self._loop.call_later(self._errands.patience.timeout, self._waited, errand)

    def _waited(self, errand: Errand) -> None:
        if errand in self._waiting:
            self._waiting.remove(errand)
            self._missed(errand)
            self._errands.next(errand)

    def _late(self, errand: Errand) -> None:
        lane = errand.lane
        assert lane is not None
        if not self._connector and errand.tries < self._errands.patience.tries:
            errand.tries += 1
            self._send(lane, errand)  # the same octets (RFC 5080 section 2.2.1)
            return
        lane.release(errand.identifier)
        self._missed(errand)
        self._errands.next(errand)

    def _received(self, lane: Lane, datagram: bytes) -> bool:
        """A reply, or something that pretends to be one; False: a stream that carries such is not to be trusted."""
        packet = wire.read(datagram)
        errand = lane.pending.get(datagram[1]) if packet else None
        if packet is None:
            self._errands.counted["malformed"] += 1
            return False
        if errand is None:
            return True  # late: it was given up, or answered already
        if packet.code not in errand.codes or not self._is_right(packet, errand):
            self._errands.counted["wrong_reply"] += 1
            return False
        if errand.timer is not None:
            errand.timer.cancel()
        lane.release(errand.identifier)
        self._lives()
        self._errands.counted["answered"] += not errand.probe
        errand.finish(Reply(packet, self.target.secret, errand.authenticator, self))
        self._go_on()
        return True

    def _is_right(self, packet: wire.Packet, errand: Errand) -> bool:
        """Signed for this request. Message-Authenticator where it must be (EAP), is required, or always was there:
        without it MD5 alone vouches for an answer to a login, and that can be forged (2024). RFC 2866 knows none in
        accounting.
        """
        if not wire.reply_is_right(packet, errand.authenticator, self.target.secret):
            return False
        eap, login = packet.first(79) is not None, wire.ACCOUNTING_RESPONSE not in errand.codes
        if packet.ma_at and not eap and login:
            self._signs = True
        needs = eap or (self._signs and login and self._connector is None)
        return bool(packet.ma_at) or not needs

    def _refused(self, lane: Lane) -> None:
        """The host says that nobody listens: no use in waiting for what is under way."""
        under_way = list(lane.pending.items())
        if under_way:
            self._suspect("nobody listens there")
        for identifier, errand in under_way:
            if errand.timer is not None:
                errand.timer.cancel()
            lane.release(identifier)
            self._errands.next(errand)

    def _connected(self, lane: Lane) -> None:
        self._lanes.append(lane)
        self._lives()
        self._keepers.add(task := self._loop.create_task(self._keep_alive(lane)))
        task.add_done_callback(self._keepers.discard)
        self._go_on()

    def _go_on(self) -> None:
        """Who waited for a lane has one now."""
        while self._waiting and any(lane.has_room for lane in self._lanes):
            errand = self._waiting.pop(0)
            if errand.timer is not None:
                errand.timer.cancel()
            self.carry(errand)

    async def _keep_alive(self, lane: Lane) -> None:
        """Ask a connection that carries nothing for its status: a dead peer says nothing by itself."""
        silent = 0
        while lane in self._lanes and silent < 2:
            await asyncio.sleep(self._errands.patience.keepalive)
            silent = 0 if await self._status() else silent + 1
        if lane in self._lanes:
            lane.close()

    def _lost(self, lane: Lane | None) -> None:
        """A connection ended, or could not be made."""
        self._suspect("there is no connection")
        if lane is not None and lane in self._lanes:
            self._drop(lane)

    def _drop(self, lane: Lane) -> None:
        self._lanes.remove(lane)
        lane.close()
        for errand in list(lane.pending.values()):
            if errand.timer is not None:
                errand.timer.cancel()
            self._loop.call_soon(self._errands.next, errand)
        lane.pending.clear()

    def _missed(self, errand: Errand) -> None:
        if not errand.probe:
            self._suspect("a request was not answered")

    def _suspect(self, why: str) -> None:
        if self.state == "alive":
            self.state = "suspect"
            _log.warning("a RADIUS server is suspect", server=str(self.target), why=why)
        if self._watching is None or self._watching.done():
            self._watching = self._loop.create_task(self._watch())

    def _lives(self) -> None:
        if self.state != "alive":
            _log.info("a RADIUS server lives again", server=str(self.target), was=self.state)
            self.state = "alive"

    async def _watch(self) -> None:
        """Ask for its status until it answers; whoever never answers that is asked in earnest now and then."""
        patience, misses, since = self._errands.patience, 0, self._loop.time()
        while self.state != "alive":
            if await self._status():
                self._tells = True
                return
            misses += 1
            if self.state == "suspect" and misses >= patience.misses:
                self.state, since = "dead", self._loop.time()
                _log.error("a RADIUS server is dead", server=str(self.target))
            elif self.state == "dead" and self._loop.time() - since > patience.revive:
                misses = 0
                self.state = "suspect" if self._tells else "alive"
            await asyncio.sleep(patience.probe)

    async def _status(self) -> bool:
        """Whether it answers Status-Server."""
        answered: asyncio.Future[bool] = self._loop.create_future()

        def done(reply: object) -> None:
            if not answered.done():
                answered.set_result(reply is not None)

        if self._connector is not None and not self._lanes:
            return False  # the connector tries by itself, and says when it is there
        errand = Errand([self], status_request, done, _PROBED, probe=True)
        errand.deadline = self._loop.time() + self._errands.patience.give_up
        errand.asked.append(self)
        self.carry(errand)
        return await answered
