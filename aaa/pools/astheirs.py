"""Addresses for comparing our decision with another server's reply: nothing is given, and nothing is kept."""

import ipaddress

from aaa.accounting.record import prefix_of
from aaa.pools.words import attributes
from aaa.radius.packet import Packet
from aaa.view.lookup import View
from aaa.view.pools import PoolRecord, pool_key
from aaa.view.records import decode

_FRAMED_ADDRESS, _FRAMED_PREFIX, _DELEGATED_PREFIX = 8, 97, 123


class AsTheirs:
    """Stands in for a Giver: of each family the other server's address, where our pool might have given it; else one of
    the pool's, so that it differs.
    """

    def __init__(self, view: View, theirs: Packet) -> None:
        self._view, self._theirs = view, theirs

    def give(self, pools: tuple[str, ...], _service: str, _place: bytes, vendor: str) -> bytes | None:
        """As `aaa.radius.authenticate.Addresses`; never None where there is such a pool."""
        found: dict[str, str] = {}
        for record in (decode(self._view.lookup(pool_key(one)), PoolRecord) for one in pools):
            if record is not None and record.prefixes and record.family not in found:
                found[record.family] = self._value(record)
        return (
            b"".join(attributes(vendor, family, value) for family, value in found.items()) if found else None
        )

    def _value(self, record: PoolRecord) -> str:
        first = self._theirs.first
        if record.family == "ipv4":
            octets = first(_FRAMED_ADDRESS)
            theirs = str(ipaddress.IPv4Address(octets)) if octets is not None and len(octets) == 4 else ""
        else:
            theirs = prefix_of(first(_DELEGATED_PREFIX if record.family == "pd" else _FRAMED_PREFIX))
        return theirs if theirs and _holds(record, theirs) else _of(record)


def _holds(record: PoolRecord, value: str) -> bool:
    given = ipaddress.ip_network(value)
    return given.prefixlen == record.length and any(
        given.version == whole.version and given.subnet_of(whole)  # type: ignore[arg-type]
        for whole in map(ipaddress.ip_network, record.prefixes)
    )


def _of(record: PoolRecord) -> str:
    first = ipaddress.ip_network(record.prefixes[0]).network_address
    return str(first) if record.family == "ipv4" else f"{first}/{record.length}"
