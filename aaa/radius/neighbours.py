"""Workers of one node pass each other the datagrams of conversations that they hold: a Unix socket each, mode 0600.

A TLS handshake cannot move between processes. When a NAS changes its source port the kernel may give its next
datagram to another worker; that one hands it over, and the holder answers from its own socket of the shared port.
"""

import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from aaa.radius.sockets import bind_private, unix_address

_log = structlog.get_logger()
_WAIT = 0.25
_PATIENCE = 0.5
"""Seconds for a neighbour whose queue is full; then its conversation is as good as lost."""
Take = Callable[[bytes, tuple[str, int]], None]


class Passed(msgspec.Struct, frozen=True, array_like=True):
    """A datagram and where it came from."""

    host: str
    port: int
    datagram: bytes


class Neighbours:
    """This worker's own socket, and the way to the others'."""

    def __init__(self, folder: Path, worker: str) -> None:
        self._folder, self._name = folder, f"{worker}.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_WAIT)
        self._out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._out.settimeout(_PATIENCE)

    def listen(self) -> None:
        """Take the place of a dead worker of the same name. Where the disk does not let us, no other worker can pass
        anything on to this one.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / self._name).unlink(missing_ok=True)
            bind_private(self._socket, self._folder, self._name)
        except OSError as error:
            _log.error(
                "other workers cannot pass requests on to this one", worker=self._name, error=str(error)
            )

    def take(self, into: Take) -> None:
        """Wait a quarter of a second for one passed datagram."""
        try:
            raw = self._socket.recv(65535)
            passed = msgspec.msgpack.decode(raw, type=Passed)
        except (TimeoutError, msgspec.MsgspecError):
            return
        into(passed.datagram, (passed.host, passed.port))

    def pass_on(self, worker: str, datagram: bytes, source: tuple[str, int]) -> bool:
        """Whether the worker has it now."""
        raw = msgspec.msgpack.encode(Passed(source[0], source[1], datagram))
        try:
            with unix_address(self._folder, f"{worker}.sock") as address:
                self._out.sendto(raw, address)
        except OSError as error:
            _log.info("a conversation's worker cannot be reached", worker=worker, error=str(error))
            return False
        return True

    def close(self) -> None:
        """Give the sockets back; the name stays for whoever comes next."""
        self._socket.close()
        self._out.close()
