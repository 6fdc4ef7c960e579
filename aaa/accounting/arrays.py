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
_MICROSECOND = timedelta(microseconds=1)
_NULL = b"\xff\xff\xff\xff"
_FIXED = {BOOL: "i?", INT8: "iq", INT4: "ii"}
_SIZE = {BOOL: 1, INT8: 8, INT4: 4}


def array(kind: int, values: Sequence[Any]) -> bytes:
    """A one-dimensional array of `kind`; None is NULL. Shapes: bool, bytes, int, str, date, aware datetime."""
    if not values:
        return struct.pack(">iii", 0, 0, kind)
    has_null = None in values
    head = struct.pack(">iiiii", 1, has_null, kind, len(values), 1)
    if kind in _FIXED and not has_null:
        size = _SIZE[kind]
        flat = [part for value in values for part in (size, value)]
        return head + struct.pack(">" + _FIXED[kind] * len(values), *flat)
    encode = _ENCODE[kind]
    parts = [head]
    for value in values:
        if value is None:
            parts.append(_NULL)
        else:
            octets = encode(value)
            parts.append(len(octets).to_bytes(4))
            parts.append(octets)
    return b"".join(parts)


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
