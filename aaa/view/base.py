"""The base file: every record, sorted by key, mapped read-only and shared by all workers; also the snapshot.

Layout, little-endian: magic, layout, generation, seq, count, slots, CRC-32 of all that follows · entries (key length
u16, record length u32, key, record), sorted by key · a table of u64 slots (offset of an entry, 0 = empty), open
addressing by CRC-32.
"""

import mmap
import os
import struct
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from zlib import crc32

from aaa.errors import ViewFileNotUsable
from aaa.view.records import LAYOUT

_MAGIC = b"TLVIEW\0\0"
_HEAD = struct.Struct("<8sI40sQQQQQ")
_PIECE = 1 << 20
_ENTRY = struct.Struct("<HI")
_ENTRY_SIZE, _unpack_entry = _ENTRY.size, _ENTRY.unpack_from


def write_base(path: Path, records: Iterable[tuple[bytes, bytes]], seq: int, generation: str = "") -> int:
    """Write the file anew (mode 0600, replaced in one step) and return the count.

    `records` are (key, record), sorted by key, each key once. `seq` is the view sequence that they stand for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(bytes(_HEAD.size))
        whole = 0
        digests, offsets = array("I"), array("Q")  # a list of a million pairs would be a hundred megabytes
        at = _HEAD.size
        for key, record in records:
            entry = _ENTRY.pack(len(key), len(record)) + key + record
            whole = crc32(entry, whole)
            file.write(entry)
            digests.append(crc32(key))
            offsets.append(at)
            at += _ENTRY.size + len(key) + len(record)
        file.write(bytes(-at % 8))
        table = _slots(digests, offsets)
        file.write(table)
        whole = crc32(table, crc32(bytes(-at % 8), whole))
        file.seek(0)
        size = len(table) // 8
        end = at + -at % 8
        file.write(_HEAD.pack(_MAGIC, LAYOUT, generation.encode(), seq, len(offsets), size, end, whole))
        file.flush()
        os.fdatasync(file.fileno())
    partial.replace(path)
    return len(offsets)


def _slots(digests: Sequence[int], offsets: Sequence[int]) -> bytes:
    size = 1 << max(3, (len(offsets) * 3 // 2).bit_length())
    table = memoryview(bytearray(size * 8)).cast("Q")
    for digest, at in zip(digests, offsets, strict=True):
        slot = digest & (size - 1)
        while table[slot]:
            slot = (slot + 1) & (size - 1)
        table[slot] = at
    return table.tobytes()


def _checksum(path: Path) -> int:
    """Read, not mapped: what is mapped counts as a worker's memory."""
    found = 0
    with path.open("rb") as file:
        file.seek(_HEAD.size)
        while piece := file.read(_PIECE):
            found = crc32(piece, found)
    return found


class Base:
    """The mapped file. `get(key)` costs one hash, one or two probes and one slice."""

    def __init__(self, path: Path, *, prove: bool = False) -> None:
        """`prove`: read all of it first, a tenth of a second for half a million subscribers. Raises ViewFileNotUsable,
        FileNotFoundError.
        """
        with path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                head = _HEAD.unpack_from(self._map)
            except (ValueError, struct.error) as error:
                raise ViewFileNotUsable(str(path), str(error)) from error
        magic, layout, generation, self.seq, self.count, size, self._end, whole = head
        if magic != _MAGIC or layout != LAYOUT or self._end + size * 8 != len(self._map):
            raise ViewFileNotUsable(str(path), "its header or size is wrong")
        if prove and _checksum(path) != whole:
            raise ViewFileNotUsable(str(path), "its content is damaged")
        self.generation = generation.rstrip(b"\0").decode()
        self._mask = size - 1
        self._table = memoryview(self._map)[self._end :].cast("Q")

    def get(self, key: bytes) -> bytes | None:
        """The record behind a key."""
        octets, table, mask = self._map, self._table, self._mask
        slot = crc32(key) & mask
        while at := table[slot]:
            key_length, length = _unpack_entry(octets, at)
            at += _ENTRY_SIZE
            middle = at + key_length
            if octets[at:middle] == key:
                return octets[middle : middle + length]
            slot = (slot + 1) & mask
        return None

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every (key, record), sorted by key."""
        at = _HEAD.size
        for _ in range(self.count):
            key, record = self._entry(at)
            yield key, record
            at += _ENTRY.size + len(key) + len(record)

    def __enter__(self) -> "Base":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Unmap."""
        self._table.release()
        self._map.close()

    def _entry(self, at: int) -> tuple[bytes, bytes]:
        key_length, length = _ENTRY.unpack_from(self._map, at)
        start = at + _ENTRY.size
        middle = start + key_length
        return self._map[start:middle], self._map[middle : middle + length]
