"""The accounting port of a worker: receive, look for a remembered reply, verify and read, hand on to the commit, reply.

What came together goes the whole way together: a thread that wakes for every datagram costs more than the datagram.
"""

import socket
import threading
import time
from collections.abc import Sequence
from functools import partial

from aaa.accounting.commit import GroupCommit, Submitted
from aaa.accounting.light import AnyRecord
from aaa.accounting.record import AccountingRecord
from aaa.observe.worker import Watched
from aaa.radius.answers import Answers
from aaa.radius.deferred import Answer, Respond
from aaa.radius.limits import Duplicates, Limits
from aaa.radius.sockets import Source, receive_burst, send, send_all

_MOST = 1000
_BUSY = 16
_LINGER = 0.01
"""Seconds that the kernel gathers under load, beside the commit that runs meanwhile."""
_Waiting = tuple[bytes, tuple[Source, bytes]]
"""Header of a request whose record is on its way, and (source, reply)."""


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
            if burst:
                self._take(burst)
            if len(burst) >= _BUSY:
                time.sleep(_LINGER)

    def by_stream(self, record: AccountingRecord, answer: Answer, respond: Respond) -> None:
        """What came by RadSec: `respond` gets the answer when the record is durable, and None if it never is."""
        begun = time.perf_counter_ns()

        def settle(durable: bool) -> None:
            respond(answer if durable else None)
            if durable:
                self._tell([record], begun)

        self._commit.submit(record, answer.through(settle) if answer.through else settle)

    def _take(self, burst: Sequence[tuple[bytes, Source]]) -> None:
        """Answer what needs no record, and hand the records on to the commit."""
        begun, received = time.perf_counter_ns(), time.time()
        known, lightly, pending = self._duplicates.get, self._answers.lightly, self._duplicates.put
        records: list[AnyRecord] = []
        waiting: list[_Waiting] = []
        try:
            for datagram, source in burst:
                header = datagram[:20]
                reply = known(header, source)
                if reply is not None:
                    self._watched.repeated += 1
                    send(self._port, reply, source)
                    continue
                read = lightly(datagram, source[0], received) or self._carefully(
                    datagram, source, received, begun
                )
                if read is not None:
                    records.append(read[0])
                    waiting.append((header, (pending(header, source, Duplicates.PENDING), read[1])))
        finally:  # a mistake of ours over one datagram must not keep those before it from being answered
            if records:
                self._commit.submit_all(Submitted(records, partial(self._settle, records, waiting, begun)))

    def _carefully(
        self, datagram: bytes, source: Source, received: float, begun: int
    ) -> tuple[AnyRecord, bytes] | None:
        """A record and its reply; None when it is dropped, answered, or waits on its own for another server's spool."""
        record, answer = self._answers.accounting(datagram, source[0], received) or (None, None)
        if record is None or answer is None:
            if answer is not None:
                send(self._port, answer.reply, source)
            return None
        if answer.through is None:
            return record, answer.reply
        header = datagram[:20]
        source = self._duplicates.put(header, source, Duplicates.PENDING)
        settle = partial(self._answer, [record], [(header, (source, answer.reply))], begun)
        self._commit.submit(record, answer.through(settle))
        return None

    def _settle(
        self,
        records: Sequence[AnyRecord],
        waiting: Sequence[_Waiting],
        begun: int,
        numbers: Sequence[int],
        durable: bool,
    ) -> None:
        if len(numbers) < len(records):
            records, waiting = (
                [records[number] for number in numbers],
                [waiting[number] for number in numbers],
            )
        self._answer(records, waiting, begun, durable)

    def _answer(
        self, records: Sequence[AnyRecord], waiting: Sequence[_Waiting], begun: int, durable: bool
    ) -> None:
        """Answer durable records; forget those that are not, so that a retransmission is a new chance."""
        if durable:
            self._duplicates.put_all(waiting)
            send_all(self._port, [answer for _header, answer in waiting])
            self._tell(records, begun)
        else:
            for header, (source, _reply) in waiting:
                self._duplicates.forget(header, source)

    def _tell(self, records: Sequence[AnyRecord], begun: int) -> None:
        took = time.perf_counter_ns() - begun
        self._took(took, len(records))
        if self._watched.is_tailed:
            for record in records:
                self._watched.recorded(record.whole(), took)
