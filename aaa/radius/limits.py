"""Limits of the server: how long a refusal waits, how often a login may fail, how long a reply is remembered."""

import threading
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import Any, TypeVar

import msgspec

from core import clock

_Source = TypeVar("_Source")


class Limits(msgspec.Struct, frozen=True):
    """Seconds and counts. `reject_delay` slows guessing (RFC 5080 section 2.2.1 bounds what a client waits). A reply is
    remembered for `remember` to twice that (RFC 5080 section 2.2.2 asks for 5 to 30), and less when more than `most`
    come in that time: memory has an end.
    """

    reject_delay: float = 1.0
    attempts: int = 10
    window: float = 60.0
    remember: float = 8.0
    most: int = 16_000


class Attempts:
    """Failed passwords by (key of the record, device of the NAS) within the window. Whom nobody knows has no password
    that could be guessed, and fails without an end: a BNG may send one login for all its lines.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._failed: dict[tuple[bytes, str], deque[float]] = {}
        self._keys: set[bytes] = set()
        """Keys that failed anywhere: to be sure of all others costs one look."""

    def failed(self, key: bytes, nas: str) -> None:
        """Count a failure."""
        if len(self._failed) > 50_000 or len(self._keys) > 50_000:
            self._keys.clear()
            self._failed.clear()
        moments = self._failed.setdefault((key, nas), deque(maxlen=self._limits.attempts))
        moments.append(clock.monotonic())
        self._keys.add(key)  # last, as it is cleared first: another thread may clear meanwhile

    def succeeded(self, key: bytes, nas: str) -> None:
        """Forget the failures of a password that is right after all."""
        if self._failed:
            self._failed.pop((key, nas), None)

    def has_failed(self, key: bytes, nas: str) -> bool:
        """Whether it failed here lately."""
        return key in self._keys and (key, nas) in self._failed

    def exhausted(self, key: bytes, nas: str) -> bool:
        """Whether it failed too often here; then nothing is checked until the oldest leaves the window."""
        moments = self._failed.get((key, nas)) if self._failed else None
        if moments is None or len(moments) < self._limits.attempts:
            return False
        return clock.monotonic() - moments[0] < self._limits.window


class Duplicates:
    """Replies by header (identifier and authenticator) and source (address and port): a retransmission gets the
    same bytes (RFC 5080 section 2.2.2). Octets remember their hash: the header is the key, the source is compared.

    `PENDING` stands for a request whose answer is on its way. Two generations keep forgetting cheap. Several threads
    use it; only what is rare takes the lock.
    """

    PENDING = b""

    def __init__(self, limits: Limits) -> None:
        self._span, self._most = limits.remember, limits.most
        self._young: dict[bytes, tuple[object, bytes]] = {}
        self._old: dict[bytes, tuple[object, bytes]] = {}
        self._sources: dict[Any, Any] = {}
        """One object for each: a reply that remembers its own takes half as much again."""
        self._turned = clock.monotonic()
        self._lock = threading.Lock()

    def get(self, header: bytes, source: object) -> bytes | None:
        """The remembered reply, PENDING, or None for a new request.

        A request that is under way is remembered while its NAS asks for it: another server may take longer than a
        generation, and nobody is to be asked twice.
        """
        held = self._young.get(header) or self._old.get(header)
        if held is None or held[0] != source:
            return None
        return held[1] or self._kept(header)

    def put(self, header: bytes, source: _Source, reply: bytes) -> _Source:
        """Remember a reply for at least `remember` seconds. Returns the one object that stands for the source."""
        now = monotonic()
        if now - self._turned > self._span or len(self._young) >= self._most:
            self._turn(now)
        held: _Source = self._sources.setdefault(source, source)
        self._young[header] = held, reply
        return held

    def put_all(self, answered: Iterable[tuple[bytes, tuple[object, bytes]]]) -> None:
        """The same of many: header, and (source as of `put`, reply)."""
        now = monotonic()
        if now - self._turned > self._span or len(self._young) >= self._most:
            self._turn(now)
        self._young.update(answered)

    def forget(self, header: bytes, source: object) -> None:
        """The request was not answered: its retransmission is a new chance."""
        with self._lock:
            for generation in (self._young, self._old):
                held = generation.get(header)
                if held is not None and held[0] == source:
                    generation.pop(header, None)

    def _kept(self, header: bytes) -> bytes | None:
        """PENDING for another generation, unless it was answered or forgotten at this very moment."""
        with self._lock:
            held = self._young.get(header) or self._old.get(header)
            return None if held is None else self._young.setdefault(header, held)[1]

    def _turn(self, now: float) -> None:
        """Once, of however many threads that find it due: a second turn would forget what the first one kept."""
        with self._lock:
            if now - self._turned > self._span or len(self._young) >= self._most:
                self._old, self._young, self._turned, self._sources = self._young, {}, now, {}
