"""AccountingRecord: what an Accounting-Request says, with its event moved back by Acct-Delay-Time."""

import socket
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from aaa.radius.packet import Packet

START, STOP, INTERIM, ON, OFF = 1, 2, 3, 7, 8
KIND_NAMES = {START: "start", STOP: "stop", INTERIM: "interim", ON: "on", OFF: "off"}
CAUSES = {
    1: "user-request", 2: "lost-carrier", 4: "idle-timeout", 5: "session-timeout", 6: "admin-reset",
    7: "admin-reboot", 8: "port-error", 9: "nas-error", 10: "nas-request", 11: "nas-reboot",
}  # fmt: skip
"""Acct-Terminate-Cause (RFC 2866 section 5.10) in our words."""
LISTED, ALLOCATED, GONE = 0, 1, 2
"""What a record says of a block of ports: has it; IP-Port-Alloc (RFC 8045 section 3.2.8): got it, or gave it back."""
PortBlock = tuple[str, int, int, int]
"""Public address, first and last port, and what is said of it."""
LONGEST_DELAY = 86400 * 7
"""Seconds of Acct-Delay-Time: more is a NAS's mistake, and counts as not told."""
LONGEST_SESSION = 86400 * 3653
"""The same of Acct-Session-Time: ten years."""
PREFIXES = {97: "framed_prefix", 123: "delegated_prefix"}
"""Attributes of which a session may have several (RFC 3162 section 2.3, RFC 4818 section 3), and our names for them."""
_NO_ADDRESS = bytes(4)
_EXTENDED, _PORT_RANGE = 241, b"\x06"


class AccountingRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One accounting event. `at` is its moment (epoch seconds, Acct-Delay-Time taken off); octets are the
    subscriber's; `*_giga` is None where the NAS sent no gigawords. `wanted_hash` is what the view asks for now, and
    `most`, `reject`, `metered`, `door` what it says of the service's sessions and quota. `circuit`: Agent-Circuit-Id
    octets. `ports`: every block of ports that is told of; `public_address` and its ports are the first that is held.
    `also`: further prefixes that the session has now, each with the name of the field that has the first.
    """

    kind: int
    nas: str
    source: str
    session_id: bytes
    at: float
    session_time: int = 0
    up_low: int = 0
    down_low: int = 0
    up_giga: int | None = None
    down_giga: int | None = None
    service: str = ""
    policy_hash: str = ""
    wanted_hash: str = ""
    login: str = ""
    calling: str = ""
    framed_address: str = ""
    framed_prefix: str = ""
    delegated_prefix: str = ""
    nas_port: int = 0
    nas_port_id: str = ""
    cause: str = ""
    interim: int = 600
    framed_address6: str = ""
    multi_session_id: str = ""
    public_address: str = ""
    port_first: int = 0
    port_last: int = 0
    circuit: bytes = b""
    most: int = 1
    reject: bool = False
    metered: bool = False
    door: str = ""
    ports: tuple[PortBlock, ...] = ()
    also: tuple[tuple[str, str], ...] = ()

    @property
    def counts(self) -> bool:
        """Whether its octets are its service's usage: what passes an AP's door is counted at the BNG behind it."""
        return self.nas != self.door

    def whole(self) -> "AccountingRecord":
        """The record itself: see `aaa.accounting.light`."""
        return self

    @property
    def started(self) -> float:
        """When its session began, as far as this record tells."""
        return self.at if self.kind == START else self.at - self.session_time


def read_record(
    packet: Packet,
    nas: str,
    source: str,
    received: float,
    whose: tuple[str, str, str] = ("", "", ""),
    interim: int = 600,
) -> AccountingRecord | None:
    """The event of a verified Accounting-Request; None when Acct-Status-Type is missing or not one of ours.

    `whose`: service, policy hash, wanted hash, as far as the caller knows. `interim` in seconds.
    Counters: Acct-Input-Octets is what the NAS got from the subscriber, so it is `up` (RFC 2866 section 5.3).
    """
    extended = packet.all(_EXTENDED) if packet.first(_EXTENDED) is not None else ()
    record = record_of(dict(reversed(packet.pairs)), nas, source, received, whose, interim, extended)
    also = tuple(_more(packet)) if record is not None else ()
    return msgspec.structs.replace(record, also=also) if record is not None and also else record


def _more(packet: Packet) -> Iterator[tuple[str, str]]:
    """Every prefix but the first of its kind: an attribute may stand there several times (RFC 4818 section 3)."""
    for kind, what in PREFIXES.items():
        first, *others = packet.all(kind) or [b""]
        told = dict.fromkeys(map(prefix_of, others))
        yield from ((what, prefix) for prefix in told if prefix and prefix != prefix_of(first))


def record_of(
    found: Mapping[int, bytes],
    nas: str,
    source: str,
    received: float,
    whose: tuple[str, str, str] = ("", "", ""),
    interim: int = 600,
    extended: Sequence[bytes] = (),
) -> AccountingRecord | None:
    """The same from the first value of each attribute, and all of the extended ones."""
    get = found.get
    kind = _integer(get(40))
    if kind not in KIND_NAMES:
        return None
    up_giga, down_giga = get(52), get(53)
    if extended:
        return _with_ports(found, nas, source, received, whose, interim, extended)
    # By position: names would double the time of this, and it runs for every packet.
    return AccountingRecord(
        kind,
        nas,
        source,
        get(44, b""),
        received - _up_to(LONGEST_DELAY, get(41)),
        _up_to(LONGEST_SESSION, get(46)),
        _integer(get(42)),
        _integer(get(43)),
        None if up_giga is None else _integer(up_giga),
        None if down_giga is None else _integer(down_giga),
        *whose,
        clean(get(1)),
        clean(get(31)),
        _address4(get(8)),
        prefix_of(get(97)),
        prefix_of(get(123)),
        _integer(get(5)),
        clean(get(87)),
        CAUSES.get(_integer(get(49)), ""),
        interim,
        _address6(get(168)),
        clean(get(50)),
    )


def _with_ports(
    found: Mapping[int, bytes], nas: str, source: str, received: float, whose: tuple[str, str, str], interim: int,
    extended: Sequence[bytes],
) -> AccountingRecord | None:  # fmt: skip
    record = record_of(found, nas, source, received, whose, interim)
    ports = tuple(block for block in map(_port_block, extended) if block is not None)
    if record is None or not ports:
        return record
    held = next((one for one in ports if one[3] != GONE), ("", 0, 0, LISTED))
    return msgspec.structs.replace(
        record, ports=ports, public_address=held[0], port_first=held[1], port_last=held[2]
    )


def clean(value: bytes | None) -> str:
    """Text of a stranger: what is no UTF-8 is replaced, NUL (which PostgreSQL refuses) is taken out."""
    if not value:
        return ""
    text = value.decode("utf-8", "replace")
    return text.replace("\x00", "") if b"\x00" in value else text


def prefix_text(address: bytes, length: int) -> str:
    """An IPv6 prefix as we write it everywhere: bits beyond its length are zero (RFC 3162 section 2.3)."""
    if address[length >> 3 :].strip(b"\0"):
        address = (int.from_bytes(address) >> 128 - length << 128 - length).to_bytes(16)
    return f"{socket.inet_ntop(socket.AF_INET6, address)}/{length}"


def _integer(value: bytes | None) -> int:
    return int.from_bytes(value) if value is not None and len(value) == 4 else 0


def _up_to(most: int, value: bytes | None) -> int:
    seconds = _integer(value)
    return seconds if seconds <= most else 0


def _address4(value: bytes | None) -> str:
    """0.0.0.0 is what a NAS says of an address that it has given back, or not yet got."""
    return socket.inet_ntoa(value) if value is not None and len(value) == 4 and value != _NO_ADDRESS else ""


def _address6(value: bytes | None) -> str:
    return socket.inet_ntop(socket.AF_INET6, value) if value is not None and len(value) == 16 else ""


def prefix_of(value: bytes | None) -> str:
    """An attribute of RFC 3162 section 2.3 as text; "" for none, or a damaged one."""
    if value is None or not 2 <= len(value) <= 18 or value[1] > 128:
        return ""
    return prefix_text(value[2:].ljust(16, b"\0"), value[1])


def _port_block(value: bytes) -> PortBlock | None:
    """A block of IP-Port-Range (RFC 8045 section 3.1.2: type 241.6, TLVs 3, 8, 9 and 10); None for anything else."""
    if value[:1] != _PORT_RANGE:
        return None
    found: dict[int, bytes] = {}
    at = 1
    while at + 2 <= len(value) and value[at + 1] >= 2:
        found[value[at]] = value[at + 2 : at + value[at + 1]]
        at += value[at + 1]
    first, last, said = _integer(found.get(9)), _integer(found.get(10)), _integer(found.get(8))
    if not 0 < first <= last <= 65535:
        return None
    return _address4(found.get(3)), first, last, said if said in (ALLOCATED, GONE) else LISTED
