"""PostgreSQL's binary arrays, made at once for a whole column (array_send, timestamptz_send, date_send).

psycopg dumps an array element by element in Python: for a batch of a thousand records that was half of its cost.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

BOOL, BYTEA, INT8, INT4, TEXT, DATE, MOMENT = 16, 17, 20, 23, 25, 1082, 1184
"""Type oids of pg_type."""
ARRAY_OF = {BOOL: 1000, BYTEA: 1001, INT8: 1016, INT4: 1007, TEXT: 1009, DATE: 1182, MOMENT: 1185}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(2000, 1, 1)
_EPOCH_SECONDS = int(_EPOCH.timestamp())
_MICROSECOND = timedelta(microseconds=1)
_NULL = b"\xff\xff\xff\xff"
_FIXED = {BOOL: "i?", INT8: "iq", INT4: "ii"}
_SIZE = {BOOL: 1, INT8: 8, INT4: 4}


EMPTY, FALSE, TRUE = bytes(4), b"\0\0\0\1\0", b"\0\0\0\1\1"
"""Cells of an empty text and of the two flags."""


def cell(octets: bytes) -> bytes:
    """An element of an array, by its octets in binary format."""
    return len(octets).to_bytes(4) + octets


def moment_cell(seconds: float) -> bytes:
    """A moment since 1970, rounded to microseconds like `datetime.fromtimestamp`."""
    return cell(_microseconds(seconds).to_bytes(8, signed=True))


def column(kind: int, cells: Sequence[bytes]) -> bytes:
    """An array of these cells, none of them NULL."""
    return struct.pack(">iiiii", 1, 0, kind, len(cells), 1) + b"".join(cells)


def array(kind: int, values: Sequence[Any]) -> bytes:
    """A one-dimensional array of `kind`; None is NULL. Shapes: bool, bytes, int, str, date, aware datetime."""
    if not values:
        return struct.pack(">iii", 0, 0, kind)
    has_null = None in values
    head = struct.pack(">iiiii", 1, has_null, kind, len(values), 1)
    if kind in _FIXED and not has_null:
        return _fixed(kind, _FIXED[kind], _SIZE[kind], values)
    encode = _ENCODE[kind]
    cells: dict[Any, bytes] = {None: _NULL}
    for value in set(values):  # most columns have few values
        if value is not None:
            cells[value] = cell(encode(value))
    return head + b"".join([cells[value] for value in values])


def _fixed(kind: int, cell: str, size: int, values: Sequence[int]) -> bytes:
    flat = [part for value in values for part in (size, value)]
    return struct.pack(f">iiiii{cell * len(values)}", 1, 0, kind, len(values), 1, *flat)


def _microseconds(moment: float) -> int:
    whole = int(moment)
    return (whole - _EPOCH_SECONDS) * 1_000_000 + round((moment - whole) * 1e6)


def _moment(value: datetime) -> bytes:
    return ((value - _EPOCH) // _MICROSECOND).to_bytes(8, signed=True)


_ENCODE: dict[int, Callable[[Any], bytes]] = {
    TEXT: str.encode,
    BYTEA: bytes,
    MOMENT: _moment,
    DATE: lambda day: (day - _FIRST_DAY).days.to_bytes(4, signed=True),
    BOOL: lambda flag: b"\x01" if flag else b"\x00",
    INT8: lambda number: number.to_bytes(8, signed=True),
    INT4: lambda number: number.to_bytes(4, signed=True),
}
