"""The attributes that give an address, in a vendor's words, for a few hundred nanoseconds each."""

import ipaddress
import socket
from functools import cache

from aaa.vendors.policy import Policy
from aaa.vendors.registry import reply_block

_ASPECT = {"ipv4": "address4", "wan6": "wan6", "pd": "pd"}
_SAMPLE4, _SAMPLE6 = "198.18.87.165", "2001:db8:5aa5:a55a:5aa5:a55a:5aa5:a55a"


def attributes(vendor: str, family: str, value: str) -> bytes:
    """Framed-IP-Address and its like with this address or prefix, as the vendor's table says."""
    length = int(value.rpartition("/")[2]) if family != "ipv4" else 32
    head, tail = _template(vendor, family, length)
    if head is None:
        return _block(vendor, family, value)
    return head + _octets(family, value, length) + tail


@cache
def _template(vendor: str, family: str, length: int) -> tuple[bytes | None, bytes]:
    """What stands before and after the address; None where the vendor spells it as text."""
    sample = _SAMPLE4
    if family != "ipv4":
        sample = str(ipaddress.IPv6Network(f"{_SAMPLE6}/{length}", strict=False))
    parts = _block(vendor, family, sample).split(_octets(family, sample, length))
    return (parts[0], parts[1]) if len(parts) == 2 else (None, b"")


def _octets(family: str, value: str, length: int) -> bytes:
    if family == "ipv4":
        return socket.inet_aton(value)
    return socket.inet_pton(socket.AF_INET6, value.partition("/")[0])[: (length + 7) // 8]


def _block(vendor: str, family: str, value: str) -> bytes:
    return reply_block(vendor, Policy(interim=0, **{_ASPECT[family]: value}))  # type: ignore[arg-type]
