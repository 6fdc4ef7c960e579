"""RadSecServer: NASes that come by TLS (RFC 6614), known by their certificate; access and accounting on one connection.

A stream that carries something wrong is closed: nobody can tell where its next packet begins (RFC 6613 section 2.6.4).
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from aaa.accounting.record import AccountingRecord
from aaa.errors import CertificateNotUsable
from aaa.proxy.thread import LoopThread
from aaa.radius import packet as wire
from aaa.radius.answers import Answers
from aaa.radius.deferred import Answer, Deferred, Pass, Respond
from aaa.radius.files import for_strangers
from aaa.radius.nases import NasEntry, NasTable
from aaa.radius.packet import Packet
from aaa.radsec.frames import FramingLost, read_packet
from aaa.radsec.tls import names_of, revoked, server_context
from aaa.radsec.trust import CA, Peer, Trust, stamp, trust_now
from aaa.view.records import radsec_source

_CONNECTIONS = 4000
_UNDER_WAY = 256  # one identifier space
_IDLE = 600.0
_HANDSHAKE = 10.0
_HANDSHAKES, _FROM_ONE = 1000, 64
_BREATH = 0.2
_UNREAD = 1 << 20
_LOOK = 1.0
_VERIFIED = 20
_log = structlog.get_logger()


Later = Callable[[Deferred | tuple[AccountingRecord, Answer], Respond], None]
"""Takes over what is answered later: by a handler, or when an accounting record is durable."""


class RadSecServer:
    """Serves one listening socket on a thread of its own."""

    def __init__(
        self,
        home: Path,
        listener: socket.socket,
        answers: Answers,
        nases: NasTable,
        later: Later,
        reject_delay: float,
    ) -> None:
        self._files = stamp(home)  # before anything is read
        self._home, self._listener, self._context = home, listener, server_context(home)
        self._answers, self._nases, self._later = answers, nases, later
        self._reject_delay = reject_delay
        self._thread = LoopThread("radsec")
        self._revoked, self._trust = revoked(home), Trust(home)
        self._live: dict[asyncio.StreamWriter, Peer] = {}
        self._handshakes: Counter[str] = Counter()
        self._shaking: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """How many NASes are connected."""
        return len(self._live)

    def start(self) -> None:
        """Accept connections."""
        self._thread.run(self._listen())

    def stop(self) -> None:
        """Close them all."""
        self._thread.stop()

    async def _listen(self) -> None:
        self._listener.setblocking(False)
        loop = asyncio.get_running_loop()
        self._accepting = loop.create_task(self._accept())
        self._renewal = loop.create_task(self._renew())

    async def _accept(self) -> None:
        """Strangers may connect as often as they like: who has not shown a certificate yet is few, all together and
        from one address, so that they take neither our descriptors nor the turns of our NASes.
        """
        loop, under_way, most = asyncio.get_running_loop(), self._handshakes, for_strangers(_HANDSHAKES)
        while True:
            try:
                port, address = await loop.sock_accept(self._listener)
            except OSError:  # no descriptor is left: some are given back soon
                await asyncio.sleep(_BREATH)
                continue
            host = str(address[0])
            if under_way.total() >= most or under_way[host] >= _FROM_ONE:
                self._answers.dropped["radsec-crowd"] += 1
                port.close()
                continue
            under_way[host] += 1
            task = loop.create_task(self._shake_hands(port, host))
            self._shaking.add(task)
            task.add_done_callback(self._shaking.discard)

    async def _shake_hands(self, port: socket.socket, host: str) -> None:
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=1 << 16), self._serve)
        try:
            await loop.connect_accepted_socket(
                lambda: protocol, port, ssl=self._context, ssl_handshake_timeout=_HANDSHAKE
            )
        except (OSError, ssl.SSLError, TimeoutError):
            port.close()
        finally:
            self._handshakes[host] -= 1
            if not self._handshakes[host]:
                del self._handshakes[host]

    async def _renew(self) -> None:
        """New certificates are shown to whoever connects from then on, and new CAs asked of them; who is revoked, ends,
        or is of a CA that is no longer there is cut off.
        """
        while True:
            await asyncio.sleep(_LOOK)
            if (now := stamp(self._home)) != self._files:
                other_authorities = now[CA] != self._files[CA]
                self._files = now
                self._take_over()
                self._look_who_is_revoked()
                if other_authorities:
                    await self._look_who_is_trusted()
            self._cut_off(Peer.is_over)

    def _take_over(self) -> None:
        """A context of its own for the new files: one that is in use forgets no CA."""
        try:
            self._context = server_context(self._home)
        except CertificateNotUsable as error:
            _log.error("RadSec goes on with the certificates that it has", why=str(error))
            return
        self._trust = trust_now(self._home) or self._trust
        _log.info("RadSec certificates are taken over")

    def _look_who_is_revoked(self) -> None:
        """A list that is damaged, or half copied, gives nobody's certificate back: the one before it counts."""
        try:
            self._revoked = revoked(self._home)
        except CertificateNotUsable as error:
            _log.error("who was revoked stays revoked, and nobody else is", why=str(error))
        self._cut_off(lambda peer: peer.serial in self._revoked)

    async def _look_who_is_trusted(self) -> None:
        """A few at a time: thousands of signatures would keep everybody waiting."""
        peers = set(self._live.values())
        gone = set()
        for number, peer in enumerate(peers):
            if not self._trust.holds(peer.certificate):
                gone.add(peer)
            if number % _VERIFIED == 0:
                await asyncio.sleep(0)
        self._cut_off(gone.__contains__)

    def _cut_off(self, whom: Callable[[Peer], bool]) -> None:
        for writer in [writer for writer, peer in self._live.items() if whom(peer)]:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.connections >= _CONNECTIONS:
            writer.close()
            return
        self._live[writer] = Peer.of(writer.get_extra_info("ssl_object"))
        try:
            await self._known(reader, writer)
        except (FramingLost, TimeoutError):
            self._answers.dropped["radsec-closed"] += 1
        finally:
            del self._live[writer]
            writer.close()

    async def _known(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names = names_of(writer.get_extra_info("ssl_object"))
        peer = self._live[writer]
        if peer.serial in self._revoked:
            self._answers.dropped["revoked-certificate"] += 1
            return
        begun = writer.get_extra_info("sslcontext") is not self._context  # before the files changed
        if begun and not self._trust.holds(peer.certificate):
            self._answers.dropped["radsec-closed"] += 1
            return
        source = next((found for name in names if self._nases.at(found := radsec_source(name))), "")
        if not source:
            self._answers.dropped["unknown-nas"] += 1
            _log.warning("a RadSec peer is no NAS that we know", names=names[:4])
            return
        turns = asyncio.Semaphore(_UNDER_WAY)
        while (octets := await asyncio.wait_for(read_packet(reader), _IDLE)) is not None:
            await turns.acquire()
            self._take(octets, source, self._respond(writer, turns))

    def _take(self, octets: bytes, source: str, respond: Respond) -> None:
        packet, nas = wire.read(octets), self._nases.at(source)
        if packet is None or nas is None or not _is_signed(packet, nas):
            raise FramingLost
        if packet.code == wire.ACCOUNTING_REQUEST:
            self._account(octets, source, respond)
            return
        answer = self._answers.access(octets, source)
        if isinstance(answer, Deferred):
            self._later(answer, respond)
        else:
            respond(answer)

    def _account(self, octets: bytes, source: str, respond: Respond) -> None:
        record, answer = self._answers.accounting(octets, source) or (None, None)
        if record is None or answer is None:
            respond(answer)
        else:
            self._later((record, answer), respond)

    def _respond(self, writer: asyncio.StreamWriter, turns: asyncio.Semaphore) -> Respond:
        """What answers one request of a connection, from any thread."""

        def respond(answer: Answer | Pass | None) -> None:
            # A connection stays with its worker: a conversation of another one's was begun elsewhere.
            told = answer.otherwise if isinstance(answer, Pass) else answer
            self._thread.call(self._settle, told, writer, turns)

        return respond

    def _settle(self, answer: Answer | None, writer: asyncio.StreamWriter, turns: asyncio.Semaphore) -> None:
        turns.release()
        if answer is None:
            return
        delay = self._reject_delay if answer.delayed else 0.0
        self._thread.loop.call_later(delay, _write, writer, answer.reply)


def radsec_server(
    home: Path,
    listener: socket.socket | None,
    answers: Answers,
    nases: NasTable,
    later: Later,
    reject_delay: float,
) -> RadSecServer | None:
    """A worker's server; None without a socket, or with certificates that cannot be used: everything else goes on."""
    if listener is None:
        return None
    try:
        return RadSecServer(home, listener, answers, nases, later, reject_delay)
    except CertificateNotUsable as error:
        _log.error("no RadSec", why=str(error))
        return None


def _is_signed(packet: Packet, nas: NasEntry) -> bool:
    """Whether what is signed in it is signed right; a password is hidden under the same secret."""
    if packet.code == wire.ACCOUNTING_REQUEST:
        vector: bytes | None = bytes(16)
        if not any(wire.request_authenticator_is_right(packet, secret) for secret in nas.secrets):
            return False
    else:
        vector = None
    return packet.ma_at == 0 or any(
        wire.message_authenticator_is_right(packet, secret, vector) for secret in nas.secrets
    )


def _write(writer: asyncio.StreamWriter, reply: bytes) -> None:
    """A peer that does not read what it asked for is cut off: it must not fill our memory."""
    transport: Any = writer.transport
    if transport.is_closing():
        return
    if transport.get_write_buffer_size() > _UNREAD:
        transport.abort()
        return
    writer.write(reply)
