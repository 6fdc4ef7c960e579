"""The thread that keeps a worker's addresses: leases ahead, frees what is over, returns what is too much.

Nobody waits for it: while the database is away, the Giver gives from what it has.
"""

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog

from aaa.pools import blocks, counts, evidence, nodes
from aaa.pools.blocks import Lease, Owner
from aaa.pools.giver import Giver
from aaa.pools.shelf import Block, Doubted, Event, Freed, Given, Leased, Rested, Returned, Shelf, returned
from aaa.pools.span import Span
from aaa.view.lookup import View
from aaa.view.pools import PoolRecord
from core import clock, faults
from core.db import Database, Outage
from core.errors import first_line

LEASED_IN_DATABASE = faults.declare("pools.leased_before_ledger")
DOUBTED_BEFORE_REST = faults.declare("pools.doubted_before_rest")
RESTED_IN_DATABASE = faults.declare("pools.rested_before_ledger")
RETURNED_IN_LEDGER = faults.declare("pools.returned_before_database")

_LOOKED_AT = 500
_PAUSE, _BREATH = 2.0, 0.2
_IDLE = 5.0
"""Seconds between two rounds of who gives no addresses: all there is to say is that the node is there."""
_AFTER_FAILURE = 2.0
_COUNTED, _HEARTBEAT = 5.0, 1.0
_STEP = 10.0
"""Seconds by which a clock is corrected without a word."""
_MOST = 16
_log = structlog.get_logger()


class Told(NamedTuple):
    """What the database said at the beginning of a step."""

    leases: list[Lease]
    drained: float
    draining: bool


