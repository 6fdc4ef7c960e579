"""AccountingRecord: what an Accounting-Request says, with its event moved back by Acct-Delay-Time."""

import ipaddress

import msgspec

from aaa.radius.packet import Packet

START, STOP, INTERIM, ON, OFF = 1, 2, 3, 7, 8
KIND_NAMES = {START: "start", STOP: "stop", INTERIM: "interim", ON: "on", OFF: "off"}
_CAUSES = {
    1: "user-request", 2: "lost-carrier", 4: "idle-timeout", 5: "session-timeout", 6: "admin-reset",
    7: "admin-reboot", 8: "port-error", 9: "nas-error", 10: "nas-request", 11: "nas-reboot",
}  # fmt: skip


class AccountingRecord(msgspec.Struct, frozen=True, array_like=True):
    """One accounting event. `at` is its moment (epoch seconds, Acct-Delay-Time taken off); octets are the
    subscriber's; `*_giga` is None where the NAS sent no gigawords. `wanted_hash` is what the view asks for now.
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

    @property
    def started(self) -> float:
        """When its session began, as far as this record tells."""
        return self.at if self.kind == START else self.at - self.session_time


def read_record(packet: Packet, nas: str, source: str, received: float) -> AccountingRecord | None:
    """The event of a verified Accounting-Request; None when Acct-Status-Type is missing or not one of ours.

    Counters: Acct-Input-Octets is what the NAS got from the subscriber, so it is `up` (RFC 2866 section 5.3).
    """
    found = dict(reversed(packet.pairs))
    kind = _integer(found.get(40))
    if kind not in KIND_NAMES:
        return None
    return AccountingRecord(
        kind=kind,
        nas=nas,
        source=source,
        session_id=found.get(44, b""),
        at=received - min(_integer(found.get(41)), 86400 * 7),
        session_time=_integer(found.get(46)),
        up_low=_integer(found.get(42)),
        down_low=_integer(found.get(43)),
        up_giga=_integer(found[52]) if 52 in found else None,
        down_giga=_integer(found[53]) if 53 in found else None,
        login=clean(found.get(1)),
        calling=clean(found.get(31)),
        framed_address=_address4(found.get(8)),
        framed_prefix=_prefix(found.get(97)),
        delegated_prefix=_prefix(found.get(123)),
        nas_port=_integer(found.get(5)),
        nas_port_id=clean(found.get(87)),
        cause=_CAUSES.get(_integer(found.get(49)), ""),
    )


def clean(value: bytes | None) -> str:
    """Text of a stranger: what is no UTF-8 is replaced, NUL (which PostgreSQL refuses) is taken out."""
    if not value:
        return ""
    text = value.decode("utf-8", "replace")
    return text.replace("\x00", "") if b"\x00" in value else text


def _integer(value: bytes | None) -> int:
    return int.from_bytes(value) if value is not None and len(value) == 4 else 0


def _address4(value: bytes | None) -> str:
    return str(ipaddress.IPv4Address(value)) if value is not None and len(value) == 4 else ""


def _prefix(value: bytes | None) -> str:
    if value is None or not 2 <= len(value) <= 18 or value[1] > 128:
        return ""
    return f"{ipaddress.IPv6Address(value[2:].ljust(16, bytes(1)))}/{value[1]}"
