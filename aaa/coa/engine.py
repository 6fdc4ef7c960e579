"""The CoA engine: one thread, one socket for each NAS (more beyond 256 requests under way), all NASes side by side.

`submit` from any thread; every request's `settled` is called from the engine's thread, with its true outcome.
"""

import heapq
import selectors
import socket
import threading
from collections import Counter
from queue import Empty, SimpleQueue

import structlog

from aaa.coa.channel import Ask, Channel
from core import clock
from core.structs import make_ready

_log = structlog.get_logger()
_Key = tuple[str, int]
_IDLE = 60.0
_LONGEST = 1.0


class Engine:
    """`start()` runs it in a thread of its own; without it, whoever calls `step()` runs it."""

    def __init__(self) -> None:
        self._channels: dict[_Key, Channel] = {}
        self._sockets: dict[tuple[_Key, int], socket.socket] = {}
        self._used: dict[_Key, float] = {}
        self._tidied = clock.monotonic()
        self._when: dict[_Key, float] = {}
        self._due: list[tuple[float, int, _Key]] = []
        self._pushed = 0
        self._inbox: SimpleQueue[tuple[Ask, bool]] = SimpleQueue()
        self._selector = selectors.DefaultSelector()
        self._woken, self._wakes = socket.socketpair()
        self._wakes.setblocking(False)
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> "Engine":
        """Run in a thread."""
        make_ready()
        self._thread = threading.Thread(target=self._run, name="coa", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread and close the sockets; what is under way gets no outcome, like in a crash. Again: nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._wake()
        if self._thread is not None:
            self._thread.join(timeout=5)
        for port in (*self._sockets.values(), self._woken, self._wakes):
            port.close()
        self._selector.close()

    def submit(self, ask: Ask) -> None:
        """Queue a request for its NAS."""
        self._inbox.put((ask, True))
        self._wake()

    def withdraw(self, ask: Ask) -> None:
        """A newer change took its place: when it has not left yet, it settles as superseded."""
        self._inbox.put((ask, False))
        self._wake()

    @property
    def counted(self) -> Counter[str]:
        """Datagrams: sent, retransmitted, forged, passed-over."""
        total: Counter[str] = Counter()
        for channel in list(self._channels.values()):
            total.update(channel.counted)
        return total

    def step(self, longest: float = _LONGEST) -> None:
        """One round: take what was submitted, send what is due, read what came, at most `longest` seconds."""
        self._take()
        now = clock.monotonic()
        while self._due and self._due[0][0] <= now:
            when, _order, key = heapq.heappop(self._due)
            if self._when.get(key) == when:
                del self._when[key]
                self._advance(key, now)
        wait = longest if not self._due else max(0.0, min(longest, self._due[0][0] - clock.monotonic()))
        for ready, _events in self._selector.select(wait):
            if ready.data is None:
                self._drain_wakes()
            else:
                self._read(ready.data)
        self._forget(now)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
            except Exception as error:  # a bug for one request must not end the thread that serves all NASes
                _log.error("the CoA engine stumbled", error=repr(error))
                self._stop.wait(0.1)

    def _wake(self) -> None:
        try:
            self._wakes.send(b"\0")
        except BlockingIOError:
            return  # it has enough to wake up for
        except OSError:
            if not self._stop.is_set():
                raise  # a correction that was on its way when everything ended is looked at again after the start

    def _drain_wakes(self) -> None:
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            return

    def _take(self) -> None:
        touched = set()
        while True:
            try:
                ask, wanted = self._inbox.get_nowait()
            except Empty:
                break
            key = (ask.nas.source, ask.nas.coa_port)
            channel = self._channels.get(key) or self._channels.setdefault(key, Channel(ask.nas))
            (channel.submit if wanted else channel.withdraw)(ask)
            touched.add(key)
        now = clock.monotonic()
        for key in touched:
            self._advance(key, now)

    def _advance(self, key: _Key, now: float) -> None:
        channel = self._channels.get(key)
        if channel is None:
            return
        for port, datagram in channel.sends(now):
            self._send(key, port, datagram, now)
        self._schedule(key, channel)

    def _schedule(self, key: _Key, channel: Channel) -> None:
        self._used[key] = clock.monotonic()
        when = channel.next()
        if when is None or self._when.get(key, when + 1) <= when:
            return  # nothing to do, or it is looked at before that
        self._when[key] = when
        self._pushed += 1
        heapq.heappush(self._due, (when, self._pushed, key))

    def _send(self, key: _Key, port: int, datagram: bytes, now: float) -> None:
        """An error counts as a loss: the retransmission tries again, and the outcome says what it was."""
        try:
            self._socket(key, port).send(datagram)
        except ConnectionRefusedError:
            # It tells of an earlier datagram; this one has not left yet.
            self._channels[key].refused(now)
            self._send_anyway(key, port, datagram)
        except OSError:
            self._channels[key].refused(now)

    def _send_anyway(self, key: _Key, port: int, datagram: bytes) -> None:
        try:
            self._sockets[key, port].send(datagram)
        except OSError:
            return

    def _socket(self, key: _Key, port: int) -> socket.socket:
        found = self._sockets.get((key, port))
        if found is None:
            if key[0].startswith("@"):
                raise OSError("a peer known by its certificate has no address to ask (RFC 8559 is not built)")
            family = socket.AF_INET6 if ":" in key[0] else socket.AF_INET
            found = socket.socket(family, socket.SOCK_DGRAM)
            found.setblocking(False)
            found.connect(key)
            self._sockets[key, port] = found
            self._selector.register(found, selectors.EVENT_READ, (key, port))
        return found

    def _read(self, whose: tuple[_Key, int]) -> None:
        key, port = whose
        channel, one, now = self._channels[key], self._sockets[whose], clock.monotonic()
        while True:
            try:
                channel.received(port, one.recv(65535), now)
            except BlockingIOError:
                break
            except OSError:
                channel.refused(now)
                break
        self._advance(key, now)

    def _forget(self, now: float) -> None:
        """Close the sockets of NASes that nobody asks anything."""
        if now < self._tidied + _IDLE:
            return
        self._tidied = now
        for key in [key for key, used in self._used.items() if used < now - _IDLE]:
            if self._channels[key].idle:
                del self._used[key], self._channels[key]
                for whose in [one for one in self._sockets if one[0] == key]:
                    gone = self._sockets.pop(whose)
                    self._selector.unregister(gone)
                    gone.close()
