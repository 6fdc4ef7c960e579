"""The addresses of one worker put together: its Giver, the thread that keeps it, and whoever cleans up after others."""

import threading
import time
from collections.abc import Callable

import structlog

from aaa.errors import Dropped, LedgerInUse
from aaa.pools import nodes
from aaa.pools.blocks import Owner
from aaa.pools.giver import Giver
from aaa.pools.keeping import Keeping
from aaa.view.lookup import View
from core.db import Database
from core.settings import Settings

_log = structlog.get_logger()
_PATIENCE = 15.0


class _Silent:
    """Stands in for a Giver whose ledger another process has, or the disk does not let us write: the NAS hears nothing
    and asks another node. Logins that need no address of ours are answered as ever.
    """

    def give(self, _pools: tuple[str, ...], _service: str, _place: bytes, _vendor: str) -> bytes | None:
        """Raises Dropped."""
        raise Dropped("no-ledger")


class Addresses:
    """`giver` is None where another process has the ledger, or the disk does not take it; `answering` gives what is
    wanted or says nothing. `threads` are not started.
    """

    def __init__(
        self,
        settings: Settings,
        index: int,
        db: Database,
        view: View,
        stop: threading.Event,
        journal_empty: Callable[[], bool],
    ) -> None:
        self._db, self._view, self._stop = db, view, stop
        self.giver: Giver | None = None
        self.threads: list[Keeping] = []
        try:
            self._folder = nodes.private(settings.home / "radius" / "blocks")
            self._home = nodes.home_of(self._folder)
        except OSError as error:
            _log.error("no addresses are given by this node", error=str(error))
            return
        workers = settings.radius_workers if index == 0 else 0
        self._add(f"{settings.node}-{index}", settings.node, workers, journal_empty)
        if index == 0:
            ours = {f"{settings.node}-{number}" for number in range(settings.radius_workers)}
            for worker in set(nodes.ledgers(self._folder)) - ours:
                self._add(worker, worker.rpartition("-")[0], 0, journal_empty, retiring=True)

    @property
    def answering(self) -> "Giver | _Silent":
        """Whom a login asks."""
        return self.giver or _Silent()

    def _add(
        self, worker: str, node: str, workers: int, journal_empty: Callable[[], bool], retiring: bool = False
    ) -> None:
        try:
            giver = self._giver(worker, 0.0 if retiring else _PATIENCE)
        except (LedgerInUse, OSError) as error:
            _log.error("no addresses are given by this worker", worker=worker, error=str(error))
            return
        owner = Owner(node, worker, self._home)
        self.threads.append(
            Keeping(
                self._db, self._view, giver, owner, self._stop,
                workers=workers, journal_empty=journal_empty, retiring=retiring,
            )
        )  # fmt: skip
        if not retiring:
            self.giver = giver

    def _giver(self, worker: str, patience: float) -> Giver:
        """A killed server's worker still has the ledger for a moment. Raises LedgerInUse after `patience` seconds."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return Giver(self._view, self._folder / f"{worker}.ledger", late=lambda: self._view.late)
            except LedgerInUse:
                if time.monotonic() >= deadline or self._stop.wait(0.1):
                    raise
