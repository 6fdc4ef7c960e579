"""Nodes and their workers over one database, a truthful list of who is really online, and every way to fail.

No sockets and no sleeping: time is a number, a kill drops the objects and keeps the files, a machine's death also drops
what was not synced.
"""

import contextlib
import os
import random
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from aaa.accounting.record import INTERIM, START, STOP, AccountingRecord
from aaa.accounting.store import apply, close_silent
from aaa.errors import Dropped
from aaa.pools import giver as giver_module
from aaa.pools.blocks import Owner
from aaa.pools.giver import Giver
from aaa.pools.keeping import Keeping
from aaa.pools.ledger import Ledger
from aaa.pools.nodes import home_of
from aaa.view.lookup import View
from aaa.view.pools import PoolRecord, pool_key
from aaa.view.records import Wanted, encode, service_key
from core import faults
from core.db import Database, DatabaseAway

REST, INTERIM_SECONDS = 60, 300
POOL = PoolRecord("ipv4", ("100.64.0.0/27",), 32, "100.64.0.1", REST, 3 * INTERIM_SECONDS)


class Line:
    """A node's way to the database, which can be cut."""

    def __init__(self, db: Database) -> None:
        self.db, self.cut = db, False
        self.is_sqlite = db.is_sqlite

    def read(self) -> Any:
        self._check()
        return self.db.read()

    def write(self) -> Any:
        self._check()
        return self.db.write()

    def _check(self) -> None:
        if self.cut:
            raise DatabaseAway("…", "cut")


class Synced(Ledger):
    """Remembers what the disk surely has."""

    synced = 0

    def rewrite(self, events: Any, sure: bool = True) -> None:
        super().rewrite(events, sure)
        self.synced = self.size

    def sync(self) -> None:
        super().sync()
        self.synced = self.size


class FarmWorker:
    """One worker: alive or not; its ledger outlives it."""

    def __init__(self, farm: "Farm", node: "FarmNode", index: int) -> None:
        self.farm, self.node, self.name = farm, node, f"{node.name}-{index}"
        self.index, self.boot = index, 1
        self.giver: Giver | None = None
        self.keeping: Keeping | None = None

    def start(self) -> None:
        if self.giver is not None:
            return
        path = self.node.folder / f"{self.name}.ledger"
        setattr(giver_module, "Ledger", Synced)  # noqa: B010
        try:
            self.giver = Giver(self.farm.view, path, now=self.node.now, boot=f"boot-{self.boot}")
        finally:
            setattr(giver_module, "Ledger", Ledger)  # noqa: B010
        self.keeping = Keeping(
            self.node.line,  # type: ignore[arg-type]
            self.farm.view,
            self.giver,
            Owner(self.node.name, self.name, self.node.home),
            threading.Event(),
            workers=len(self.node.workers) if self.index == 0 else 0,
            journal_empty=lambda: not self.node.journal,
            now=self.node.now,
            monotonic=self.farm.now,
        )

    def kill(self, machine: bool = False) -> None:
        """SIGKILL; or the machine dies and what was not synced is lost."""
        self.boot += machine
        if self.giver is None:
            return
        ledger, self.giver, self.keeping = self.giver.ledger, None, None
        ledger.close()
        if machine:
            assert isinstance(ledger, Synced)
            if ledger.path.exists() and ledger.synced:
                os.truncate(ledger.path, ledger.synced)

    def step(self) -> None:
        """A round of keeping; a database that is away is nothing."""
        if self.keeping is None:
            return
        with contextlib.suppress(DatabaseAway):
            self.keeping.step()


class FarmNode:
    """A node: workers, a line to the database, and a journal of accounting."""

    def __init__(self, farm: "Farm", name: str, workers: int) -> None:
        self.farm, self.name = farm, name
        self.folder = farm.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.home = home_of(self.folder)
        self.line = Line(farm.db)
        self.journal: list[AccountingRecord] = []
        self.ahead = 0.0  # how far its clock is wrong
        self.workers = [FarmWorker(farm, self, index) for index in range(workers)]
        for worker in self.workers:
            worker.start()

    def now(self) -> float:
        """What its clock says."""
        return self.farm.seconds + self.ahead

    def account(self, record: AccountingRecord) -> None:
        """Acknowledged: in the database, or in the journal."""
        self.journal.append(record)
        self.drain()

    def drain(self) -> None:
        if self.line.cut or not self.journal:
            return
        with self.line.db.write() as conn:
            apply(conn, self.journal)
        self.journal.clear()


class Session(msgspec.Struct):
    """Who is really online."""

    service: str
    address: str
    id: bytes
    began: float


