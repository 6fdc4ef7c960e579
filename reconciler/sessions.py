"""Lane 1: a changed policy reaches every RADIUS worker, then every live session that is not what it should be.

Level-triggered: what is queued is a service to look at, never an order; looking twice is harmless. "Free" means that
the workers acknowledged and no session is left on the old policy. Corrections stream through the CoA engine: the lane
looks at the next services and records outcomes while requests are under way.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

import msgspec

from aaa import enforcement
from aaa.coa import correct
from aaa.coa.channel import MASS, RELEASE, SINGLE
from aaa.coa.engine import Engine
from aaa.coa.outcome import Outcome
from aaa.enforcement import Correction
from aaa.radius.nases import NasEntry, nas_of
from aaa.view.seal import Seal
from core import clock, faults
from reconciler import following, session_receipts, session_work
from reconciler.context import Context
from reconciler.session_driver import end_session
from reconciler.session_receipts import Looked
from reconciler.session_work import LANE, P_QUEUED, Work, unsettled

P_CORRECTED = faults.declare("sessions.after_corrected")
_CAP = 0.5
_LOOK = 250
_WRITE = 200
_GATHER = 0.05
_GATHER_MANY = 0.2
_MANY = 200
_AGAIN = 0.5
_FEW = 5
_DRIVERS = 16
_LONGEST = 60


class Waiting(msgspec.Struct, eq=False):
    """A service that waits until the workers know its policy, at most until `deadline` (monotonic seconds)."""

    work: Work
    deadline: float
    few: bool
    """Its commit changes a few services only: it goes before a mass."""
    marked: bool = False
    """Accounting found it; no change asks for it now."""


class SessionLane:
    """Follows the view and corrects sessions. `step()` does what can be done now; `run_once()` waits for outcomes."""

    def __init__(self, context: Context, engine: Engine | None = None) -> None:
        self.context = context
        self._seal = Seal.of(context.settings.home)
        self._engine = engine or Engine().start()
        self._drivers = ThreadPoolExecutor(_DRIVERS, thread_name_prefix="sessions")
        self._waiting: dict[str, Waiting] = {}
        self._looked: dict[str, Looked] = {}
        self._outcomes: SimpleQueue[tuple[Looked, Correction, Outcome]] = SimpleQueue()
        self._settled: list[tuple[Looked, Correction, Outcome]] = []
        self._closing: list[Looked] = []
        self._since = 0.0
        self._next_read = self._next_marks = 0.0
        self._patience: dict[str, tuple[int, float]] = {}
        self._changed: set[str] = set()
        self._kept: session_work.Kept = {}
        self._woken = threading.Event()

    def run_once(self) -> int:
        """Queue what the view changed, look at what is due, wait for the outcomes; returns how much was done."""
        self._next_read = self._next_marks = 0.0
        done = self.step()
        while self._waiting or self._looked:
            self.rest(0.01)
            done += self.step()
        return done

    def step(self) -> int:
        """What can be done now, without waiting for anybody; returns how much that was."""
        fresh = session_work.queue(self.context, self._kept)
        self._withdraw(fresh)
        self._take_due(at_once=bool(fresh))
        self._take_marked()
        return len(fresh) + self._look() + self._write()

    def rest(self, seconds: float) -> None:
        """Wait for an outcome; shorter while something is under way."""
        busy = self._waiting or self._settled or self._closing
        self._woken.wait(min(seconds, 0.005) if busy else seconds)
        self._woken.clear()

    @property
    def counted(self) -> Counter[str]:
        """Datagrams of the CoA engine: sent, retransmitted, forged, passed-over."""
        return self._engine.counted

    def close(self) -> None:
        """Let the threads go."""
        self._engine.stop()
        self._drivers.shutdown(wait=True)

    def _withdraw(self, services: Iterable[str]) -> None:
        """A release does not wait behind the hold that it lifts: what has not left yet never does."""
        for service in services:
            looked = self._looked.get(service)
            if looked is not None:
                self._changed.add(service)
                for ask in looked.asks:
                    self._engine.withdraw(ask)

    def _take_due(self, at_once: bool) -> None:
        now = clock.monotonic()
        if not at_once and now < self._next_read:
            return
        self._next_read = now + _AGAIN
        work = session_work.due(self.context)
        sizes = Counter(item.commit_id for item in work)
        for item in work:
            there = self._waiting.get(item.service)
            if item.service in self._looked or (there is not None and there.work.seq == item.seq):
                continue
            self._waiting[item.service] = Waiting(item, now + _CAP, sizes[item.commit_id] <= _FEW)

    def _take_marked(self) -> None:
        """Sessions that showed up with a policy that is no longer wanted, or as one too many."""
        now = clock.monotonic()
        if now < self._next_marks:
            return
        marked = enforcement.marked_sessions(self.context.db)
        # While thousands wait for a silent NAS, reading them at every step would leave no time for the others.
        self._next_marks = now + (_AGAIN if len(marked) > _MANY else 0.0)
        services = set(marked.values()) - self._waiting.keys() - self._looked.keys()
        services = {one for one in services if self._patience.get(one, (0, 0.0))[1] <= now}
        if not services:
            return
        place = following.place(self.context.db, LANE)
        seq = place.seq if place is not None else 0
        for service in services:
            work = Work(service, "", seq, clock.now(), self._patience.get(service, (0, 0.0))[0])
            self._waiting[service] = Waiting(work, now + _CAP, few=True, marked=True)

    def _look(self) -> int:
        """Compare the sessions of the next services with what is wanted, and submit what must be corrected."""
        ready = self._ready()
        if not ready:
            return 0
        started = clock.now()
        found = enforcement.stale_sessions(
            self.context.db, self.context.index_db, [one.work.service for one, _behind in ready]
        )
        self._unmark([one for one, _behind in ready], found)
        place = following.place(self.context.db, LANE)
        # Whose policy moved on meanwhile is looked at again when the workers know that one.
        moved = enforcement.changed_after(self.context.index_db, place.seq if place is not None else 0)
        by_service: dict[str, list[Correction]] = {}
        for correction in found:
            by_service.setdefault(correction.session.service, []).append(correction)
        nases: dict[str, NasEntry | None] = {}
        for one, behind in ready:
            if one.work.service not in moved:
                of_service = by_service.get(one.work.service, [])
                looked = Looked(self._named(one, of_service), behind, started, marked=one.marked)
                self._begin(looked, of_service, one.few, nases)
        return len(ready) - len(moved & {one.work.service for one, _behind in ready})

    def _ready(self) -> list[tuple[Waiting, list[str]]]:
        """The next services whose workers know, or have had their time; few before many, the oldest first."""
        if not self._waiting:
            return []
        with self.context.index_db.read() as conn:
            known = enforcement.positions(conn)
        floor, now = min(known.values(), default=1 << 62), clock.monotonic()
        ready = [one for one in self._waiting.values() if one.work.seq <= floor or one.deadline <= now]
        ready.sort(key=lambda one: (not one.few, one.work.seq, one.work.service))
        return [(one, enforcement.behind(known, one.work.seq)) for one in ready[:_LOOK]]

    def _unmark(self, ready: Sequence[Waiting], found: Sequence[Correction]) -> None:
        services = {one.work.service for one in ready if one.marked}
        if services:
            marked = enforcement.marked_sessions(self.context.db)
            enforcement.unmark(self.context.db, [r for r, s in marked.items() if s in services], found)

    def _begin(
        self, looked: Looked, found: list[Correction], few: bool, nases: dict[str, NasEntry | None]
    ) -> None:
        service = looked.work.service
        del self._waiting[service]
        self._looked[service] = looked
        looked.asked = len(found)
        if not found:
            self._closing.append(looked)
        for correction in found:
            if correction.action.how == "end-session":
                self._drivers.submit(self._by_driver, looked, correction)
                continue
            source = correction.session.source
            if source not in nases:
                nases[source] = nas_of(self.context.index_db, self._seal, source)
            rank = SINGLE if few else RELEASE if _frees(correction) else MASS
            ask = correct.start(self._engine, correction, nases[source], self._noting(looked), rank)
            looked.asks += [ask] if ask is not None else []

    def _noting(self, looked: Looked) -> correct.Settled:
        def settled(correction: Correction, outcome: Outcome) -> None:
            self._outcomes.put((looked, correction, outcome))
            self._woken.set()

        return settled

    def _by_driver(self, looked: Looked, correction: Correction) -> None:
        try:
            outcome = correct.end_by_driver(correction, lambda one: end_session(self.context, one))
        except Exception:  # whatever a driver stumbles over: the session is not proven gone
            outcome = Outcome("unreachable")
        self._noting(looked)(correction, outcome)

    def _write(self) -> int:
        """Record what is settled: many at a time, but nobody waits longer than a moment for others."""
        self._gather()
        if not self._settled and not self._closing:
            return 0
        under_way = len(self._looked) - len(self._closing)
        until = self._since + (_GATHER_MANY if under_way > _MANY else _GATHER)
        if under_way and len(self._settled) < _WRITE and clock.monotonic() < until:
            return 0
        faults.point(P_CORRECTED)
        settled, closing = self._settled, self._closing
        with self.context.db.write() as conn:
            correct.record(conn, [(correction, outcome) for _looked, correction, outcome in settled])
            session_receipts.write(conn, settled, closing)
        self._settled, self._closing = [], []
        for looked in closing:
            self._forget(looked)
        return len(settled) + len(closing)

    def _gather(self) -> None:
        """Take the outcomes that are there; the first begins the wait for others."""
        if not self._settled and not self._closing:
            self._since = clock.monotonic()
        while len(self._settled) < _WRITE:
            try:
                looked, correction, outcome = self._outcomes.get_nowait()
            except Empty:
                return
            looked.done.append((correction, outcome))
            self._settled.append((looked, correction, outcome))
            if len(looked.done) == looked.asked:
                self._closing.append(looked)

    def _forget(self, looked: Looked) -> None:
        service = looked.work.service
        del self._looked[service]
        if service in self._changed:
            self._changed.discard(service)
            self._next_read = 0.0
        self._patience.pop(service, None)
        if looked.open and not looked.superseded:
            # Its mark stays: whoever has not acknowledged is not asked again at once.
            tries = looked.work.attempts + 1
            self._patience[service] = (tries, clock.monotonic() + min(_LONGEST, 2**tries))

    def _named(self, one: Waiting, found: Sequence[Correction]) -> Work:
        """What accounting found is written to the commit whose policy the session should have."""
        if not one.marked or all(correction.action.why == enforcement.EXCESS for correction in found):
            return one.work
        return msgspec.structs.replace(one.work, commit_id=session_work.cause(self.context, one.work.service))


def _frees(correction: Correction) -> bool:
    wanted = correction.wanted
    return wanted is not None and not wanted.garden


__all__ = ["LANE", "P_CORRECTED", "P_QUEUED", "SessionLane", "unsettled"]
