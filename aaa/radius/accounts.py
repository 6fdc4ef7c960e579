"""The accounting port of a worker: receive, look for a remembered reply, verify and read, hand on to the commit, reply.

What came together goes the whole way together: a thread that wakes for every datagram costs more than the datagram.
"""

import socket
import threading
import time
from collections.abc import Callable
from functools import partial

from aaa.accounting.commit import GroupCommit, Reply
from aaa.accounting.record import AccountingRecord
from aaa.observe.worker import Watched
from aaa.radius.answers import Answers
from aaa.radius.deferred import Answer, Respond
from aaa.radius.limits import Duplicates, Limits
from aaa.radius.sockets import Source, receive_burst, send

_MOST = 1000
_BUSY = 16
_LINGER = 0.01
"""Seconds that the kernel gathers under load, beside the commit that runs meanwhile."""


class Accounts:
    """Reads on its own thread (`serve`); replies go from the thread of the commit, when a record is durable."""

    def __init__(
        self, port: socket.socket, answers: Answers, commit: GroupCommit, watched: Watched, limits: Limits
    ) -> None:
        self._port, self._answers, self._commit, self._watched = port, answers, commit, watched
        self._duplicates = Duplicates(limits)
        self._took = watched.latency["accounting"].add

    def serve(self, stop: threading.Event) -> None:
        """Until stopped."""
        while not stop.is_set():
            burst = receive_burst(self._port, _MOST)
            begun = time.perf_counter_ns()
            taken = [self._read(datagram, source, begun) for datagram, source in burst]
            if some := [one for one in taken if one is not None]:
                self._commit.submit_all(some)
            if len(burst) >= _BUSY:
                time.sleep(_LINGER)

    def by_stream(self, record: AccountingRecord, answer: Answer, respond: Respond) -> None:
        """What came by RadSec: `respond` gets the answer when the record is durable, and None if it never is."""
        begun = time.perf_counter_ns()

        def settle(durable: bool) -> None:
            respond(answer if durable else None)
            if durable:
                self._tell(record, begun)

        self._commit.submit(record, _through(answer, settle))

    def _read(self, datagram: bytes, source: Source, begun: int) -> tuple[AccountingRecord, Reply] | None:
        """The record to make durable, and what then answers it; None when there is nothing to wait for."""
        header = datagram[1:2] + datagram[4:20]
        known = self._duplicates.get(header, source)
        if known is not None:
            self._watched.repeated += 1
            send(self._port, known, source)
            return None
        read = self._answers.accounting(datagram, source[0])
        if read is None:
            return None
        record, answer = read
        if record is None:
            send(self._port, answer.reply, source)
            return None
        self._duplicates.put(header, source, Duplicates.PENDING)
        return record, _through(answer, partial(self._settle, header, source, record, answer.reply, begun))

    def _settle(
        self, header: bytes, source: Source, record: AccountingRecord, reply: bytes, begun: int, durable: bool
    ) -> None:
        """Answer a durable record; forget one that is not, so that its retransmission is a new chance."""
        if not durable:
            self._duplicates.forget(header, source)
            return
        self._duplicates.put(header, source, reply)
        send(self._port, reply, source)
        self._tell(record, begun)

    def _tell(self, record: AccountingRecord, begun: int) -> None:
        took = time.perf_counter_ns() - begun
        self._took(took)
        if self._watched.is_tailed:
            self._watched.recorded(record, took)


def _through(answer: Answer, settle: Callable[[bool], None]) -> Reply:
    """Where another server is to know of a record: through its spool first."""
    return answer.through(settle) if answer.through else settle
