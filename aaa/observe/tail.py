"""The live tail: events of this node's workers, as they happen, to whoever listens on a socket of the node's folder.

Nobody listens: it costs a look at an empty tuple. Somebody too slow: events are left out for them and counted, and no
subscriber waits. Sockets are 0600 in the node's own folder; passwords are never in an event.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from aaa.radius.sockets import bind_private, unix_address

_SIZE = 16384
_ENDING = ".sock"


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answered or dropped packet. `outcome`: accepted, a reason of refusal, start, stop, interim, on, off, or
    `dropped`. `microseconds` from taking it off the socket to handing over the reply.
    """

    at: float
    worker: str
    kind: str
    nas: str
    outcome: str
    login: str = ""
    calling: str = ""
    circuit: str = ""
    service: str = ""
    session: str = ""
    address: str = ""
    detail: str = ""
    policy: str = ""
    microseconds: int = 0
    left_out: int = 0
    """Events since the last one that this listener was too slow for."""


def folder(home: Path) -> Path:
    """Where listeners put their sockets."""
    return home / "radius" / "tail"


class Tail:
    """A worker's side. `listeners` is empty most of the time: look at it before making an event."""

    def __init__(self, home: Path) -> None:
        self._folder = folder(home)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._lost: dict[Path, int] = {}
        self.listeners: tuple[Path, ...] = ()

    def look(self) -> None:
        """See who listens now; called about once a second."""
        try:
            there = os.listdir(self._folder)
        except OSError:  # nobody ever listened
            there = []
        self.listeners = tuple(self._folder / name for name in sorted(there) if name.endswith(_ENDING))
        self._lost = {path: lost for path, lost in self._lost.items() if path in self.listeners}

    def tell(self, event: Event) -> None:
        """Send an event to everybody who listens."""
        for path in self.listeners:
            lost = self._lost.get(path, 0)
            raw = msgspec.msgpack.encode(msgspec.structs.replace(event, left_out=lost))
            try:
                with unix_address(path.parent, path.name) as name:
                    self._socket.sendto(raw, name)
            except BlockingIOError:
                self._lost[path] = lost + 1
            except OSError:  # whoever listened is gone without a word
                self.listeners = tuple(one for one in self.listeners if one != path)
                path.unlink(missing_ok=True)
            else:
                self._lost.pop(path, None)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


@contextmanager
def listening(home: Path, wait: float = 0.5) -> Iterator[Iterator[Event | None]]:
    """Events of all workers of the node at `home`, one after the other; None after `wait` seconds of silence."""
    place = folder(home)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = place / f"{os.getpid()}-{os.urandom(3).hex()}{_ENDING}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as port:
        port.settimeout(wait)
        bind_private(port, path.parent, path.name)
        try:
            yield _events(port)
        finally:
            path.unlink(missing_ok=True)


def _events(port: socket.socket) -> Iterator[Event | None]:
    decoder = msgspec.msgpack.Decoder(Event)
    while True:
        try:
            raw = port.recv(_SIZE)
        except TimeoutError:
            yield None
            continue
        with suppress(msgspec.MsgspecError):
            yield decoder.decode(raw)
