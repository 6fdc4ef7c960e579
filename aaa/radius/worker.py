"""One worker: an answering thread for each port, the group commit, and a follower of the view.

It starts from the node's snapshot and needs neither database, Git nor control plane to answer.
"""

import gc
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter_ns

import structlog

from aaa.accounting.commit import GroupCommit
from aaa.accounting.journal import Journal
from aaa.accounting.record import AccountingRecord
from aaa.errors import ViewNotThere
from aaa.limits.codes import Codes
from aaa.limits.overrides import Overrides
from aaa.observe.worker import Watched
from aaa.pools.start import Addresses
from aaa.radius.accepted import Accepted
from aaa.radius.accounts import Accounts
from aaa.radius.answers import Answers
from aaa.radius.authenticate import Authenticator
from aaa.radius.chores import Chores
from aaa.radius.deferred import Answer, Deferred, Pass, Respond
from aaa.radius.elsewhere import elsewhere
from aaa.radius.files import use_files
from aaa.radius.limits import Attempts, Duplicates, Limits
from aaa.radius.methods import methods
from aaa.radius.nases import NasTable
from aaa.radius.neighbours import Neighbours
from aaa.radius.packet import MAX_LENGTH
from aaa.radius.refusals import Refusals
from aaa.radius.sockets import receive_burst, send, send_all
from aaa.radsec.server import radsec_server
from aaa.view.derived import accounting_database
from aaa.view.follower import Follower
from aaa.view.lookup import View
from aaa.view.seal import Seal
from core import logs
from core.settings import Settings
from core.structs import make_ready

_log = structlog.get_logger()
_Source = tuple[str, int]
_SWITCH = 0.0005
_BREATH = 0.05
_STEP = 0.02
_MOST_DEFERRED = 2000
"""Requests that wait for a handler: the last of them would be answered after its NAS has asked again."""
_COLLECT = 20_000, 20, 50
_LAST_WORDS = 10.0
"""Seconds for a worker whose server was killed to commit what it has."""


