"""Drain: one route's spool to its servers, in passes over the segments, oldest first.

What is not taken at once waits by itself, with a back-off of its own, and holds up its session alone
(`aaa.proxy.order`); a later pass finds it settled and lets the session go on. All of it runs on the errands' loop.
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from aaa.proxy.errand import Errand, Reply
from aaa.proxy.errands import Errands
from aaa.proxy.homes import HomeServer
from aaa.proxy.order import Blocked, Lane, Placed, by_nas
from aaa.proxy.rewrite import Signed, accounting_request
from aaa.proxy.routes import Route, Routes
from aaa.proxy.spool import Entry, Spool, read_segment, rewrite
from aaa.proxy.tries import Tries, is_away, is_hopeless, is_old, may_begin, one_more
from aaa.radius import packet as wire
from core import clock, faults
from core.errors import first_line

DELIVERED = faults.declare("proxy.delivered_before_unlink")

_AT_ONCE = 128
_AWAY_AT_ONCE = 8
_MOMENT = 1.0
_PAUSE, _LONGEST = 0.5, 30.0
_CODES = frozenset((wire.ACCOUNTING_RESPONSE,))
_log = structlog.get_logger()


class _Waiting(NamedTuple):
    """The first of its lane; the task ends when it is taken or set aside."""

    entry: Entry
    task: asyncio.Task[None]


class Drain:
    """`run()` goes on for ever; `wake()` says that something was appended."""

    def __init__(self, name: str, spool: Spool, routes: Routes, errands: Errands, proxy_state: bytes) -> None:
        self._name, self._spool, self._routes = name, spool, routes
        self._errands, self._proxy_state = errands, proxy_state
        self._waiting: dict[Lane, _Waiting] = {}
        self._turns, self._few = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_AWAY_AT_ONCE)
        self._delivered = self._failed = self._begun = 0
        """Of the route in all; failures since the last delivery; asks that this pass began."""
        self._news, self._settled = asyncio.Event(), asyncio.Event()
        self._stopped = False
        self._blocked = Blocked()
        self._at: Path | None = None
        self._walked: set[Path] = set()
        """Segments that this or an earlier pass left something of: nothing of it moves before somebody is settled."""
        self._gone: dict[Path, set[int]] = {}
        """Places in segments that could not be written anew without them yet."""

    def wake(self) -> None:
        """There is something new."""
        self._news.set()

    async def run(self) -> None:
        """Pass after pass: when something is new or settled; by the clock when the last one was stopped."""
        pause = _PAUSE
        while True:
            self._news.clear()
            try:
                await self._pass()
            except faults.FaultInjected:
                raise
            except Exception as error:  # whatever it is: nobody else would go on with it
                _log.error(
                    "a segment of the spool waits for a person", path=str(self._at), error=first_line(error)
                )
                self._stopped, pause = True, _LONGEST
            if self._stopped:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._settled.wait(), pause)
                pause = min(pause * 2, _LONGEST)
            else:
                pause = _PAUSE
                await self._news.wait()

    @property
    def _away(self) -> bool:
        return is_away(self._failed) or self._routes.named(self._name) is None

    async def _pass(self) -> None:
        """Over all segments, or over the new ones when nobody in the others was settled."""
        stopped = self._stopped
        if stopped or self._settled.is_set():
            self._walked.clear()
            self._blocked = Blocked()
        self._settled.clear()
        self._stopped, self._begun = False, 0
        for path in self._spool.segments(end=not stopped):
            self._at = path
            if path not in self._walked and not await self._walk(path):
                return
        if stopped:
            self._news.set()  # it is back: now for what was written meanwhile

    async def _walk(self, path: Path) -> bool:
        """Deliver what can be of a segment. False: the pass is stopped, and nothing here is too old to wait."""
        entries = await asyncio.to_thread(read_segment, path)
        if self._stopped and not (entries and is_old(entries[0].received, clock.now().timestamp())):
            return False
        gone = self._gone.setdefault(path, set())
        await asyncio.gather(*(self._of_nas(steps, gone) for steps in by_nas(entries, gone)))
        left = [entry for place, entry in enumerate(entries) if place not in gone]
        if not left:
            faults.point(DELIVERED)
            await asyncio.to_thread(path.unlink, missing_ok=True)
        else:
            self._walked.add(path)
            if gone and not await self._rewritten(path, left):
                return True
        del self._gone[path]
        return True

    async def _rewritten(self, path: Path, left: list[Entry]) -> bool:
        try:
            await asyncio.to_thread(rewrite, path, left)
        except OSError as error:
            _log.warning("a segment keeps what is delivered of it", path=str(path), error=str(error))
            return False
        return True

    async def _of_nas(self, steps: list[dict[Lane, list[Placed]]], gone: set[int]) -> None:
        for lanes in steps:
            await asyncio.gather(*(self._of_lane(lane, placed, gone) for lane, placed in lanes.items()))

    async def _of_lane(self, lane: Lane, entries: list[Placed], gone: set[int]) -> None:
        for place, entry in entries:
            if self._blocked.holds(lane) or not await self._is_settled(lane, entry):
                self._blocked.block(lane)
                return
            gone.add(place)

    async def _is_settled(self, lane: Lane, entry: Entry) -> bool:
        """Whether the first of a lane is taken or set aside, now or since an earlier pass."""
        held = self._waiting.get(lane)
        if held is not None and held.entry != entry and held.task.done():
            held = None  # its segment was taken away from us
        if held is None:
            if self._away and is_old(entry.received, clock.now().timestamp()):
                return await self._set_aside(entry, "nobody took it for too long")
            held = await self._begin(lane, entry)
            if held is None:
                return False
            await asyncio.wait((held.task,), timeout=_MOMENT)
            if not held.task.done():
                held.task.add_done_callback(lambda _task: self._moved())
        if held.entry != entry or not held.task.done():
            return False
        del self._waiting[lane]
        held.task.result()
        return True

    def _moved(self) -> None:
        self._settled.set()
        self._news.set()

    async def _begin(self, lane: Lane, entry: Entry) -> _Waiting | None:
        """Ask for an entry; None: the pass is to stop."""
        await self._turns.acquire()
        routed = self._routes.named(self._name) is not None
        if self._stopped or not routed or not may_begin(self._failed, self._begun, len(self._waiting)):
            self._stopped = True
            self._turns.release()
            return None
        self._begun += 1
        task = asyncio.get_running_loop().create_task(self._until_settled(entry))
        held = self._waiting[lane] = _Waiting(entry, task)
        return held

    async def _until_settled(self, entry: Entry) -> None:
        """Ask again and again. The first turn is there already."""
        tries, pause, turns = Tries(0, self._delivered), _PAUSE, self._turns
        while not await self._try(entry, turns):
            tries = one_more(tries, self._delivered, self._failed)
            hopeless = is_hopeless(tries, self._delivered)
            if hopeless or is_old(entry.received, clock.now().timestamp()):
                why = (
                    "the server takes others and not this one" if hopeless else "nobody took it for too long"
                )
                if await self._set_aside(entry, why):
                    return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST)
            turns = self._few if self._away else self._turns
            await turns.acquire()

    async def _try(self, entry: Entry, turns: asyncio.Semaphore) -> bool:
        try:
            route = self._routes.named(self._name)
            if route is not None and self._signed(route, entry, b"", 0) is None:
                return await self._set_aside(entry, "it has no room for our Proxy-State")
            taken = route is not None and await self._ask(route, entry)
        except Exception as error:
            _log.error("an accounting record is not sent", route=self._name, error=first_line(error))
            taken = False
        finally:
            turns.release()
        self._delivered += taken
        self._failed = 0 if taken else self._failed + 1
        return taken

    async def _set_aside(self, entry: Entry, why: str) -> bool:
        try:
            await asyncio.to_thread(self._spool.set_aside, entry)
        except OSError as error:
            _log.error("an accounting record cannot be set aside", route=self._name, error=str(error))
            return False
        _log.error("an accounting record is set aside", route=self._name, nas=entry.nas, why=why)
        return True

    def _signed(self, route: Route, entry: Entry, secret: bytes, identifier: int) -> Signed | None:
        """The entry as a server of the route gets it now; None when it has no room for what we add."""
        packet = wire.read(entry.packet)
        assert packet is not None  # it was read when it came, and its frame's digest is right
        delay = int(max(0.0, clock.now().timestamp() - entry.received))
        return accounting_request(packet, secret, identifier, self._proxy_state, delay, route.strip)

    async def _ask(self, route: Route, entry: Entry) -> bool:
        """Whether one of the route's servers acknowledged it."""
        answered: asyncio.Future[bool] = self._errands.thread.loop.create_future()

        def make(secret: bytes, identifier: int) -> Signed | None:
            return self._signed(route, entry, secret, identifier)

        def done(reply: Reply | None) -> None:
            if not answered.done():
                answered.set_result(reply is not None)

        def errand(homes: list[HomeServer]) -> Errand:
            return Errand(homes, make, done, _CODES)

        self._errands.submit(route.acct, errand)
        return await answered
