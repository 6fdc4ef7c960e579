"""The slow path's codec: pyrad, for what the fast path has no words for, and as its differential witness.

pyrad's Packet is used, never its Server: that one has no duplicate cache and answers no Status-Server.
"""

from collections.abc import Iterable

from pyrad import packet as pyrad_packet
from pyrad.dictionary import Dictionary

from aaa.radius.packet import PROXY_STATE, VENDOR_SPECIFIC, Packet, read, vendor_pairs

_DICTIONARY = Dictionary()


def read_slowly(datagram: bytes, secret: bytes) -> Packet | None:
    """The same answer as `packet.read`, from pyrad's decoder; None for what it cannot decode."""
    framed = read(datagram)
    if framed is None:
        return None  # pyrad truncates some overrunning attributes silently: the frame is judged by us
    try:
        decoded = pyrad_packet.Packet(packet=framed.raw, secret=secret, dict=_DICTIONARY)
    except pyrad_packet.PacketError:
        return None
    pairs = [(key, value) for key, values in decoded.items() for value in values]
    return Packet(decoded.code, decoded.id, decoded.authenticator, _flat(pairs), framed.raw, framed.ma_at)


def _flat(pairs: Iterable[tuple[int | tuple[int, int], bytes]]) -> list[tuple[int, bytes]]:
    """Vendor attributes come from pyrad as ((vendor, type), value); we keep the wire's form."""
    flat = []
    for key, value in pairs:
        if isinstance(key, tuple):
            inner = bytes((key[1], len(value) + 2)) + value
            flat.append((VENDOR_SPECIFIC, key[0].to_bytes(4) + inner))
        else:
            flat.append((key, value))
    return flat


def reply_slowly(code: int, request: Packet, secret: bytes, block: bytes) -> bytes:
    """The same bytes as `packet.reply`, from pyrad's encoder."""
    answer = pyrad_packet.Packet(
        code=code, id=request.identifier, secret=secret, authenticator=request.authenticator, dict=_DICTIONARY
    )
    answer.add_message_authenticator()
    at = 0
    while at < len(block):
        kind, value = block[at], block[at + 2 : at + block[at + 1]]
        at += block[at + 1]
        inner = vendor_pairs(value) if kind == VENDOR_SPECIFIC else []
        if inner:
            for vendor, sub, octets in inner:
                answer.setdefault((vendor, sub), []).append(octets)
        else:
            answer.setdefault(kind, []).append(value)
    for value in request.all(PROXY_STATE):
        answer.setdefault(PROXY_STATE, []).append(value)
    return bytes(answer.ReplyPacket())