class Keeping(threading.Thread):
    """One for each Giver. `keeper` also speaks for the node."""

    def __init__(
        self,
        db: Database,
        view: View,
        giver: Giver,
        owner: Owner,
        stop: threading.Event,
        *,
        workers: int = 0,
        journal_empty: Callable[[], bool] = lambda: True,
        retiring: bool = False,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        """`workers`: how many the node has, 0 when somebody else speaks for it. `retiring`: a ledger of a worker that
        is no more: nothing is leased, everything goes back.
        """
        super().__init__(name="keep-addresses", daemon=True)
        self._db, self._view, self._giver, self._owner = db, view, giver, owner
        self._stop_event, self._workers = stop, workers
        self._journal_empty, self._retiring = journal_empty, retiring
        self._now, self._monotonic = now, monotonic
        self._at = now()
        """When the round began."""
        self._offset = self._at - monotonic()
        self._pools: set[str] | None = None
        self._outage, self._away = Outage(), False
        self._empty, self._taken = set[str](), set[str]()
        self._counted = self._spoke = float("-inf")
        self._told_none = self._checked = False
        view.on_change(self._changed)

    def run(self) -> None:
        """Until stopped; a database that is away is asked again without end."""
        while not self._stop_event.is_set():
            try:
                self.step()
                self._outage.end()
                self._away = False
            except Exception as error:
                self._lost(error)
                self._stop_event.wait(_AFTER_FAILURE)
            self._rest_a_while()
        self._giver.close()

    def _rest_a_while(self) -> None:
        """Until a pool is low, but not at every login of a small one."""
        self._stop_event.wait(_BREATH)
        if not self._stop_event.is_set():
            self._giver.low.wait(_PAUSE if self._giver.shelves or self._pools else _IDLE)
        self._giver.low.clear()

    def wake(self) -> None:
        """Look at once, at whether to stop too."""
        self._giver.low.set()

    def _lost(self, error: Exception) -> None:
        self._giver.asked = True
        if self._outage.is_news(error) and not self._away:
            worker, said = self._owner.worker, first_line(error)
            _log.warning("leased addresses are not kept", worker=worker, error=said)
            self._away = True

    def step(self) -> None:
        """One round. Raises what the database raises."""
        self._begin()
        told = self._ask()
        if not self._checked:
            with self._db.read() as conn:
                self._giver.check(nodes.synced(conn, self._owner.worker))
            self._checked = True  # from now on the ledger is ours alone
        self._giver.draining = told.draining
        self._reconcile(told)
        for shelf in list(self._giver.shelves.values()):
            self._settle(shelf, told.drained)
        if told.draining or self._retiring:
            self._hand_over()
        else:
            for pool, record in self._known().items():
                self._lease_ahead(pool, record)
            self._return_surplus()
        self._giver.reserve()
        self._giver.asked = True
        self._count()

    def _begin(self) -> None:
        self._at = self._now()
        offset = self._at - self._monotonic()
        ahead = offset - self._offset
        if abs(ahead) > _STEP:
            _log.warning("this machine's clock was set: addresses are kept for longer", seconds=round(ahead))
            for shelf in list(self._giver.shelves.values()):
                self._giver.on_new_clock(shelf, ahead, self._record(shelf).rest)
        self._offset = offset

    def _ask(self) -> Told:
        now = datetime.fromtimestamp(self._at, UTC)  # before all: what is acknowledged after that is not told
        empty = bool(self._workers) and self._journal_empty()
        turn = self._monotonic()
        if self._workers and turn - self._spoke >= _HEARTBEAT:
            with self._db.write() as conn:
                nodes.heartbeat(conn, self._owner, self._workers, empty, now)
            self._spoke = turn
        with self._db.read() as conn:
            drained = nodes.watermark(conn, now)
            return Told(
                blocks.leased_to(conn, self._owner),
                drained.timestamp() if drained else 0.0,
                nodes.is_draining(conn, self._owner.node),
            )

    def _reconcile(self, told: Told) -> None:
        """The database leased us what the ledger does not know (killed in between), or somebody took it from us."""
        theirs = {returned(one.span): one for one in told.leases}
        shelves = self._giver.shelves
        ours = {returned(one.span): one for shelf in shelves.values() for one in shelf.blocks.values()}
        for gone, block in ours.items():
            there = theirs.get(gone)
            if there is None or there.epoch != block.epoch:
                what = {"pool": gone.pool, "prefix": gone.prefix, "number": gone.number}
                _log.error("a block of addresses was taken from us", **what)
                with self._giver.lock:
                    shelf = shelves[gone.pool]
                    self._taken |= {value for value in block.values if shelf.is_somebodys(value)}
                    self._giver.apply([gone])
        self._take((one for key, one in theirs.items() if key not in ours), in_doubt=self._giver.lost)
        self._giver.complete()

    def _take(self, leases: Iterable[Lease], in_doubt: bool = False) -> None:
        """The database may have been restored: in doubt is, too, what open sessions have of new blocks, and what was
        somebody's when the block was taken from us.
        """
        for one in leases:
            record = self._giver.record(one.span.pool) or _gone([one.span])
            values = list(one.span.values(record.gateway))
            with self._db.read() as conn:
                used = evidence.open_by_value(conn, record.family, values)
            doubt = [value for value in values if in_doubt or value in used or value in self._taken]
            self._taken.difference_update(values)
            now = self._now()
            events: list[Event] = [Leased(one.span, one.epoch, record.gateway)]
            self._giver.apply(events + [Doubted(one.span.pool, value, now) for value in doubt])

    def _settle(self, shelf: Shelf, drained: float) -> None:
        """Look at some of the addresses that are not free, and at all that are in doubt."""
        record = self._record(shelf)
        events = [*self._of_held(shelf, record, drained), *self._of_doubt(shelf, record, drained)]
        if events:
            self._giver.apply(events, lambda event: self._still(shelf, event))

    def _of_held(self, shelf: Shelf, record: PoolRecord, drained: float) -> list[Event]:
        with self._giver.lock:
            values = shelf.next_due(_LOOKED_AT)
            held = [shelf.held[value] for value in values if value in shelf.held]
            resting = [shelf.resting[value] for value in values if value in shelf.resting]
        if not values:
            return []
        over = [rest for rest in resting if rest.until <= self._at]
        services = [one.service for one in held] + [rest.held.service for rest in over if rest.held]
        since = min((one.at for one in held), default=self._at)
        with self._db.read() as conn:
            seen = evidence.sessions_of(conn, record.family, services, since)
        now, events = self._at, list[Event]()
        for one in held:
            word = evidence.judge(one, seen.get(one.service, ()), record.patience, now, drained)
            if word == "in-use":
                one.seen = now
            elif word in ("over", "silent"):
                events.append(Rested(shelf.pool, one.value, now + record.rest, word == "over", now))
        for rest in over:
            sessions = seen.get(rest.held.service, ()) if rest.held else ()
            if rest.held and evidence.in_use(rest.value, sessions):
                events.append(Given(shelf.pool, rest.value, rest.held.service, rest.held.where, now))
            else:
                events.append(Freed(shelf.pool, rest.value))
        return events

    def _of_doubt(self, shelf: Shelf, record: PoolRecord, drained: float) -> list[Event]:
        if not shelf.doubt:
            return []
        with self._db.read() as conn:
            used = evidence.open_by_value(conn, record.family, shelf.doubt)
        now, events = self._at, list[Event]()
        for value, since in shelf.doubt.items():
            quiet = since + record.patience
            if value in used:
                events.append(Given(shelf.pool, value, used[value], b"", now))
            elif now >= quiet and drained >= quiet:
                events.append(Rested(shelf.pool, value, now + record.rest, False, now))
        return events

    @staticmethod
    def _still(shelf: Shelf, event: Event) -> bool:
        """Whether nobody logged in on it since it was looked at."""
        match event:
            case Rested(_, value, _, _, since):
                held = shelf.held.get(value)
                return value in shelf.doubt or (held is not None and held.at < since)
            case Given(_, value, _, _, _):
                return value in shelf.doubt or value in shelf.resting
            case Freed(_, value):
                return value in shelf.resting
        return True

    def _lease_ahead(self, pool: str, record: PoolRecord) -> None:
        """Keep as much free as a block or a quarter of what is given, whichever is more."""
        shelf = self._giver.shelves.get(pool)
        sizes = [block.span.size for block in shelf.blocks.values() if _has(record, block)] if shelf else []
        size = max(sizes, default=1)
        ahead = max(size, len(shelf.held) // 4) if shelf and sizes else 1
        free = self._free(shelf, record)
        if free >= ahead:
            self._empty.discard(pool)
            return
        now = self._moment()
        want = min(_MOST, max(1, (ahead - free + size - 1) // size))
        with self._db.write() as conn:
            leases = blocks.lease(conn, pool, record, self._owner, want, now)
            if not leases and blocks.reclaim(conn, pool, record, nodes.watermark(conn, now), now):
                leases = blocks.lease(conn, pool, record, self._owner, want, now)
        faults.point(LEASED_IN_DATABASE)
        self._take(leases)
        if not leases and pool not in self._empty:
            _log.warning(
                "no block of addresses is left to lease", pool=pool, worker=self._owner.worker, free=free
            )
            self._empty.add(pool)

    def _free(self, shelf: Shelf | None, record: PoolRecord | None) -> int:
        """Free addresses of what the pool still offers."""
        if shelf is None or record is None:
            return 0
        with self._giver.lock:
            known = {place for place, block in shelf.blocks.items() if _has(record, block)}
            return sum(
                shelf.block_of[value] in known and value != record.gateway
                for part in (shelf.fresh, shelf.ready)
                for value in part
            )

    def _return_surplus(self) -> None:
        """Blocks of which nothing is used: one at a time while twice as much as needed is free; all of a prefix or
        length that the pool does not have any more.
        """
        for shelf in list(self._giver.shelves.values()):
            record = self._giver.record(shelf.pool)
            for block in self._idle(shelf):
                ahead = max(block.span.size, len(shelf.held) // 4)
                gone = record is None or not _has(record, block)
                if gone or self._free(shelf, record) - block.span.size >= 2 * ahead:
                    self._return(shelf, [Lease(block.span, block.epoch)])
                    if not gone:
                        break

    def _hand_over(self) -> None:
        """Draining: idle blocks are free at once; the others rest until no session is on them."""
        for shelf in list(self._giver.shelves.values()):
            record = self._record(shelf)
            self._return(shelf, [Lease(block.span, block.epoch) for block in self._idle(shelf)])
            self._rest(shelf, timedelta(seconds=max(record.rest, record.patience)))

    def _idle(self, shelf: Shelf) -> list[Block]:
        with self._giver.lock:
            return list(shelf.idle_blocks())

    def _return(self, shelf: Shelf, leases: list[Lease]) -> None:
        """Idle blocks: out of the ledger first. Killed in between, we find them leased to us, and nobody on them."""
        told = [returned(one.span) for one in leases]
        if not told or self._giver.apply(told, lambda event: _is_idle(shelf, event)) != len(told):
            return  # somebody logged in meanwhile: the next round finds what the database says we have
        faults.point(RETURNED_IN_LEDGER)
        with self._db.write() as conn:
            blocks.give_back(conn, self._owner, leases, self._moment())

    def _rest(self, shelf: Shelf, rest: timedelta) -> None:
        """Blocks with sessions: first nothing of them is ours to give any more, whatever kills us, then they go."""
        leases = [Lease(block.span, block.epoch) for block in shelf.blocks.values()]
        if not leases:
            return
        now = self._now()
        self._giver.apply(
            Doubted(shelf.pool, value, now) for block in shelf.blocks.values() for value in block.values
        )
        faults.point(DOUBTED_BEFORE_REST)
        with self._db.write() as conn:
            blocks.give_back(conn, self._owner, leases, self._moment(), rest)
        faults.point(RESTED_IN_DATABASE)
        self._giver.apply(returned(one.span) for one in leases)

    def _known(self) -> dict[str, PoolRecord]:
        """Pools whose addresses nodes give."""
        if self._pools is None:
            self._pools = set()  # first: what is followed meanwhile is added
            self._pools |= {key[2:].decode() for key, _record in self._view.items(b"p:")}
        found = {name: self._giver.record(name) for name in list(self._pools)}
        return {name: record for name, record in found.items() if record is not None}

    def _changed(self, key: bytes, _record: bytes | None) -> None:
        if key[:2] == b"p:" and self._pools is not None:
            self._pools.add(key[2:].decode())
            self.wake()

    def _count(self) -> None:
        """Tell everybody how much is free, given, resting and in doubt."""
        turn = self._monotonic()
        if turn - self._counted < _COUNTED and not self._giver.draining:
            return
        self._counted = turn
        has_none = not self._giver.shelves
        if has_none and self._told_none:
            return
        with self._db.write() as conn:
            counts.tell(conn, self._owner, self._giver, self._moment())
        self._told_none = has_none

    def _record(self, shelf: Shelf) -> PoolRecord:
        return self._giver.record(shelf.pool) or _gone(block.span for block in shelf.blocks.values())

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _is_idle(shelf: Shelf, event: Event) -> bool:
    if not isinstance(event, Returned):
        return False
    block = shelf.blocks.get(shelf.place(event))
    return block is not None and all(value in shelf.fresh or value in shelf.ready for value in block.values)


def _has(record: PoolRecord, block: Block) -> bool:
    return block.span.prefix in record.prefixes and block.span.length == record.length


def _gone(spans: Iterable[Span]) -> PoolRecord:
    """Stands in for the record of a pool that the view does not have (any more)."""
    is_ipv6 = any(":" in span.prefix for span in spans)
    return PoolRecord(evidence.IPV6 if is_ipv6 else "ipv4", (), 32, "", 600, 900)
