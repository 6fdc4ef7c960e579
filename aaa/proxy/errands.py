"""Errands: a request that some server is to answer, from server to server until one does or the time is up.

Everything here runs on the loop's thread; `submit` is for all others. No errand has a thread of its own.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from pathlib import Path

from aaa.proxy.errand import Errand
from aaa.proxy.homes import HomeServer
from aaa.proxy.target import Patience, Target
from aaa.proxy.thread import LoopThread

_STATES = 10_000
_IDLE = 600.0
_RANK = {"alive": 0, "suspect": 1, "dead": 2}


class Errands:
    """The servers that are known, and the errands under way to them."""

    def __init__(self, patience: Patience | None = None, node: Path | None = None) -> None:
        """`node`: the home whose certificates servers are asked with by TLS."""
        self.patience = patience or Patience()
        self.counted: Counter[str] = Counter()
        self.thread = LoopThread("proxy")
        self._node = node
        self._homes: dict[Target, HomeServer] = {}
        self._by_state: OrderedDict[bytes, HomeServer] = OrderedDict()
        self._tidying = self._woken = False
        self._waiting: deque[tuple[Sequence[Target], Callable[[list[HomeServer]], Errand]]] = deque()

    def submit(self, targets: Sequence[Target], errand_of: Callable[[list[HomeServer]], Errand]) -> None:
        """Run an errand to these servers, in this order, from any thread."""
        self._waiting.append((targets, errand_of))
        if not self._woken:  # one wake-up for all that come until the loop has its turn
            self._woken = True
            self.thread.call(self._begin_all)

    def remember(self, state: bytes, home: HomeServer) -> None:
        """A conversation goes on where it began: what carries this State (RFC 2865 section 5.24) goes there."""
        self._by_state[state] = home
        if len(self._by_state) > _STATES:
            self._by_state.popitem(last=False)

    def states(self) -> dict[str, str]:
        """How each server is doing, for people."""
        return {str(target): home.state for target, home in list(self._homes.items())}

    def stop(self) -> None:
        """Give every errand up, close every lane."""
        if self._homes:
            self.thread.run(self._close())
        self.thread.stop()

    async def _close(self) -> None:
        for home in self._homes.values():
            home.close()

    def _begin_all(self) -> None:
        self._woken = False  # before looking: who comes from now on wakes us again
        while self._waiting:
            self._begin(*self._waiting.popleft())

    def _begin(self, targets: Sequence[Target], errand_of: Callable[[list[HomeServer]], Errand]) -> None:
        errand = errand_of([self._home(target) for target in targets])
        errand.deadline = self.thread.loop.time() + self.patience.give_up
        self.counted["forwarded"] += 1
        self.next(errand)

    def _home(self, target: Target) -> HomeServer:
        home = self._homes.get(target)
        if home is None:
            home = self._homes[target] = HomeServer(target, self, self._node)
            if not self._tidying:
                self._tidying = True
                self.thread.loop.call_later(_IDLE, self._tidy)
        return home

    def _tidy(self) -> None:
        """A server that nobody asked for ten minutes is closed: it may have left the intents."""
        now = self.thread.loop.time()
        for target, home in list(self._homes.items()):
            if home.idle_since(now) > _IDLE:
                home.close()
                del self._homes[target]
        self.thread.loop.call_later(_IDLE, self._tidy)

    def next(self, errand: Errand) -> None:
        """To the next server, or give it up."""
        home = self._choose(errand)
        if home is None or self.thread.loop.time() >= errand.deadline:
            self.counted["unanswered"] += not errand.probe
            errand.finish(None)
            return
        if errand.asked:
            self.counted["failover"] += 1
        errand.asked.append(home)
        home.carry(errand)

    def _choose(self, errand: Errand) -> HomeServer | None:
        left = [home for home in errand.homes if home not in errand.asked]
        pinned = self._by_state.get(errand.state)
        if pinned is not None and pinned in left and pinned.state != "dead":
            return pinned
        return min(left, key=lambda home: _RANK[home.state], default=None)
