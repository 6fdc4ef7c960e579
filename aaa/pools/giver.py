"""Giver: the addresses of one worker, behind the Authenticator. It never waits for a database.

What is given is in the ledger before the Access-Accept can leave. What may be given is synced there ahead, in batches.
"""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import structlog

from aaa.errors import Dropped
from aaa.pools.ledger import Ledger
from aaa.pools.shelf import Event, Given, Leased, Reserved, Shelf
from aaa.pools.words import attributes
from aaa.view.lookup import View
from aaa.view.pools import PoolRecord, pool_key
from aaa.view.records import Wanted, decode, service_key

_AHEAD = 256
"""So many addresses of a pool are reserved at once: one sync for all of them."""
_LARGE = 8 << 20
_log = structlog.get_logger()


class Giver:
    """`give` is called by the answering threads, everything else by the keeping thread.

    `late` says that another process of our name is alive and was there before us: then nothing is given.
    """

    def __init__(
        self,
        view: View,
        path: Path,
        late: Callable[[], bool] = lambda: False,
        now: Callable[[], float] = time.time,
        boot: str = "",
    ) -> None:
        """Raises LedgerInUse."""
        self._view, self._late, self._now = view, late, now
        self.lock = threading.RLock()
        """Held by whoever reads or changes a shelf."""
        self.shelves: dict[str, Shelf] = {}
        self._records: dict[str, PoolRecord | None] = {}
        self.draining = False
        self.asked = False
        """Whether the database was asked for blocks, with or without an answer: before that no pool counts as empty."""
        self.refused: dict[str, int] = {}
        """How often a pool had nothing left, by pool."""
        self.low = threading.Event()
        """Set when a pool should get more; the keeping thread waits for it."""
        self.ledger = Ledger(path, boot)
        self.lost = False
        """Whether the machine may have died with a part of the ledger, or the ledger is gone."""
        try:
            self._remember()
        except BaseException:
            self.ledger.close()
            raise
        view.on_change(self._changed)

    def _remember(self) -> None:
        """Read the ledger, and write it anew with what counts."""
        events, self.lost = self.ledger.read()
        for event in events:
            self._shelf(_pool(event)).apply(event)
        for shelf in self.shelves.values() if self.lost else ():
            for event in shelf.doubts(self._now()):
                shelf.apply(event)
        for shelf in self.shelves.values():
            for held in shelf.held.values():
                held.seen = self._now()  # accounting may have told of it until a moment ago
                if self.lost:
                    held.at = self._now()  # and it may have been given again
        # Of a ledger that is gone only the database knows what blocks there were: until it is asked, this stays so.
        self.ledger.rewrite(self._everything(), sure=bool(self.shelves) or not self.lost)

    def complete(self) -> None:
        """All that the database says is ours is on a shelf, or in doubt: nothing more was lost."""
        if self.lost:
            with self.lock:
                self.ledger.rewrite(self._everything())
            self.lost = False

    def check(self, told: int) -> None:
        """`told`: how many synced events the database knows of. With fewer the ledger is an older copy (a backup): all
        that it does not call held may have been given since, and is in doubt.
        """
        with self.lock:
            if self.ledger.on_disk >= told:
                return
            now = self._now()
            for shelf in self.shelves.values():
                for event in shelf.doubts(now, older=True):
                    shelf.apply(event)
                for held in shelf.held.values():
                    held.at = held.seen = now  # and what it calls held may have been given again
            self.ledger.pass_over(told)
            self.lost = True
            self.ledger.rewrite(self._everything(), sure=False)
        _log.error("the ledger of addresses is older than the database: what is free in it is in doubt")

    def give(
        self, pools: tuple[str, ...], service: str, place: bytes, vendor: str = "generic"
    ) -> bytes | None:
        """Reply attributes with an address of each family that the pools have: of the first pool of a family that
        has one. None when IPv4 (or whatever is the only family) has none left. Raises Dropped while the node drains:
        the NAS hears nothing and asks another node.

        `place` is the NAS's device id, a space, and what is the same whenever this line asks.
        """
        where = place.partition(b" ")[2]
        try:
            with self.lock:
                chosen = self._taken(pools, service, where)
        except OSError as error:
            _log.error("no address is given: the ledger cannot be written", error=str(error))
            raise Dropped("ledger-not-written") from error
        if chosen is None:
            return None
        return b"".join(attributes(vendor, family, value) for family, (_pool, value) in chosen.items())

    def _taken(self, pools: tuple[str, ...], service: str, where: bytes) -> dict[str, tuple[str, str]] | None:
        if self.draining or self._late():
            raise Dropped("draining")
        chosen = self._choose(pools, service, where)
        if chosen is None:
            if not self.asked:
                raise Dropped("addresses-not-asked-for")
            return None
        now = self._now()
        events = [Given(pool, value, service, where, now) for pool, value in chosen.values()]
        self.ledger.write(events)
        for event in events:
            self.shelves[event.pool].apply(event)
        return chosen

    def _choose(
        self, pools: tuple[str, ...], service: str, where: bytes
    ) -> dict[str, tuple[str, str]] | None:
        """Family -> (pool, address)."""
        found: dict[str, tuple[str, str]] = {}
        wanted: list[str] = []
        key = (service, where)
        for pool in pools:
            record = self._record(pool)
            if record is None:
                continue
            wanted.append(record.family)
            value = None if record.family in found else self._value(pool, record, key)
            if value is not None:
                found[record.family] = (pool, value)
        # IPv4 first: without it nothing works. IPv6 that ran out keeps nobody offline.
        if not wanted or min(wanted) not in found:
            for pool in pools if self.asked else ():
                self.refused[pool] = self.refused.get(pool, 0) + 1
            return None
        return found

    def _value(self, pool: str, record: PoolRecord, key: tuple[str, bytes]) -> str | None:
        shelf = self._shelf(pool)
        value = shelf.choose(key if self._same(shelf, key) else None, record)
        if value is None and shelf.fresh:
            self._reserve(shelf)  # a burst was quicker than the thread that reserves ahead
            value = shelf.choose(None, record)
        if len(shelf.ready) < _AHEAD // 2 and not self.low.is_set():
            self.low.set()
        return value

    def _same(self, shelf: Shelf, key: tuple[str, bytes]) -> bool:
        """Whether this line gets what it had: not while that may be the other session of two."""
        value = shelf.by_key.get(key)
        if value is None or value not in shelf.held:
            return True
        wanted = decode(self._view.lookup(service_key(key[0])), Wanted)
        return wanted is None or wanted.limit == 1

    def reserve(self) -> None:
        """Keep addresses ready in every pool, ahead of need. No login waits for the disk meanwhile."""
        for shelf in list(self.shelves.values()):
            with self.lock:
                wanted = shelf.unreserved(_AHEAD) if len(shelf.ready) < _AHEAD else ()
                event = Reserved(shelf.pool, wanted)
                if wanted:
                    self.ledger.append([event])
            if wanted:
                self.ledger.sync()
                with self.lock:
                    shelf.apply(event)
        if self.ledger.size > _LARGE:
            with self.lock:
                self.ledger.rewrite(self._everything())

    def _reserve(self, shelf: Shelf) -> None:
        event = Reserved(shelf.pool, shelf.unreserved(_AHEAD))
        self.ledger.append([event])
        self.ledger.sync()
        shelf.apply(event)

    def apply(self, events: Iterable[Event], still: Callable[[Event], bool] = lambda _event: True) -> int:
        """Events of the keeping thread, as far as they are still right (`still`, asked under the lock): synced when
        this returns. Returns how many. None of them lets an address be given before the next reservation is synced.
        """
        with self.lock:
            right = [event for event in events if still(event)]
            if right:
                self.ledger.append(right)
            for event in right:
                self._shelf(_pool(event)).apply(event)
        if right:
            self.ledger.sync()
        return len(right)

    def on_new_clock(self, shelf: Shelf, ahead: float, rest: float) -> None:
        """See the shelf's. Raises OSError."""
        with self.lock:
            now = self._now()
            self.apply(shelf.on_new_clock(ahead, now, rest))
            for held in shelf.held.values():
                held.seen = now

    def close(self) -> None:
        """Give the ledger back."""
        with self.lock:
            self.ledger.close()

    def _everything(self) -> list[Event]:
        return [event for shelf in self.shelves.values() for event in shelf.events()]

    def _shelf(self, pool: str) -> Shelf:
        found = self.shelves.get(pool)
        if found is None:
            found = self.shelves[pool] = Shelf(pool)
        return found

    def _record(self, pool: str) -> PoolRecord | None:
        try:
            return self._records[pool]
        except KeyError:
            raw = self._view.lookup(pool_key(pool))
            found = None if raw is None else msgspec.msgpack.decode(raw, type=PoolRecord)
            self._records[pool] = found
            return found

    def stock(self) -> list[tuple[str, str, int]]:
        """(pool, state, number of addresses): what is free, given, in quarantine, in doubt; and `refused`, how often a
        pool had nothing left.
        """
        with self.lock:
            shelves = list(self.shelves.values())
            told = [
                (one.pool, state, count)
                for one in shelves
                for state, count in (
                    ("free", len(one.fresh) + len(one.ready)),
                    ("given", len(one.held)),
                    ("quarantined", len(one.resting)),
                    ("in doubt", len(one.doubt)),
                )
            ]
            return told + [(pool, "refused", count) for pool, count in sorted(self.refused.items())]

    def record(self, pool: str) -> PoolRecord | None:
        """What the view says of a pool; None for one whose addresses nodes do not give."""
        return self._record(pool)

    def _changed(self, key: bytes, _record: bytes | None) -> None:
        if key[:2] == b"p:":
            self._records.clear()
            self.low.set()


def _pool(event: Event) -> str:
    return event.span.pool if isinstance(event, Leased) else event.pool
