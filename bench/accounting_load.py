"""Accounting requests for a measurement: many sessions, each with its Start, interims and Stop, from many NASes."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from aaa.radius import packet as wire
from aaa.radius.digests import md5_of
from aaa.radius.packet import pair
from aaa.view.records import class_of
from bench.radius_load import Load, Request, nas_address, nas_secret
from bench.radius_ours import node
from core.settings import Settings

START, STOP, INTERIM = 1, 2, 3
EVERY = 30
"""Seconds between reports, as the NAS says: a run is short, and Acct-Session-Time must fit the moment of the Start."""
GIGA = 1 << 32


def node_of(home: Path, workers: int, nases: int, database_url: str) -> Settings:
    """A node with its snapshot and hardly any subscriber: accounting needs none."""
    return node(home, 10, workers, nases, database_url=database_url)


def body(nas: int, number: int, kind: int, step: int) -> bytes:
    """What a BNG says of session `number` at its `step`th report: 17 attributes, and the counters but in a Start."""
    told = (
        pair(40, struct.pack(">I", kind))
        + pair(44, b"%08x" % number)
        + pair(1, b"s%d@example.net" % number)
        + pair(4, socket.inet_aton(nas_address(nas)))
        + pair(5, struct.pack(">I", number))
        + pair(6, b"\0\0\0\2")
        + pair(7, b"\0\0\0\1")
        + pair(8, struct.pack(">I", 0x64400000 + number))
        + class_of(f"S-{number}", "bench")
        + pair(31, b"02:00:5e:%02x:%02x:%02x" % (number >> 16 & 255, number >> 8 & 255, number & 255))
        + pair(32, b"bng%d" % nas)
        + pair(61, b"\0\0\0\x0f")
        + pair(87, b"bond1.101")
        + pair(123, b"\x00\x38" + struct.pack(">I", 0x20010DB8) + struct.pack(">I", number << 8)[:3])
    )
    if kind == START:
        return told
    up, down = octets(number, step)
    counted = {42: up % GIGA, 43: down % GIGA, 46: step * EVERY, 47: up // 900, 48: down // 900}
    counted |= {52: up // GIGA, 53: down // GIGA}
    return told + b"".join(pair(key, struct.pack(">I", value)) for key, value in counted.items())


def octets(number: int, step: int) -> tuple[int, int]:
    """Up and down of a session at its `step`th report."""
    return step * (1000 + number), step * (GIGA // 3 + number)


def _reports(load: Load, kind: int) -> Iterator[Request]:
    """`load.seed` is the step; sessions come in order, each from its NAS."""
    for number in range(load.requests):
        nas = number % load.nases
        secret = nas_secret(nas)
        told = body(nas, number, kind, load.seed)
        identifier = number // load.nases & 255
        if load.signed:
            datagram = wire.request(wire.ACCOUNTING_REQUEST, identifier, secret, told)
        else:
            datagram = _unsigned(identifier, secret, told)
        yield Request(nas, datagram, wire.ACCOUNTING_RESPONSE)


def _unsigned(identifier: int, secret: bytes, told: bytes) -> bytes:
    """Without Message-Authenticator (RFC 2866 section 3 knows none)."""
    head = struct.pack(">BBH", wire.ACCOUNTING_REQUEST, identifier, 20 + len(told))
    return head + md5_of(head + bytes(16) + told + secret) + told


def starts(load: Load) -> Iterator[Request]:
    """Every session's Start."""
    return _reports(load, START)


def interims(load: Load) -> Iterator[Request]:
    """Every session's next Interim-Update."""
    return _reports(load, INTERIM)


def stops(load: Load) -> Iterator[Request]:
    """Every session's Stop."""
    return _reports(load, STOP)
