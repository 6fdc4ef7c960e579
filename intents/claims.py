"""Spelling of claims: fixed-width text whose order is that of the values."""

import functools
import ipaddress
from collections.abc import Iterator

from intents.kind import Claim, Field
from intents.scalars import VlanSet


def exactly(scope: str, value: str, field: Field) -> Claim:
    """A claim of one value."""
    return Claim(scope, value, value, field)


def prefix(scope: str, network: str, field: Field) -> Claim:
    """A claim of a network, or of the network of an address with its length; the scope gets the family, 4 or 6."""
    parsed = ipaddress.ip_interface(network).network
    low, high = (
        _hex(int(parsed.network_address), parsed.version),
        _hex(int(parsed.broadcast_address), parsed.version),
    )
    return Claim(f"{scope}{parsed.version}", low, high, field)


def address(scope: str, value: str, field: Field) -> Claim:
    """A claim of one address; a length after it is ignored."""
    parsed = ipaddress.ip_interface(value).ip
    spelled = _hex(int(parsed), parsed.version)
    return Claim(f"{scope}{parsed.version}", spelled, spelled, field)


@functools.lru_cache(maxsize=65536)
def _span(network: str) -> tuple[int, str, str]:
    """Parsing a prefix is slow, and every check asks for the same ones again."""
    parsed = ipaddress.ip_interface(network).network
    version = parsed.version
    return version, _hex(int(parsed.network_address), version), _hex(int(parsed.broadcast_address), version)


def _hex(number: int, version: int) -> str:
    return f"{number:08x}" if version == 4 else f"{number:032x}"


def vlan(scope: str, svlan: int | None, cvlan: int | None, field: Field) -> Claim:
    """A claim of an S-VLAN (all its C-VLANs), of one C-VLAN in it, or of the untagged port (0)."""
    outer = svlan or 0
    if cvlan is not None:
        return exactly(scope, f"{outer:04d}.{cvlan:04d}", field)
    return Claim(scope, f"{outer:04d}.0000", f"{outer:04d}.9999", field)


def vlans(scope: str, span: VlanSet | None, field: Field) -> Iterator[Claim]:
    """Claims of S-VLAN ranges; None claims the whole port."""
    for low, high in span if span is not None else ((0, 9999),):
        yield Claim(scope, f"{low:04d}.0000", f"{high:04d}.9999", field)
