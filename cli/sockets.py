"""Binding a listening socket with a clear word when the port is taken."""

import socket

from core.errors import Terminal


class PortTaken(Terminal):
    """Somebody else listens there."""

    def __init__(self, host: str, port: int, why: str) -> None:
        super().__init__(
            f"{host} port {port} cannot be listened on: {why}; set TRUNKLINE_API_PORT to another"
        )


def listening(host: str, port: int) -> socket.socket:
    """A TCP socket that listens on host and port (0: any free one). Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise PortTaken(host, port, error.strerror or str(error)) from error
    made.listen(128)
    return made
