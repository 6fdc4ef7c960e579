"""A TCP port on the host's loopback that leads into a namespace: the console of a lab, seen from outside."""

import socket
import threading
from contextlib import suppress

from cli.lab import namespaces

_CHUNK = 65536


class Forward:
    """Listens where it is made (the host's loopback) and connects to `port` on the loopback of `namespace`.

    `port_here` is the port that it got. Threads end with the process, or with `close`.
    """

    def __init__(self, namespace: str, port: int, port_here: int = 0) -> None:
        self._namespace, self._port = namespace, port
        self._listener = socket.create_server(("127.0.0.1", port_here))
        self.port_here: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        namespaces.enter(self._namespace)  # this thread only; the listener stays where it was made
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(here,), daemon=True).start()

    def _connect(self, here: socket.socket) -> None:
        try:
            there = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        except OSError:
            here.close()
            return
        there.settimeout(None)
        threading.Thread(target=_pump, args=(there, here), daemon=True).start()
        _pump(here, there)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the end, then say so to the other side."""
    with suppress(OSError):
        while octets := source.recv(_CHUNK):
            sink.sendall(octets)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