class Worker:
    """The threads of one worker over its two sockets. `run` returns when `stop` is set."""

    def __init__(
        self,
        settings: Settings,
        index: int,
        stop: threading.Event,
        sockets: tuple[socket.socket, socket.socket],
        limits: Limits | None = None,
        stream: socket.socket | None = None,
    ) -> None:
        self.name = f"{settings.node}-{index}"
        self._stop, self._limits = stop, limits or Limits()
        self._auth, acct = sockets
        seal = Seal.of(settings.home)
        self.view = load_view(settings, seal.fingerprint)
        self.refusals = Refusals()
        self._accepted = Accepted() if settings.radius_log_logins else None
        self._db = accounting_database(settings)
        self._journal = Journal(settings.home / "radius" / "journal")
        self.addresses = Addresses(
            settings, index, self._db, self.view, stop, lambda: not self._journal.waiting
        )
        overrides, codes = Overrides(settings.home), Codes.of(settings.home)
        authenticator = Authenticator(
            self.view,
            seal,
            Attempts(self._limits),
            self.addresses.answering,
            overrides=overrides,
            digest=codes.digest,
        )
        self.elsewhere = elsewhere(settings, self.view, seal, self.name, authenticator)
        nases = NasTable(self.view, seal)
        note = self._accepted.note if self._accepted is not None else None
        self.answers = Answers(self.view, nases, authenticator, self.refusals.note, self.elsewhere, note)
        self.elsewhere.settled = self.answers.settle
        self.answers.methods = methods(settings, self.name, authenticator, seal, self.answers.settle)
        self._deferred: SimpleQueue[tuple[Deferred, Respond] | None] = SimpleQueue()
        self._duplicates = Duplicates(self._limits)
        self._neighbours = Neighbours(settings.home / "radius", self.name)
        self.commit = GroupCommit(self._db, self._journal)
        self._radsec = radsec_server(
            settings.home, stream, self.answers, nases, self._by_stream, self._limits.reject_delay
        )
        self._follower = Follower(settings, self.view, self.name, stop, keeper=index == 0)
        self._delayed: SimpleQueue[tuple[float, Callable[[bool], None]] | None] = SimpleQueue()
        giver = self.addresses.giver
        stock = giver.stock if giver is not None else list
        self.watched = Watched(settings.home, self.name, self.answers, self._gauges, stock)
        self._took = self.watched.latency["access"].add
        self._accounts = Accounts(acct, self.answers, self.commit, self.watched, self._limits)
        make_ready()
        self._chores = Chores(
            settings.home, self._db, self._journal, self.answers, self.watched, keeper=index == 0
        )

    def run(self) -> None:
        """Serve until stopped."""
        loops = (
            self._serve_access,
            self._serve_accounting,
            self._send_delayed,
            self._handle_deferred,
            self._take_passed,
            self._do_chores,
        )
        threads = [
            threading.Thread(target=self._going, args=(loop,), name=loop.__name__, daemon=True)
            for loop in loops
        ]
        self.commit.start()
        self.elsewhere.start()
        self._follower.start()
        self._neighbours.listen()
        for thread in (*threads, *self.addresses.threads):
            thread.start()
        if self._radsec is not None:
            self._radsec.start()
        self._stop.wait()
        if self._radsec is not None:
            self._radsec.stop()
        self._delayed.put(None)
        self._deferred.put(None)
        for keeping in self.addresses.threads:
            keeping.wake()
        for thread in (*threads, self._follower, *self.addresses.threads):
            thread.join(timeout=5)
        self._neighbours.close()
        self.commit.stop()
        self.elsewhere.stop()
        self._db.close()

    def _going(self, loop: Callable[[], None]) -> None:
        """A mistake of ours costs what was at hand and a line in the log, never the thread: nobody replaces that."""
        while not self._stop.is_set():
            try:
                loop()
            except Exception:
                _log.exception("a thread of a RADIUS worker stumbled and goes on", loop=loop.__name__)
                self._stop.wait(_BREATH)

    def _serve_access(self) -> None:
        """What came together is received, answered and sent together: the kernel's network code and ours push each
        other out of the processor's caches, and taking turns for every request made a login a quarter dearer.
        """
        port, answer = self._auth, self._access
        while not self._stop.is_set():
            ready: list[tuple[_Source, bytes]] = []
            try:
                for datagram, source in receive_burst(port):
                    reply = answer(datagram, source)
                    if reply is not None:
                        ready.append((source, reply))
            finally:  # a mistake of ours over one datagram must not keep those before it from being answered
                send_all(port, ready)

    def _take_passed(self) -> None:
        """Conversations that we hold, whose NAS changed its source port to another worker's share."""
        while not self._stop.is_set():
            self._neighbours.take(self._answer_now)

    def _answer_now(self, datagram: bytes, source: _Source) -> None:
        reply = self._access(datagram, source)
        if reply is not None:
            send(self._auth, reply, source)

    def _access(self, datagram: bytes, source: _Source) -> bytes | None:
        """The reply that may go now; None when none is due, or not yet."""
        begun, duplicates = perf_counter_ns(), self._duplicates
        header = datagram[1:2] + datagram[4:20]
        known = duplicates.get(header, source)
        if known is not None:
            self.watched.repeated += 1
            return known or None  # PENDING is no reply
        reply = self.answers.plainly(datagram, source[0])
        if reply is not None:
            duplicates.put(header, source, reply)
            self._took(perf_counter_ns() - begun)
            return reply
        answer = self.answers.carefully(datagram, source[0])
        if answer is None:
            return None
        if isinstance(answer, Deferred):
            duplicates.put(header, source, Duplicates.PENDING)
            self._defer(answer, self._timed(answer, self._settler(header, datagram, source), begun))
        elif answer.delayed:
            self._settler(header, datagram, source)(answer)
        else:
            duplicates.put(header, source, answer.reply)
            self._took(perf_counter_ns() - begun)
            return answer.reply
        return None

    def _timed(self, deferred: Deferred, settle: Respond, begun: int) -> Respond:
        """The same, and what came of it after how long."""

        def settled(answer: Answer | Pass | None) -> None:
            if isinstance(answer, Answer) and len(answer.reply) > MAX_LENGTH:
                self.answers.dropped["no-room-for-a-reply"] += 1  # Proxy-State that fills a packet
                answer = None
            settle(answer)
            self.watched.settled(deferred, answer, perf_counter_ns() - begun)

        return settled

    def _settler(self, header: bytes, datagram: bytes, source: _Source) -> Respond:
        """Sends an answer, at once or after the reject delay, and remembers it for retransmissions."""
        duplicates = self._duplicates

        def settle(answer: Answer | Pass | None) -> None:
            if isinstance(answer, Pass):
                # Whoever gets it remembers it: a retransmission goes the same way.
                passed = self._neighbours.pass_on(answer.worker, datagram, source)
                answer = None if passed else answer.otherwise
            if answer is None:
                duplicates.forget(header, source)
            elif answer.delayed and self._limits.reject_delay:
                duplicates.put(header, source, Duplicates.PENDING)
                due = time.monotonic() + self._limits.reject_delay
                self._delayed.put((due, _after(duplicates, header, self._auth, answer.reply, source)))
            else:
                duplicates.put(header, source, answer.reply)
                send(self._auth, answer.reply, source)

        return settle

    def _handle_deferred(self) -> None:
        """What a handler answers, away from the thread that answers everybody else."""
        while (waits := self._deferred.get()) is not None:
            self._handle(*waits)

    def _defer(self, deferred: Deferred, settle: Respond) -> None:
        if deferred.quick:
            self._handle(deferred, settle)
        elif self._deferred.qsize() >= _MOST_DEFERRED:
            self.answers.dropped["busy"] += 1
            settle(None)
        else:
            self._deferred.put((deferred, settle))

    def _handle(self, deferred: Deferred, settle: Respond) -> None:
        try:
            deferred.handler.handle(deferred.ask, settle)
        except Exception as error:  # a bug for one request must not end the thread
            _log.error("a request could not be handled", nas=deferred.ask.nas.device, error=repr(error))
            settle(None)

    def _send_delayed(self) -> None:
        """Rejects leave in the order of their coming, all that are due in a step of time together: a thread that wakes
        for every one of them costs more than the reject.
        """
        while (waits := self._delayed.get()) is not None:
            due, settled = waits
            if due > time.monotonic():
                time.sleep(max(0.0, due - time.monotonic()) + _STEP)
            settled(True)

    def _serve_accounting(self) -> None:
        self._accounts.serve(self._stop)

    def _by_stream(self, read: Deferred | tuple[AccountingRecord, Answer], settle: Respond) -> None:
        """What came by RadSec and is answered later: by a handler, or when its record is durable."""
        if isinstance(read, Deferred):
            self._defer(read, self._timed(read, settle, perf_counter_ns()))
        else:
            self._accounts.by_stream(*read, settle)

    def _do_chores(self) -> None:
        accepted = [self._accepted.flush] if self._accepted is not None else []
        self._chores.run(self._stop, (self.refusals.flush, self.elsewhere.flush, *accepted))

    def _gauges(self) -> dict[str, float]:
        return {
            "view_seq": self.view.seq,
            "view_records_changed": self.view.changed,
            "view_silent_seconds": self._follower.silent,
            "journal_segments": self._journal.segments,
            "accounting_waiting": self.commit.waiting,
            "deferred_waiting": self._deferred.qsize(),
            "logins_unwritten": self._accepted.lost if self._accepted is not None else 0,
            "radsec_connections": self._radsec.connections if self._radsec else 0,
            **self.elsewhere.gauges(),
        }


