"""One worker's part of one pool, in memory: every address is fresh, ready, held, resting or in doubt. Pure.

Events change it, and events are what the ledger keeps: reading them again gives the same shelf.
"""

from collections import deque
from collections.abc import Iterator

import msgspec

from aaa.pools.span import Span
from aaa.view.pools import PoolRecord

Key = tuple[str, bytes]
"""(service, where it is: circuit, MAC or port): the same line gets the same address again."""
Place = tuple[str, int, int]
"""(prefix, number, length) of a block."""


class Leased(msgspec.Struct, frozen=True, array_like=True, tag="L"):
    """A block came, under this fencing epoch."""

    span: Span
    epoch: int
    gateway: str = ""


class Returned(msgspec.Struct, frozen=True, array_like=True, tag="B"):
    """A block went back, with whatever was on it."""

    pool: str
    prefix: str
    number: int
    length: int = 0
    """0 in what older versions wrote: whichever block of that number there is."""


class Reserved(msgspec.Struct, frozen=True, array_like=True, tag="R"):
    """From now on these may be given; synced before the first of them is."""

    pool: str
    values: tuple[str, ...]


class Given(msgspec.Struct, frozen=True, array_like=True, tag="G"):
    """Given to a service at a place (again), at `at` (epoch seconds)."""

    pool: str
    value: str
    service: str
    where: bytes
    at: float


class Rested(msgspec.Struct, frozen=True, array_like=True, tag="Q"):
    """Its session is over: nobody else gets it before `until`. `sure`: the NAS said so, else its silence; `since`:
    when that was found.
    """

    pool: str
    value: str
    until: float
    sure: bool
    since: float


class Freed(msgspec.Struct, frozen=True, array_like=True, tag="F"):
    """Anybody may have it again."""

    pool: str
    value: str


class Doubted(msgspec.Struct, frozen=True, array_like=True, tag="D"):
    """It may have been given without our knowing: only what accounting tells, or does not, frees it."""

    pool: str
    value: str
    since: float


Event = Leased | Returned | Reserved | Given | Rested | Freed | Doubted


class Held(msgspec.Struct):
    """An address in use. `seen`: when accounting last told of its session; 0 before the first time."""

    value: str
    service: str
    where: bytes
    at: float
    seen: float = 0


class Rest(msgspec.Struct):
    """An address in quarantine, and whose it was: they may have it back at once."""

    value: str
    until: float
    sure: bool
    since: float
    held: Held | None


class Block(msgspec.Struct):
    """A leased block and its addresses."""

    span: Span
    epoch: int
    values: list[str]
    gateway: str = ""


def returned(span: Span) -> Returned:
    """That a block goes back."""
    return Returned(span.pool, span.prefix, span.number, span.length)


