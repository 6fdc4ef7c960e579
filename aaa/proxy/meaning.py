"""What a reply means, whatever words it uses: speeds, pools, addresses, filters. Pure; for comparing two servers."""

import re
from collections.abc import Iterable, Iterator

from aaa.proxy.filters import group_of
from aaa.radius import packet as wire
from aaa.radius.packet import pair, vendor_pairs
from aaa.vendors.registry import text_of
from aaa.vendors.speeds import speeds

Meaning = dict[str, frozenset[str]]
"""Aspect -> what is said of it: rate, pool, address, prefix, filter, vrf, time, admin, other."""

_NAS_CHOOSES = {b"\xff\xff\xff\xfe", b"\xff\xff\xff\xff"}  # RFC 2865 section 5.8
# Service-Type, Framed-Protocol, netmask, MTU, compression, Reply-Message, State, Class, Proxy-State, EAP, MA; and
# Acct-Interim-Interval: how often a NAS reports is nothing that the subscriber gets.
_SAYS_NOTHING = {6, 7, 9, 12, 13, 18, 24, 25, 33, 79, 80, 85}
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_RATE = re.compile(r"([0-9]+)([kKmMgG]?)")
# What says a speed in words of the operator's own: Alc-Subsc-Prof-Str, Alc-SLA-Prof-Str, Alc-Subscriber-QoS-Override,
# ERX-Cos-Shaping-Rate.
_RATES = {(6527, 12), (6527, 13), (6527, 126), (4874, 177)}
_NOKIA = re.compile(rb"([ie]):(?:[pq]:[0-9]+|r):(?:pir|rate)=([0-9]{1,12})")
_ADDRESSES = {8: "address", 168: "address", 97: "prefix", 123: "prefix"}
_MICROSOFT = 311


def meaning(pairs: Iterable[tuple[int, bytes]]) -> Meaning:
    """The meaning of a reply's attributes."""
    found: dict[str, set[str]] = {}
    for kind, value in pairs:
        for aspect, text in _said(kind, value):
            found.setdefault(aspect, set()).add(text)
    return {aspect: frozenset(texts) for aspect, texts in found.items()}


def _said(kind: int, value: bytes) -> Iterator[tuple[str, str]]:
    if kind == wire.VENDOR_SPECIFIC:
        yield from _vendor(value)
    elif kind in _SAYS_NOTHING or (kind == 8 and value in _NAS_CHOOSES):
        return
    elif kind in _ADDRESSES:
        yield _ADDRESSES[kind], text_of(pair(kind, value))[0]
    elif (told := speeds(0, kind, value)) is not None:
        yield from _rates(told)
    elif kind in (27, 28):
        yield "time", text_of(pair(kind, value))[0]
    else:
        yield group_of(kind, value) or "other", text_of(pair(kind, value))[0]


def _vendor(value: bytes) -> Iterator[tuple[str, str]]:
    inner = vendor_pairs(value)
    if not inner:
        yield "other", f"Vendor-Specific = 0x{value.hex()}"
    for vendor, kind, octets in inner:
        whole = vendor.to_bytes(4) + pair(kind, octets)
        if vendor == _MICROSOFT:
            continue
        if (vendor, kind) == (14988, 8):
            yield from _mikrotik(octets.decode("utf-8", "replace"))
        elif (told := speeds(vendor, kind, octets)) is not None:
            yield from _rates(told)
        elif (vendor, kind) == (6527, 126) and (found := _NOKIA.fullmatch(octets)):
            yield from _rates([("up" if found[1] == b"i" else "down", int(found[2]) * 1000)])
        else:
            yield _group(vendor, kind, whole, octets), text_of(pair(wire.VENDOR_SPECIFIC, whole))[0]


def _rates(told: Iterable[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    return (("rate", f"{way} {number}") for way, number in told)


def _group(vendor: int, kind: int, whole: bytes, octets: bytes) -> str:
    if (vendor, kind) in _RATES or octets.startswith(b"ip:sub-qos-policy"):
        return "rate"
    return group_of(wire.VENDOR_SPECIFIC, whole) or "other"


def _mikrotik(text: str) -> Iterator[tuple[str, str]]:
    """RouterOS: `rx/tx burst…`, rx is the subscriber's upload; one number is both."""
    first, _blank, burst = text.strip().partition(" ")
    up, _slash, down = first.partition("/")
    yield "rate", f"down {_speed(down or up)}"
    yield "rate", f"up {_speed(up)}"
    if burst.strip():
        yield "rate", f"burst {burst.strip()}"


def _speed(text: str) -> str:
    found = _RATE.fullmatch(text)
    return str(int(found[1]) * _UNITS[found[2].lower()]) if found else text