def _after(
    duplicates: Duplicates, header: bytes, acct: socket.socket, reply: bytes, source: _Source
) -> Callable[[bool], None]:
    def settled(durable: bool) -> None:
        if durable:
            duplicates.put(header, source, reply)
            send(acct, reply, source)
        else:
            duplicates.forget(header, source)

    return settled


def load_view(settings: Settings, fingerprint: str = "") -> View:
    """The view of the node's snapshot, or an empty one that the follower fills."""
    try:
        return View.load(view_folder(settings), fingerprint)
    except ViewNotThere:
        return View(None, fingerprint=fingerprint)


def view_folder(settings: Settings) -> Path:
    """Where the node keeps its snapshot."""
    return settings.home / "radius" / "view"


def serve_worker(
    settings: Settings,
    index: int,
    sockets: tuple[socket.socket, socket.socket],
    limits: Limits | None = None,
    stream: socket.socket | None = None,
    server: int = 0,
) -> None:
    """Body of a worker process: serves until SIGTERM, or until the process `server` is gone (0: never).

    A signal and no event shared by processes: such an event hangs for ever once a waiter was killed.
    """
    logs.configure(settings.log_format, behind=True)  # it is a process of its own
    use_files()
    gc.freeze()  # what was imported before the fork stays shared: the collector would write to all of it
    # A thread that answers gives the interpreter away at every system call, and must not wait 5 ms to get it back.
    sys.setswitchinterval(_SWITCH)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when
    if server:
        threading.Thread(target=_end_with, args=(server, stop), daemon=True).start()
    worker = Worker(settings, index, stop, sockets, limits, stream)
    # Remembered replies are many and no garbage: looking through them again and again cost as much as reading a packet.
    gc.set_threshold(*_COLLECT)
    gc.collect()
    gc.freeze()
    worker.run()


def _end_with(server: int, stop: threading.Event) -> None:
    """Whoever outlives the server shares the ports with the next one, and keeps its addresses from it. Our own parent
    tells nothing: it is the process that forks workers, which lives as long as one of them does.
    """
    with suppress(ProcessLookupError):
        select.select([os.pidfd_open(server)], [], [])
    stop.set()
    time.sleep(_LAST_WORDS)
    os._exit(1)
