"""Delivery: accounting for other servers, spooled before the NAS hears of it, each session in its order."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog

from aaa.proxy.errand import Errand, Reply
from aaa.proxy.errands import Errands
from aaa.proxy.homes import HomeServer
from aaa.proxy.rewrite import Signed, accounting_request
from aaa.proxy.routes import Route, Routes
from aaa.proxy.spool import Entry, Spool, folder_name, read_segment, routes_in
from aaa.radius import packet as wire
from core import clock, faults
from core.errors import first_line

DELIVERED = faults.declare("proxy.delivered_before_unlink")

_BATCH = 500
_AT_ONCE = 128
_PAUSE, _LONGEST = 0.5, 30.0
_HOPELESS = 10
_KEEP = 7 * 86400.0
_CODES = frozenset((wire.ACCOUNTING_RESPONSE,))
_log = structlog.get_logger()
Settle = Callable[[bool], None]


class Delivery:
    """`after(entry, settle)` gives what a commit is to call: the entry is synced to the spool, then settled."""

    def __init__(
        self, folder: Path, worker: str, routes: Routes, errands: Errands, proxy_state: bytes
    ) -> None:
        self._root, self._folder = folder, folder / worker
        self._routes, self._errands, self._proxy_state = routes, errands, proxy_state
        self._queue: SimpleQueue[tuple[Entry, Settle] | None] = SimpleQueue()
        self._spools: dict[str, Spool] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._delivered: dict[str, int] = {}
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def segments(self) -> int:
        """How many segments wait."""
        return sum(1 for _ in self._folder.glob("r-*/*.spool"))

    def start(self) -> None:
        """Go on with what is in the spool."""
        for name in routes_in(self._folder):
            self._errands.thread.call(self._wake, name)

    def adopt(self, workers: Sequence[str]) -> None:
        """Take over what workers left behind that are no more (there are fewer now)."""
        for left in self._root.glob("*"):
            if left.name not in workers:
                for path in sorted(left.glob("r-*/*.spool")):
                    into = self._folder / path.parent.name
                    into.mkdir(parents=True, exist_ok=True, mode=0o700)
                    path.rename(into / path.name)

    def after(self, entry: Entry, settle: Settle) -> Settle:
        """What to call with whether the record is durable here: only then it is spooled, and only then settled."""

        def settled(durable: bool) -> None:
            if durable:
                self._start_writer()
                self._queue.put((entry, settle))
            else:
                settle(False)

        return settled

    def stop(self) -> None:
        """Sync what was handed over, and end; the rest waits in the spool."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join(timeout=10)
        for spool in self._spools.values():
            spool.close()

    def _start_writer(self) -> None:
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="spool", daemon=True)
                self._writer.start()

    def _write(self) -> None:
        going = True
        while going:
            batch, going = self._collect()
            for name in dict.fromkeys(entry.route for entry, _settle in batch):
                self._append(name, [one for one in batch if one[0].route == name])

    def _collect(self) -> tuple[list[tuple[Entry, Settle]], bool]:
        """What came while the last batch was synced."""
        item = self._queue.get()
        batch: list[tuple[Entry, Settle]] = []
        while item is not None:
            batch.append(item)
            if len(batch) >= _BATCH:
                return batch, True
            try:
                item = self._queue.get_nowait()
            except Empty:
                return batch, True
        return batch, False

    def _append(self, name: str, batch: list[tuple[Entry, Settle]]) -> None:
        try:
            self._spool(name).append([entry for entry, _settle in batch])
            durable = True
        except OSError as error:
            _log.error("the spool takes nothing: no answers are sent", route=name, error=str(error))
            durable = False
        for _entry, settle in batch:
            settle(durable)
        if durable:
            self._errands.thread.call(self._wake, name)

    def _spool(self, name: str) -> Spool:
        with self._lock:
            return self._spools.setdefault(name, Spool(self._folder / folder_name(name)))

    def _wake(self, name: str) -> None:
        task = self._tasks.get(name)
        if task is None or task.done():
            self._tasks[name] = self._errands.thread.loop.create_task(self._drain(name))

    async def _drain(self, name: str) -> None:
        """One segment after another: what came later waits, so that a session's order holds across them."""
        spool = self._spool(name)
        while (path := spool.oldest()) is not None:
            try:
                for barrier, entries in groupby(read_segment(path), key=_is_barrier):
                    await self._deliver(name, list(entries), 1 if barrier else _AT_ONCE)
                faults.point(DELIVERED)
                path.unlink(missing_ok=True)
            except faults.FaultInjected:
                raise
            except Exception as error:  # whatever it is: nobody else would wake this up again
                _log.error(
                    "a segment of the spool waits for a person", path=str(path), error=first_line(error)
                )
                await asyncio.sleep(_LONGEST)

    async def _deliver(self, name: str, entries: list[Entry], at_once: int) -> None:
        """Sessions side by side, each in its order."""
        sessions: dict[tuple[str, bytes], list[Entry]] = {}
        for entry in entries:
            key = (entry.nas, b"" if at_once == 1 else _session(entry))
            sessions.setdefault(key, []).append(entry)
        turns = asyncio.Semaphore(at_once)

        async def one(session: list[Entry]) -> None:
            async with turns:
                for entry in session:
                    await self._until_taken(name, entry)

        await asyncio.gather(*map(one, sessions.values()))

    async def _until_taken(self, name: str, entry: Entry) -> None:
        pause, tries, before = _PAUSE, 0, self._delivered.get(name, 0)
        while True:
            route = self._routes.named(name)
            if route is not None and self._signed(route, entry, b"", 0) is None:
                _log.error(
                    "an accounting record has no room for our Proxy-State and is set aside", nas=entry.nas
                )
                self._spool(name).set_aside(entry)
                return
            if route is not None and await self._ask(route, entry):
                self._delivered[name] = self._delivered.get(name, 0) + 1
                return
            tries += 1
            # It takes others and not this one: it would hold everybody else up for ever.
            refused = tries >= _HOPELESS and self._delivered.get(name, 0) - before >= _HOPELESS
            if refused or clock.now().timestamp() - entry.received > _KEEP:
                _log.error("an accounting record is not taken and set aside", route=name, nas=entry.nas)
                self._spool(name).set_aside(entry)
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST)

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


def _is_barrier(entry: Entry) -> bool:
    """Accounting-On and -Off end what was before: nothing may overtake them."""
    packet = wire.read(entry.packet)
    return packet is not None and packet.first(40) in (b"\0\0\0\7", b"\0\0\0\x08")


def _session(entry: Entry) -> bytes:
    packet = wire.read(entry.packet)
    return (packet.first(44) if packet else None) or b""
