"""Attribute values from text to octets and back (RFC 2865 section 5, RFC 2868 tags, RFC 3162 prefixes)."""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from aaa.errors import AttributeTooLong

MOST = 0xFFFFFFFF
"""The largest integer of an attribute (RFC 2865 section 5)."""
Type = Literal["text", "integer", "ipv4", "ipv6", "prefix6", "tagged-text", "tagged-integer"]


class Attribute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attribute of a dictionary. `plain` says that a vendor uses a number outside of its own space."""

    code: int
    type: Type
    plain: bool = False
    name: str = ""
    number: int = 0
    """The vendor's enterprise number; 0 for the RFCs' own attributes."""


def encode(attribute: Attribute, text: str, tag: int = 0) -> bytes:
    """The attribute on the wire, Vendor-Specific when it has a vendor. Raises AttributeTooLong."""
    value = _ENCODERS[attribute.type](text, tag)
    body = bytes((attribute.code, len(value) + 2)) + value if len(value) <= 253 else b"\0" * 300
    if attribute.number and not attribute.plain:
        body = b"\x1a" + bytes((min(len(body) + 6, 255),)) + attribute.number.to_bytes(4) + body
    if len(body) > 255:
        raise AttributeTooLong(attribute.name, len(value))
    return body


def decode(attribute: Attribute, value: bytes) -> str:
    """The value as text; octets that do not fit the type come as 0x…, never as an error."""
    try:
        return _DECODERS[attribute.type](value)
    except (ValueError, IndexError):
        return f"0x{value.hex()}"


def _tagged(text: str, tag: int) -> bytes:
    return bytes((tag,)) + text.encode()


def _prefix6(text: str, _tag: int) -> bytes:
    net = ipaddress.IPv6Network(text)
    return bytes((0, net.prefixlen)) + net.network_address.packed[: (net.prefixlen + 7) // 8]


def _prefix6_text(value: bytes) -> str:
    if not 2 <= len(value) <= 18 or value[1] > 128:
        raise ValueError("no prefix")
    address = ipaddress.IPv6Address(value[2:].ljust(16, b"\0"))
    return f"{address}/{value[1]}"


def _integer_text(value: bytes) -> str:
    if len(value) != 4:
        raise ValueError("no integer")
    return str(int.from_bytes(value))


_ENCODERS: Mapping[str, Callable[[str, int], bytes]] = {
    "text": lambda text, _tag: text.encode(),
    # Nearest to a rate above the field's 32 bits is the largest that fits: aaa.checks warns of such plans.
    "integer": lambda text, _tag: min(int(text), MOST).to_bytes(4),
    "ipv4": lambda text, _tag: ipaddress.IPv4Address(text).packed,
    "ipv6": lambda text, _tag: ipaddress.IPv6Address(text).packed,
    "prefix6": _prefix6,
    "tagged-text": _tagged,
    "tagged-integer": lambda text, tag: bytes((tag,)) + int(text).to_bytes(3),
}
_DECODERS: Mapping[str, Callable[[bytes], str]] = {
    "text": lambda value: value.decode(),
    "integer": _integer_text,
    "ipv4": lambda value: str(ipaddress.IPv4Address(value)),
    "ipv6": lambda value: str(ipaddress.IPv6Address(value)),
    "prefix6": _prefix6_text,
    "tagged-text": lambda value: f"{value[0]}:{value[1:].decode()}",
    "tagged-integer": lambda value: f"{value[0]}:{int.from_bytes(value[1:])}",
}
