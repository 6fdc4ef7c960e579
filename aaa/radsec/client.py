"""Connector: keeps TLS connections to a home server, and comes back with patience when they break."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from aaa.errors import CertificateNotUsable
from aaa.proxy.lanes import Lane
from aaa.radsec.frames import FramingLost, read_packet
from aaa.radsec.tls import client_context
from aaa.radsec.trust import CA, Peer, stamp, trust_now

_FIRST, _MOST = 0.5, 30.0
_HANDSHAKE = 10.0
_LOOK = 1.0
_BUFFER = 1 << 20
_log = structlog.get_logger()


class Connector:
    """`home` holds the node's certificates. `connected(lane)`, `received(lane, octets)` (False: close it) and
    `lost(lane | None)` are called on the loop.
    """

    def __init__(
        self,
        host: str,
        port: int,
        home: Path | None,
        connected: Callable[[Lane], None],
        received: Callable[[Lane, bytes], bool],
        lost: Callable[[Lane | None], None],
    ) -> None:
        self._host, self._port, self._home = host, port, home
        self._connected, self._received, self._lost = connected, received, lost
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._making = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make the first connection and keep it."""
        self._loop = loop
        self._begin(keep=True)

    def more(self) -> None:
        """Another one, as every identifier of the others is under way; it ends with its first break."""
        if not self._making:
            self._begin(keep=False)

    def stop(self) -> None:
        """Close all."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, keep: bool) -> None:
        assert self._loop is not None
        task = self._loop.create_task(self._keep(keep))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, keep: bool) -> None:
        pause = _FIRST
        while True:
            if await self._serve():
                pause = _FIRST
            if not keep:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MOST)

    async def _serve(self) -> bool:
        """One connection from beginning to end; whether there was one."""
        self._making = True
        try:
            if self._home is None:
                raise CertificateNotUsable("radius/tls", "RadSec was not prepared")
            known = stamp(self._home)[CA]
            reader, writer = await self._open(self._home)
        except (OSError, TimeoutError, ssl.SSLError, CertificateNotUsable) as error:
            _log.warning("no RadSec connection", server=f"{self._host}:{self._port}", error=str(error))
            self._lost(None)
            return False
        finally:
            self._making = False
        lane = Lane(lambda octets: _write(writer, octets), writer.close)
        looking = asyncio.get_running_loop().create_task(self._look(self._home, writer, known))
        self._connected(lane)
        try:
            while (octets := await read_packet(reader)) is not None:
                if not self._received(lane, octets):
                    break
        except FramingLost:
            _log.warning("a RadSec server sent no RADIUS", server=f"{self._host}:{self._port}")
        finally:
            looking.cancel()
            writer.close()
            self._lost(lane)
        return True

    async def _open(self, home: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        made: Any = asyncio.open_connection(
            self._host, self._port, ssl=client_context(home), server_hostname=self._host, limit=1 << 16
        )
        return await asyncio.wait_for(made, _HANDSHAKE)

    async def _look(self, home: Path, writer: asyncio.StreamWriter, known: object) -> None:
        """End a connection whose server's certificate no longer counts; `known` is the stamp of the CAs that it did
        count for.
        """
        server = Peer.of(writer.get_extra_info("ssl_object"))
        while True:
            await asyncio.sleep(_LOOK)
            trust = None
            if (now := stamp(home)[CA]) != known:
                known, trust = now, trust_now(home)
            if server.is_over() or (trust is not None and not trust.holds(server.certificate)):
                _log.warning("a RadSec server is no longer trusted", server=f"{self._host}:{self._port}")
                writer.close()
                return


def _write(writer: asyncio.StreamWriter, octets: bytes) -> None:
    """A server that does not read must not fill our memory: what it does not take is as good as lost."""
    if writer.transport.get_write_buffer_size() < _BUFFER and not writer.is_closing():
        writer.write(octets)
