"""What an Access-Request asks, read off its attributes; the same for the fast and the slow codec."""

from collections.abc import Mapping, Sequence

import msgspec

from aaa.accounting.record import clean
from aaa.radius.option82 import names_of
from aaa.radius.packet import Packet, vendor_pairs
from aaa.view.records import is_remote

_MS_CHAP = {(311, 1), (311, 25)}
_PPP = b"\x00\x00\x00\x01"


class Asked(msgspec.Struct, frozen=True):
    """An Access-Request in our words. `circuits` name the line (aaa.radius.option82); `port` is NAS-Port-Id."""

    login: str
    hidden: bytes | None
    chap: bytes | None
    challenge: bytes
    ppp: bool
    calling: str
    circuits: tuple[bytes, ...]
    unusual: str
    port: bytes = b""

    @property
    def circuit(self) -> str:
        """The line's first name for people; "" for none."""
        first = self.circuits[0] if self.circuits else b""
        return clean(first[2:] if is_remote(first) else first)


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
    pairs = [pair for value in values for pair in vendor_pairs(value)]
    return names_of(pairs), "MS-CHAP" if any(pair[:2] in _MS_CHAP for pair in pairs) else ""