class Farm:
    """Everything together. `login` gives or refuses; it fails when somebody else is online with the address."""

    def __init__(
        self, db: Database, folder: Path, nodes: int = 2, workers: int = 2, pool: PoolRecord = POOL
    ) -> None:
        self.db, self.folder = db, folder
        self.seconds = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
        self.view = View(None)
        self.put_pool(pool)
        self.live: dict[str, Session] = {}
        self.calls = 0
        self.nodes = [FarmNode(self, f"n{number}", workers) for number in range(1, nodes + 1)]

    def now(self) -> float:
        return self.seconds

    def put_pool(self, pool: PoolRecord | None, name: str = "west") -> None:
        """None: the pool is no more."""
        self.view._apply((1, pool_key(name), None if pool is None else msgspec.msgpack.encode(pool)))

    def limit(self, service: str, sessions: int) -> None:
        wanted = Wanted("h", None, (), sessions, "replace")
        self.view._apply((1, service_key(service), encode(wanted)))

    @property
    def workers(self) -> list[FarmWorker]:
        return [worker for node in self.nodes for worker in node.workers]

    def login(
        self, worker: FarmWorker, service: str, place: str = "bng1 here", reaches: bool = True
    ) -> str | None:
        """The address, or None. `reaches` False: the Access-Accept is lost, and the session never begins."""
        if worker.giver is None:
            return None
        try:
            block = worker.giver.give(("west",), service, place.encode())
        except Dropped:
            return None
        if block is None:
            return None
        address = ".".join(str(octet) for octet in block[2:6])
        owners = [
            one.service for one in self.live.values() if one.address == address and one.service != service
        ]
        assert not owners, (
            f"{address} was given to {service} by {worker.name} while {owners} are online with it"
        )
        if reaches:
            self.calls += 1
            self.live[service] = Session(service, address, b"call-%d" % self.calls, self.seconds)
        return address

    def tell(self, node: FarmNode, service: str, kind: int) -> None:
        """Accounting of a session that is really there, acknowledged by this node."""
        one = self.live[service]
        node.account(
            AccountingRecord(
                kind=kind, nas="bng1", source="127.0.0.1", session_id=one.id, at=self.seconds,
                session_time=int(self.seconds - one.began), service=service, framed_address=one.address,
                interim=INTERIM_SECONDS,
            )
        )  # fmt: skip

    def stop(self, node: FarmNode | None, service: str) -> None:
        """The session ends; `node` None: its Stop is lost for good."""
        if service in self.live:
            if node is not None:
                self.tell(node, service, STOP)
            del self.live[service]

    def pass_time(self, seconds: float, rng: random.Random, told_to: "list[FarmNode] | None" = None) -> None:
        """Time goes by in steps of an interim, in which every session is told to some node, and nodes tidy."""
        end = self.seconds + seconds
        while self.seconds < end:
            self.seconds = min(end, self.seconds + INTERIM_SECONDS)
            for service in list(self.live):
                self.tell(rng.choice(told_to or self.nodes), service, INTERIM)
            for node in self.nodes:
                node.drain()
            reachable = [node for node in self.nodes if not node.line.cut]
            if reachable:
                with self.db.write() as conn:
                    close_silent(conn, datetime.fromtimestamp(self.seconds, UTC))
            self.step()

    def step(self) -> None:
        for worker in self.workers:
            worker.step()

    def settle(self, rng: random.Random) -> None:
        """All reachable, all alive, everybody goes: long enough for everything to come back."""
        for node in self.nodes:
            node.line.cut = False
            node.drain()
        for worker in self.workers:
            worker.start()
        for service in list(self.live):
            self.stop(self.nodes[0], service)
        self.pass_time(20 * INTERIM_SECONDS, rng)

    def busy(self) -> dict[str, tuple[int, int, int]]:
        """(held, resting, in doubt) by worker, where there is anything."""
        found = {}
        for worker in self.workers:
            for shelf in worker.giver.shelves.values() if worker.giver else ():
                parts = (len(shelf.held), len(shelf.resting), len(shelf.doubt))
                if any(parts):
                    found[worker.name] = parts
        return found

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()


def failing(point: str) -> Any:
    """Within the block the first passage of this fault point raises."""

    @contextlib.contextmanager
    def block() -> Any:
        os.environ["TRUNKLINE_TEST_MODE"], os.environ["TRUNKLINE_FAULT"] = "1", f"{point}:1:raise"
        faults._passages.clear()
        try:
            yield
        finally:
            del os.environ["TRUNKLINE_FAULT"], os.environ["TRUNKLINE_TEST_MODE"]

    return block()


__all__ = ["START", "STOP", "Farm", "failing"]
