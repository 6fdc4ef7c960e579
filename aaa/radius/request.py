"""What an Access-Request asks, read off its attributes; the same for the fast and the slow codec."""

from collections.abc import Mapping, Sequence

import msgspec

from aaa.accounting.record import clean
from aaa.radius.packet import Packet, vendor_pairs

_ADSL_FORUM, _CISCO, _MICROSOFT = 3561, 9, 311
_PPP = b"\x00\x00\x00\x01"


class Asked(msgspec.Struct, frozen=True):
    """An Access-Request in our words. `circuits` are the circuit-id as sent and without an option-82 header; `port` is
    NAS-Port-Id.
    """

    login: str
    hidden: bytes | None
    chap: bytes | None
    challenge: bytes
    ppp: bool
    calling: str
    circuits: tuple[bytes, ...]
    unusual: str
    port: bytes = b""


def read_request(packet: Packet) -> Asked:
    """Read off what authentication needs; the first of a repeated attribute counts."""
    return asked_of(dict(reversed(packet.pairs)), packet.all(26), packet.authenticator)


def asked_of(found: Mapping[int, bytes], vendor: Sequence[bytes], authenticator: bytes) -> Asked:
    """The same from the first value of each attribute, and every value of Vendor-Specific."""
    get = found.get
    circuits, methods = _vendor(vendor) if vendor else ((), "")
    if 79 in found:
        methods = "EAP"
    elif 24 in found and not methods:
        methods = "State"
    return Asked(
        clean(get(1)),
        get(2),
        get(3),
        get(60) or authenticator,
        get(7) == _PPP,
        clean(get(31)),
        circuits,
        methods,
        get(87, b""),
    )


def _vendor(values: Sequence[bytes]) -> tuple[tuple[bytes, ...], str]:
    circuits: list[bytes] = []
    method = ""
    for value in values:
        for vendor, kind, inner in vendor_pairs(value):
            if vendor == _ADSL_FORUM and kind == 1:
                circuits += _forms(inner)
            elif vendor == _CISCO and kind == 1 and inner.startswith(b"circuit-id-tag="):
                circuits += _forms(inner[15:])
            elif vendor == _MICROSOFT and kind in (1, 25):
                method = "MS-CHAP"
    return tuple(dict.fromkeys(circuits)), method


def _forms(value: bytes) -> list[bytes]:
    """Some NASes pass the whole option-82 sub-option (RFC 3046: type 1, length, octets), most only its octets."""
    whole = len(value) > 2 and value[0] == 1 and value[1] == len(value) - 2
    return [value, value[2:]] if whole else [value]
