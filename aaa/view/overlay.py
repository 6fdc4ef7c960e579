"""The overlay log: changes after the base, kept beside it so that a node restarts where it stopped.

Frames of (length u32, CRC-32 u32, msgpack of [seq, key, record|nil]); a torn tail is the end.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import msgspec

_FRAME = struct.Struct("<II")
Change = tuple[int, bytes, bytes | None]


def frame(payload: bytes) -> bytes:
    """One frame on disk."""
    return _FRAME.pack(len(payload), crc32(payload)) + payload


def frames(raw: bytes) -> Iterator[bytes]:
    """The whole payloads of a file; what follows a damaged one was never acknowledged by anyone."""
    at = 0
    while at + _FRAME.size <= len(raw):
        length, digest = _FRAME.unpack_from(raw, at)
        payload = raw[at + _FRAME.size : at + _FRAME.size + length]
        if len(payload) != length or crc32(payload) != digest:
            return
        yield payload
        at += _FRAME.size + length


def append(path: Path, changes: list[Change]) -> None:
    """Add changes to the log (mode 0600)."""
    path.touch(mode=0o600)
    with path.open("ab") as file:
        file.write(b"".join(frame(msgspec.msgpack.encode(change)) for change in changes))


def read(path: Path, after: int) -> list[Change]:
    """Changes with a sequence number above `after`; nothing for no file."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    decoder = msgspec.msgpack.Decoder(Change)
    return [change for change in map(decoder.decode, frames(raw)) if change[0] > after]
