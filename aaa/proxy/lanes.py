"""Lanes to another server: an identifier space of 256 each. UDP opens one more when all are taken."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aaa.proxy.errand import Errand

Received = Callable[["Lane", bytes], bool]


class Lane:
    """Requests under way by identifier. A freed identifier is the last to be used again: late replies find nobody."""

    def __init__(self, write: Callable[[bytes], None], close: Callable[[], None]) -> None:
        self.pending: dict[int, Errand] = {}
        self._free = deque(range(256))
        self.write, self.close = write, close

    def take(self, errand: "Errand") -> int | None:
        """An identifier for an errand; None when all 256 are under way."""
        if not self._free:
            return None
        identifier = self._free.popleft()
        self.pending[identifier] = errand
        return identifier

    def release(self, identifier: int) -> None:
        """The request is answered or given up."""
        if self.pending.pop(identifier, None) is not None:
            self._free.append(identifier)

    @property
    def has_room(self) -> bool:
        """Whether an identifier is free."""
        return bool(self._free)


def udp_lane(
    loop: asyncio.AbstractEventLoop,
    address: tuple[str, int],
    received: Received,
    refused: Callable[[Lane], None],
) -> Lane:
    """A connected socket: the kernel drops what others send, and says when nobody listens there. Raises OSError."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    port = socket.socket(family, socket.SOCK_DGRAM)
    port.setblocking(False)
    try:
        port.connect(address)
    except OSError:
        port.close()
        raise

    def write(datagram: bytes) -> None:
        try:
            port.send(datagram)
        except ConnectionRefusedError:
            loop.call_soon(refused, lane)
        except OSError:
            return  # the network is away or the buffer full: as if it were lost on the way

    def read() -> None:
        for _ in range(64):  # so many at a time, then others have their turn
            try:
                datagram = port.recv(65535)
            except ConnectionRefusedError:
                refused(lane)
                return
            except OSError:
                return
            received(lane, datagram)

    def close() -> None:
        loop.remove_reader(port)
        port.close()

    lane = Lane(write, close)
    loop.add_reader(port, read)
    return lane
