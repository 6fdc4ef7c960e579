"""RADIUS packets in a stream (RFC 6613 section 2.6.4): the length is all that separates them."""

import asyncio

from aaa.radius.packet import MAX_LENGTH


class FramingLost(Exception):
    """The stream holds no packet where one should begin: nothing after it can be trusted."""


async def read_packet(reader: asyncio.StreamReader) -> bytes | None:
    """The next packet's octets; None at the stream's end. Raises FramingLost; never holds more than one packet."""
    try:
        head = await reader.readexactly(4)
    except (asyncio.IncompleteReadError, ConnectionError, OSError):
        return None
    length = head[2] << 8 | head[3]
    if not 20 <= length <= MAX_LENGTH:
        raise FramingLost
    try:
        return head + await reader.readexactly(length - 4)
    except (asyncio.IncompleteReadError, ConnectionError, OSError):
        return None
