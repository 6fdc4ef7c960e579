"""A channel: everything that goes to one NAS, decided without any socket or clock (RFC 5176).

Paced: one datagram per 1/rate, retransmissions too, since the NAS counts what reaches it. Retransmissions are the same
octets. A NAS that answers nothing gets one request at a time, and what waits behind it is reported as not answered.
"""

import heapq
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterator

import msgspec

from aaa.coa.outcome import Outcome, outcome_of
from aaa.radius import packet as wire
from aaa.radius.nases import NasEntry
from core import clock

SINGLE, RELEASE, MASS = 0, 1, 2
"""Ranks: a change of its own, a release among many, and a mass of restrictions, which goes last."""
WAITS = (0.5, 1.0, 2.0)
"""Seconds to wait after each transmission."""
_SILENT = 5
_IDENTIFIERS = 256
_FEWEST, _MOST = 8, 1024
_ANSWERS = {
    wire.COA_REQUEST: (wire.COA_ACK, wire.COA_NAK),
    wire.DISCONNECT_REQUEST: (wire.DISCONNECT_ACK, wire.DISCONNECT_NAK),
}


class Ask(msgspec.Struct, eq=False):
    """A request for a NAS; `settled` is called once with what became of it. `body` is identity and attributes."""

    nas: NasEntry
    code: int
    body: bytes
    settled: Callable[[Outcome], None]
    rank: int = SINGLE
    waits: tuple[float, ...] = WAITS


class Flight(msgspec.Struct, eq=False):
    """A request under way. `place` is (port, identifier); `request` its octets, signed once."""

    ask: Ask
    place: tuple[int, int]
    request: bytes
    began: float
    attempts: int = 0
    over: bool = False


class Channel:
    """`submit`, then call `sends(now)` when `next()` says so and `received(…)` for what comes back."""

    def __init__(self, nas: NasEntry) -> None:
        self.nas = nas
        self.counted: Counter[str] = Counter()
        self._queue: list[tuple[int, int, Ask]] = []
        self._order = 0
        self._flights: dict[tuple[int, int], Flight] = {}
        self._free: deque[tuple[int, int]] = deque()
        self._ports = 0
        self._waits: list[tuple[float, int, Flight]] = []
        self._again: deque[Flight] = deque()
        self._turn = 0.0
        self._refused = -1.0
        self._silent = 0

    @property
    def silent(self) -> bool:
        """Whether the NAS has left so many requests without any answer that it gets one at a time."""
        return self._silent >= _SILENT

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not self._queue and not self._flights

    def submit(self, ask: Ask) -> None:
        """Queue a request; the newest word about the NAS (rate) holds."""
        self.nas = ask.nas
        self._order += 1
        heapq.heappush(self._queue, (ask.rank, self._order, ask))

    def sends(self, now: float) -> Iterator[tuple[int, bytes]]:
        """(port, datagram) of everything that may leave now; settles what has waited long enough."""
        self._expire(now)
        interval = 1 / self.nas.coa_rate
        while self._turn <= now and (flight := self._next_flight(now)) is not None:
            # Late by less than an interval: the next turn comes as if it had not been.
            self._turn = max(self._turn, now - interval) + interval
            flight.attempts += 1
            self._order += 1
            wait = flight.ask.waits[flight.attempts - 1]
            heapq.heappush(self._waits, (now + wait, self._order, flight))
            self.counted["sent" if flight.attempts == 1 else "retransmitted"] += 1
            yield flight.place[0], flight.request

    def next(self) -> float | None:
        """When to call `sends` again (monotonic seconds); None while nothing is to be done."""
        due = self._waits[0][0] if self._waits else None
        if self._again or (self._queue and self._has_room()):
            return self._turn if due is None else min(due, self._turn)
        return due

    def received(self, port: int, datagram: bytes, now: float) -> None:
        """Take a reply: verified (authenticator, Message-Authenticator), of the right code, or passed over."""
        reply = wire.read(datagram)
        flight = self._flights.get((port, reply.identifier)) if reply is not None else None
        if reply is None or flight is None or reply.code not in _ANSWERS[flight.ask.code]:
            self.counted["passed-over"] += 1
            return
        if not wire.reply_is_right(reply, flight.request[4:20], flight.ask.nas.secrets[0]):
            self.counted["forged"] += 1
            return
        self._silent = 0
        self._settle(flight, outcome_of(reply, int((now - flight.began) * 1000), flight.attempts))

    def refused(self, now: float) -> None:
        """The network says that nobody listens there, or that there is no way to it; a daemon that restarts will."""
        self._refused = now

    def withdraw(self, ask: Ask) -> None:
        """A newer change took its place: when it has not left yet, it never does."""
        kept = [one for one in self._queue if one[2] is not ask]
        if len(kept) < len(self._queue):
            heapq.heapify(kept)
            self._queue = kept
            ask.settled(Outcome("superseded", attempts=0))

    def _next_flight(self, now: float) -> Flight | None:
        while self._again:
            flight = self._again.popleft()
            if not flight.over:
                return flight
        if not self._queue or not self._has_room():
            return None
        return self._begin(heapq.heappop(self._queue)[2], now)

    def _begin(self, ask: Ask, now: float) -> Flight:
        if not self._free:
            # From anywhere: the first request after a restart must not look like the last one before it.
            begin = secrets.randbelow(_IDENTIFIERS)
            numbers = ((begin + offset) % _IDENTIFIERS for offset in range(_IDENTIFIERS))
            self._free.extend((self._ports, identifier) for identifier in numbers)
            self._ports += 1
        # The longest unused first: a late reply must not meet another request with its identifier.
        place = self._free.popleft()
        # Signed once: a retransmission is the same octets, Event-Timestamp too (RFC 5176 section 2.3).
        stamp = wire.pair(55, int(clock.now().timestamp()).to_bytes(4))
        request = wire.request(ask.code, place[1], ask.nas.secrets[0], ask.body + stamp)
        flight = self._flights[place] = Flight(ask, place, request, now)
        return flight

    def _has_room(self) -> bool:
        """Two seconds' worth of requests may be without an answer; one, while the NAS is silent."""
        most = 1 if self.silent else min(_MOST, max(_FEWEST, 2 * self.nas.coa_rate))
        return len(self._flights) < most

    def _expire(self, now: float) -> None:
        while self._waits and self._waits[0][0] <= now:
            flight = heapq.heappop(self._waits)[2]
            if flight.over:
                continue
            if flight.attempts < len(flight.ask.waits):
                self._again.append(flight)
            else:
                self._give_up(flight, now)

    def _give_up(self, flight: Flight, now: float) -> None:
        self._silent += 1
        result = Outcome(
            "unreachable" if self._refused >= flight.began else "timeout",
            milliseconds=int((now - flight.began) * 1000), attempts=flight.attempts,
        )  # fmt: skip
        self._settle(flight, result)
        if self.silent:
            waiting, self._queue = self._queue, []
            for _rank, _order, ask in sorted(waiting, key=lambda one: one[:2]):
                ask.settled(Outcome(result.result, attempts=0))

    def _settle(self, flight: Flight, outcome: Outcome) -> None:
        flight.over = True
        del self._flights[flight.place]
        self._free.append(flight.place)
        flight.ask.settled(outcome)