class Shelf:
    """`give` decides, `apply` changes; nothing else touches the parts."""

    def __init__(self, pool: str) -> None:
        self.pool = pool
        self.blocks: dict[Place, Block] = {}
        self.fresh: dict[str, object] = {}
        self.ready: dict[str, object] = {}
        self.held: dict[str, Held] = {}
        self.by_key: dict[Key, str] = {}
        self.resting: dict[str, Rest] = {}
        self.doubt: dict[str, float] = {}
        self.block_of: dict[str, Place] = {}
        self._due: deque[str] = deque()
        self._queued: set[str] = set()

    def choose(self, key: Key | None, record: PoolRecord) -> str | None:
        """The address that this line had, else the one that was free longest; only of what the pool still offers. None
        for none. Changes nothing.
        """
        value = self.by_key.get(key) if key else None
        if value is not None and self.offers(value, record):
            return value
        return next((one for one in self.ready if self.offers(one, record)), None)

    def offers(self, value: str, record: PoolRecord) -> bool:
        """Whether the pool gives it: prefixes, length and gateway may have changed since the lease."""
        prefix, _number, length = self.block_of[value]
        return prefix in record.prefixes and length == record.length and value != record.gateway

    def next_due(self, number: int) -> list[str]:
        """Held and resting addresses that were not looked at for longest; each is queued again by that."""
        found = []
        for _ in range(min(number, len(self._due))):
            value = self._due.popleft()
            self._queued.discard(value)
            if value in self.held or value in self.resting:
                found.append(value)
        for value in found:
            self._queue(value)
        return found

    def _queue(self, value: str) -> None:
        if value not in self._queued:
            self._queued.add(value)
            self._due.append(value)

    def unreserved(self, number: int) -> tuple[str, ...]:
        """The next addresses to reserve."""
        return tuple(value for value, _ in zip(self.fresh, range(number), strict=False))

    @property
    def free(self) -> int:
        """How many may be given."""
        return len(self.fresh) + len(self.ready)

    def is_somebodys(self, value: str) -> bool:
        """Whether it is held, resting or in doubt."""
        return value in self.held or value in self.resting or value in self.doubt

    def idle_blocks(self) -> Iterator[Block]:
        """Blocks of which nothing is held, resting or in doubt."""
        for block in self.blocks.values():
            if all(value in self.fresh or value in self.ready for value in block.values):
                yield block

    def apply(self, event: Event) -> None:
        """Take over an event."""
        match event:
            case Leased(span, epoch, gateway):
                self._lease(span, epoch, gateway)
            case Returned():
                for value in self.blocks.pop(self.place(event), _NONE).values:
                    self._take(value)
                    del self.block_of[value]
            case Reserved(_, values):
                self.ready |= {value: None for value in values if self.fresh.pop(value, _GONE) is None}
            case Given():
                self._give(event)
            case Rested():
                self._rest(event)
            case Freed() | Doubted():
                self._clear(event)

    def place(self, event: Returned) -> Place:
        """Where the block is that goes back."""
        exact = (event.prefix, event.number, event.length)
        if event.length:
            return exact
        return next((one for one in self.blocks if one[:2] == exact[:2]), exact)

    def _clear(self, event: Freed | Doubted) -> None:
        if not self._take(event.value):
            return  # of a block that went back
        if isinstance(event, Doubted):
            self.doubt[event.value] = event.since
        else:
            self.fresh[event.value] = None

    def doubts(self, now: float, older: bool = False) -> list[Doubted]:
        """The machine died: whatever was ready may have been given without our knowing, or resting given back. What was
        fresh, too, where all this is from an `older` ledger.
        """
        parts = (self.ready, self.resting, self.fresh if older else {})
        return [Doubted(self.pool, value, now) for part in parts for value in part]

    def events(self) -> Iterator[Event]:
        """What makes this shelf anew."""
        for block in self.blocks.values():
            yield Leased(block.span, block.epoch, block.gateway)
        if self.ready:
            yield Reserved(self.pool, tuple(self.ready))
        for held in self.held.values():
            yield Given(self.pool, held.value, held.service, held.where, held.at)
        for rest in self.resting.values():
            if rest.held is not None:
                yield Given(self.pool, rest.value, rest.held.service, rest.held.where, rest.held.at)
            yield Rested(self.pool, rest.value, rest.until, rest.sure, rest.since)
        for value, since in self.doubt.items():
            yield Doubted(self.pool, value, since)

    def on_new_clock(self, ahead: float, now: float, rest: float) -> list[Event]:
        """The clock was set (ahead by so much; negative: back) and says `now`: what rests does so for as long as it had
        to, at most `rest`; what is in doubt begins anew; nothing was given in the future. Who holds something counts as
        seen just now: accounting may have told of it until a moment ago.
        """
        events: list[Event] = [
            Given(self.pool, one.value, one.service, one.where, now)
            for one in self.held.values()
            if one.at > now
        ]
        for one in self.resting.values():
            until = min(one.until + max(0.0, ahead), now + rest)
            if one.held is not None:
                events.append(
                    Given(self.pool, one.value, one.held.service, one.held.where, min(one.held.at, now))
                )
            events.append(Rested(self.pool, one.value, until, one.sure, min(one.since, now)))
        return events + [Doubted(self.pool, value, now) for value in self.doubt]

    def _lease(self, span: Span, epoch: int, gateway: str) -> None:
        place = (span.prefix, span.number, span.length)
        known = self.blocks.get(place)
        if known is not None:
            known.epoch = epoch
            return
        values = list(span.values(gateway))
        self.blocks[place] = Block(span, epoch, values, gateway)
        for value in values:
            self.fresh[value] = None
            self.block_of[value] = place

    def _give(self, event: Given) -> None:
        held = self.held.get(event.value)
        key = (event.service, event.where)
        if held is not None and (held.service, held.where) == key:
            held.at, held.seen = event.at, 0
            return
        if not self._take(event.value):
            return  # of a block that went back
        self.held[event.value] = Held(event.value, event.service, event.where, event.at)
        self.by_key[key] = event.value
        self._queue(event.value)

    def _rest(self, event: Rested) -> None:
        held = self.held.get(event.value)
        if self._take(event.value):
            self.resting[event.value] = Rest(event.value, event.until, event.sure, event.since, held)
            if held is not None:
                self.by_key.setdefault((held.service, held.where), event.value)
            self._queue(event.value)

    def _take(self, value: str) -> bool:
        """Out of whichever part it is in; False for none of ours."""
        for part in (self.ready, self.fresh):
            if value in part:
                del part[value]
                return True
        if self.doubt.pop(value, None) is not None:
            return True
        held = self.held.pop(value, None)
        rest = self.resting.pop(value, None)
        owner = held or (rest.held if rest else None)
        if owner is not None and self.by_key.get((owner.service, owner.where)) == value:
            del self.by_key[owner.service, owner.where]
        return held is not None or rest is not None


_GONE = object()
_NONE = Block(Span("", "", 0, 0, 0), 0, [])
