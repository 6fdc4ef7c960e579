"""The SSH connection of drivers: what is wrong is one sentence, on time, and nothing else is printed."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from drivers.contract import DeviceUnreachable, Target
from drivers.ssh import Connection, fingerprint


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[Target]:
    """A port that answers every connection in some way that is not SSH."""
    kept: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            kept.append(connection)
            answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        port = server.getsockname()[1]
        yield Target(
            device="core1", platform="virtual", host="127.0.0.1", port=port, host_key="x", timeout=0.5
        )
    for connection in kept:
        connection.close()


def not_ssh(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    connection.close()


def silence(connection: socket.socket) -> None:
    return


def half_a_greeting(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-Odd\r\n")


@pytest.mark.parametrize("answer", [not_ssh, silence, half_a_greeting])
def test_what_is_no_ssh_server_is_unreachable_in_time(answer, capfd):
    """A wrong port, a dead service, a greeting without more: retryable, within the target's time-out or little more."""
    with listening(answer) as target:
        began = time.monotonic()
        with pytest.raises(DeviceUnreachable, match="core1 at 127"):
            Connection(target)
        assert time.monotonic() - began < 5
    assert capfd.readouterr().err == ""


def test_a_fingerprint_is_written_as_openssh_writes_it():
    """SHA-256 in base64 without padding: 43 characters."""
    assert fingerprint(b"") == "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
