"""Echo requests from a namespace to many addresses at once (RFC 792, RFC 4443); needs root."""

import os
import select
import socket
import struct
import time

from cli.lab import namespaces

_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}


def reached(namespace: str, source: str, targets: list[str], wait: float = 1.0) -> set[str]:
    """Which of `targets` (one address family) answer an echo request from `source` within `wait` seconds."""
    version = 6 if ":" in source else 4
    with namespaces.inside(namespace), _socket(version) as sock:
        sock.bind((source, 0))
        for sequence, target in enumerate(targets):
            _send(sock, version, sequence, target)
        return _collect(sock, version, set(targets), time.monotonic() + wait)


def _socket(version: int) -> socket.socket:
    if version == 6:
        return socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    return socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def _send(sock: socket.socket, version: int, sequence: int, target: str) -> None:
    head = struct.pack("!BBHHH", _REQUEST[version], 0, 0, os.getpid() & 0xFFFF, sequence)
    if version == 4:  # the kernel fills in ICMPv6 checksums, not those of ICMP
        head = head[:2] + struct.pack("!H", checksum(head)) + head[4:]
    try:
        sock.sendto(head, (target, 0))
    except OSError:
        return  # no route: not reached


def _collect(sock: socket.socket, version: int, missing: set[str], deadline: float) -> set[str]:
    found: set[str] = set()
    while missing - found and (left := deadline - time.monotonic()) > 0:
        if not select.select([sock], [], [], left)[0]:
            break
        packet, sender = sock.recvfrom(2048)
        kind = packet[(packet[0] & 15) * 4] if version == 4 else packet[0]
        if kind == _REPLY[version] and sender[0] in missing:
            found.add(sender[0])
    return found


def checksum(octets: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = octets + b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
