"""Delivery: accounting for other servers, spooled before the NAS hears of it, each session in its order."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog

from aaa.proxy.drain import Drain
from aaa.proxy.errands import Errands
from aaa.proxy.routes import Routes
from aaa.proxy.spool import Entry, Spool, folder_name, routes_in

_BATCH = 500
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
        self._drains: dict[str, tuple[Drain, asyncio.Task[None]]] = {}
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def segments(self) -> int:
        """How many segments wait."""
        return sum(1 for _ in self._folder.glob("r-*/*.spool"))

    def start(self) -> None:
        """Go on with what is in the spool."""
        for half in self._folder.glob("r-*/*.left"):
            half.unlink(missing_ok=True)  # its segment is whole
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
        drain, task = self._drains.get(name, (None, None))
        if drain is None or task is None or task.done():
            drain = Drain(name, self._spool(name), self._routes, self._errands, self._proxy_state)
            self._drains[name] = drain, self._errands.thread.loop.create_task(drain.run())
        drain.wake()
