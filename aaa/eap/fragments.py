"""TLS messages in EAP packets (RFC 5216 section 2.1.5 and 3.1): flags, lengths, fragments, both ways and bounded."""

from aaa.radius.packet import Packet

START, MORE, LENGTH = 0x20, 0x40, 0x80
DEFAULT_MTU, SMALLEST_MTU = 1000, 128
LARGEST_MTU = 1200
"""With State and the rest a longer one would be an IP fragment on Ethernet, which firewalls love to drop."""
LARGEST_MESSAGE = 64 * 1024
"""A client's certificate chain fits many times over; more is no login."""
_FRAMED_MTU = 12
_HEAD = 10


class NotFragments(Exception):
    """What came is no TLS message in fragments, or too long for one."""


def mtu_of(packet: Packet) -> int:
    """How long our EAP packets may be for this NAS: its Framed-MTU, within reason."""
    value = packet.first(_FRAMED_MTU)
    told = int.from_bytes(value) if value is not None and len(value) == 4 else DEFAULT_MTU
    return max(SMALLEST_MTU, min(told, LARGEST_MTU))


class Outgoing:
    """What we send, piece after piece."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def waits(self) -> bool:
        """Whether the peer has not acknowledged everything yet."""
        return bool(self._rest)

    def begin(self, message: bytes, mtu: int) -> bytes:
        """The first piece's type data: with the whole length in front when there are more."""
        self._rest = message
        size = mtu - _HEAD
        if len(message) <= size:
            return self.next(mtu)
        piece, self._rest = message[:size], message[size:]
        return bytes((LENGTH | MORE,)) + len(message).to_bytes(4) + piece

    def next(self, mtu: int) -> bytes:
        """The next piece's type data."""
        size = mtu - _HEAD
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes((MORE if self._rest else 0,)) + piece


class Incoming:
    """What comes, put together."""

    def __init__(self) -> None:
        self._have = bytearray()

    def take(self, data: bytes) -> bytes | None:
        """The whole message when this was its last piece, else None: acknowledge. Raises NotFragments."""
        if not data:
            raise NotFragments("no flags")
        flags, at = data[0], 1
        if flags & LENGTH:
            at = 5
            if len(data) < at or int.from_bytes(data[1:5]) > LARGEST_MESSAGE:
                raise NotFragments("its length is damaged or too large")
        self._have += data[at:]
        if len(self._have) > LARGEST_MESSAGE:
            raise NotFragments("too long")
        if flags & MORE:
            return None
        whole = bytes(self._have)
        self._have.clear()
        return whole
