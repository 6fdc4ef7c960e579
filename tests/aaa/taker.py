"""A home server of accounting in this process, that takes what it is told to, and a delivery to it."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aaa.proxy.delivery import Delivery
from aaa.proxy.errands import Errands
from aaa.proxy.routes import Route
from aaa.proxy.spool import Entry, Spool, folder_name
from aaa.proxy.target import Patience, Target
from aaa.radius import packet as wire
from aaa.radius.packet import pair
from core import clock

REALM, SECRET = "guest.example", b"homesecret"
START, STOP, INTERIM, ON = 1, 2, 3, 7
Said = tuple[str, int]
"""A session and an Acct-Status-Type."""


def entry(session: str, kind: int = START, nas: str = "bng1", received: float | None = None) -> Entry:
    """What a NAS said; a restart of it has no session."""
    told = pair(40, struct.pack(">I", kind)) + pair(1, b"ann@guest.example")
    told += pair(44, session.encode()) if session else b""
    told += pair(32, nas.encode())
    raw = wire.request(wire.ACCOUNTING_REQUEST, 1, b"nas", told)
    return Entry(REALM, raw, nas, clock.now().timestamp() if received is None else received)


class Taker:
    """Acknowledges what `takes` says; a retransmission is answered, and counted once. It knows no Status-Server."""

    def __init__(self, takes: Callable[[Said], bool] = lambda _said: True, signs: bool = True) -> None:
        self.takes, self._signs = takes, signs
        self.asked: list[Said] = []
        self.taken: list[Said] = []
        self._seen: set[bytes] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Nobody listens there any more."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                datagram, sender = self._socket.recvfrom(4096)
            except OSError:
                return
            packet = wire.read(datagram)
            if packet is None or packet.code != wire.ACCOUNTING_REQUEST:
                continue
            (kind,) = struct.unpack(">I", packet.first(40) or bytes(4))
            said = (packet.first(44) or packet.first(32) or b"").decode(), kind
            new = datagram[:20] not in self._seen
            self._seen.add(datagram[:20])
            if new:
                self.asked.append(said)
            if self.takes(said):
                if new or said not in self.taken:
                    self.taken.append(said)
                reply = wire.reply(wire.ACCOUNTING_RESPONSE, packet, SECRET, sign=self._signs)
                self._socket.sendto(reply, sender)


class Rig:
    """A delivery to takers, the first of them before the others. `routed`: whether the realm is in the intents."""

    def __init__(self, folder: Path, takers: Sequence[Taker], patience: Patience, require_ma: bool) -> None:
        self.folder = folder / "node1-0" / folder_name(REALM)
        self.routed = True
        there = tuple(Target("127.0.0.1", taker.port, "udp", SECRET, require_ma) for taker in takers)
        self._route = Route(REALM, there, there, False, False, False, False, False, ())
        self._errands = Errands(patience)
        routes: Any = self
        self._delivery = Delivery(folder, "node1-0", routes, self._errands, b"TLtest")

    def named(self, _name: str) -> Route | None:
        """As Routes do."""
        return self._route if self.routed else None

    def before(self, *segments: list[Entry]) -> None:
        """What an earlier run left."""
        for one in segments:
            spool = Spool(self.folder)
            spool.append(one)
            spool.close()

    def start(self) -> None:
        """Deliver what is there."""
        self._delivery.start()

    def add(self, *entries: Entry) -> None:
        """As the worker does when a record is durable."""
        for one in entries:
            self._delivery.after(one, lambda _durable: None)(True)

    @property
    def segments(self) -> int:
        """How many wait."""
        return self._delivery.segments

    def stop(self) -> None:
        """The worker ends."""
        self._delivery.stop()
        self._errands.stop()


QUICK = Patience(timeout=0.1, tries=2, give_up=1.0, probe=0.2)


@contextmanager
def delivering(
    folder: Path, taker: Taker, patience: Patience = QUICK, *others: Taker, require_ma: bool = False
) -> Iterator[Rig]:
    """A rig for as long as a test runs."""
    rig = Rig(folder, (taker, *others), patience, require_ma)
    try:
        yield rig
    finally:
        rig.stop()
        for one in (taker, *others):
            one.close()
