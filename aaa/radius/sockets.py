"""UDP sockets that several workers share: each has its own, the kernel spreads sources over them (SO_REUSEPORT)."""

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from aaa.errors import PortNotFree
from aaa.radius.packet import MAX_LENGTH

_BUFFER = 4 << 20
_BURST = 32
_log = structlog.get_logger()
Source = tuple[str, int]


def bind(host: str, port: int) -> socket.socket:
    """A bound, blocking UDP socket; port 0 takes a free one. Raises PortNotFree."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    # Blocking reads wake up four times a second to see whether to stop (a struct timeval, native layout).
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 250_000))
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise PortNotFree(host, port, error.strerror or str(error)) from error
    return made


def bind_stream(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` listening TCP sockets on one port; port 0 takes a free one. Raises PortNotFree."""
    made: list[socket.socket] = []
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(count):
        one = socket.socket(family, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            one.bind((host, port))
            one.listen(512)  # who comes before a worker accepts waits, and is not refused
        except OSError as error:
            one.close()
            raise PortNotFree(host, port, error.strerror or str(error), stream=True) from error
        port = one.getsockname()[1]
        made.append(one)
    return made


def bind_shared(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` sockets on one port, for as many workers."""
    first = bind(host, port)
    taken = first.getsockname()[1]
    return [first, *(bind(host, taken) for _ in range(count - 1))]


def receive_burst(port: socket.socket, most: int = _BURST) -> list[tuple[bytes, Source]]:
    """What has come, at most `most` of it. Waits for the first; nothing after a quarter second of silence."""
    found: list[tuple[bytes, Source]] = []
    with suppress(BlockingIOError, ConnectionError):
        found.append(port.recvfrom(MAX_LENGTH))
        while len(found) < most:
            found.append(port.recvfrom(MAX_LENGTH, socket.MSG_DONTWAIT))
    return found


def send(port: socket.socket, reply: bytes, source: Source) -> None:
    """Send a reply; PENDING (no bytes) and a vanished peer are nothing."""
    if reply:
        send_all(port, [(source, reply)])


def send_all(port: socket.socket, replies: Iterable[tuple[Source, bytes]]) -> None:
    """Send replies (none of them PENDING); a vanished peer is nothing."""
    sendto = port.sendto
    for source, reply in replies:
        try:
            sendto(reply, source)
        except OSError as error:
            _log.warning("a reply could not be sent", peer=source[0], error=str(error))


@contextmanager
def unix_address(folder: Path, name: str) -> Iterator[str]:
    """A Unix socket's address of at most 107 octets, however deep its folder is: through the folder's descriptor."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def bind_private(made: socket.socket, folder: Path, name: str) -> None:
    """Bind a Unix socket that only its owner may write to.

    On Linux the socket's own mode becomes that of its file (unix_bind_bsd), so it is set before the bind. A umask
    would be the whole process's: threads that change it and put it back at the same time leave the wrong one.
    """
    os.fchmod(made.fileno(), 0o600)
    with unix_address(folder, name) as address:
        made.bind(address)
