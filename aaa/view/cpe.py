"""Radio lines: the login of the CPE at its AP (802.1X, or MAC where the sector asks for no more). Pure.

The reply is that of the line's internet service over IPoE. Over PPPoE the BNG has the session and its policy, and the
AP only lets the radio in, into the sector's VLAN; so it does for a line without a service.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from aaa.vendors import registry
from aaa.vendors.attributes import encode as attribute
from aaa.vendors.policy import Policy
from aaa.view.records import Access, ViewRecord, decode, encode, login_key, mac_key
from core.errors import Terminal
from intents.kinds import path_of
from intents.reader import Reader

Moved = Callable[[str, str, str, bytes], bytes]
"""(sealed in Git, path, key name, place) -> sealed for the view."""
OWNER = "unserved"
"""Sorts behind `service`: where both have a record for one key, the service's answers."""
_VLAN, _IEEE_802 = "13", "6"  # RFC 3580 section 3.31


def compile_line(reader: Reader, line_id: str, moved: Moved) -> list[ViewRecord]:
    """What a line's CPE gets when no service says more: the AP's door, and the sector's VLAN."""
    line = _radio(reader, line_id)
    nas, sector = _access_point(reader, line)
    if line is None or line.state != "active" or nas is None:
        return []
    block = registry.reply_block(nas.vendor, Policy(interim=nas.interim))
    block += vlan_block(nas.vendor, sector.svlan if sector else None)
    plain = Access(
        service="", policy_hash="", ppp=False, status="ok", credential=b"", circuits=(), macs=(),
        nas={line.ap: 0}, blocks=(block,),
    )  # fmt: skip
    records = list(_login(line_id, line, plain, moved, f"{OWNER}:{line_id}"))
    mac = mac_key(str(line.cpe.mac)) if line.cpe and sector and sector.auth == "mac" else None
    if mac:
        records.append(ViewRecord(mac, f"{OWNER}:{line_id}", encode(plain)))
    return sorted(records)


def of_service(
    reader: Reader,
    service_id: str,
    service: Any,
    records: Sequence[ViewRecord],
    live: tuple[bytes, ...] | None,
    moved: Moved,
) -> list[ViewRecord]:
    """The CPE's login with the reply of an internet service over IPoE; `records` are the service's own, `live` are the
    places of its sessions when the AP is full of them, else None.
    """
    line = _radio(reader, service.line) if service.line else None
    nas, sector = _access_point(reader, line)
    own = next((decode(one.record, Access) for one in records if one.key[:2] != b"s:"), None)
    if line is None or nas is None or own is None or line.ap not in own.nas:
        return []
    if service.type != "internet" or service.session.method != "ipoe":
        return []
    svlan = service.attach.svlan if service.attach else None
    vlan = vlan_block(nas.vendor, svlan or (sector.svlan if sector else None))
    access = _at_ap(own, line.ap, vlan, live)
    try:
        return list(_login(service.line, line, access, moved, f"service:{service_id}"))
    except Terminal:
        # The line's own record is kept and told; the service's sessions at the BNG have nothing to do with it.
        return []


def door_of(reader: Reader, service: Any, nases: Iterable[tuple[str, Any]]) -> str:
    """The AP of a service's radio line, where its CPE has a session beside that at a BNG; "" where either of them is
    no NAS: then there is one session, and its octets are the service's.
    """
    line = _radio(reader, service.line) if service.line else None
    ap = str(line.ap) if line is not None else ""
    there = {device for device, _nas in nases}
    return ap if ap in there and len(there) > 1 else ""


def _at_ap(own: Access, ap: str, vlan: bytes, live: tuple[bytes, ...] | None) -> Access:
    """The service's record at the AP alone: where it is bound to, and addresses, are the BNG's matter; and it is the
    AP's sessions that fill it.
    """
    index = own.nas[ap]
    counted = own.status in ("ok", "full")
    free = own.free and msgspec.structs.replace(own.free, blocks=(own.free.blocks[index] + vlan,))
    return msgspec.structs.replace(
        own,
        status=own.status if not counted else "ok" if live is None else "full",
        live=live or (),
        circuits=(),
        ports=(),
        pools=(),
        nas={ap: 0},
        blocks=(own.blocks[index] + vlan,) if own.blocks[index] else (b"",),
        free=free,
    )


def lines_of(reader: Reader, devices: Sequence[str]) -> Iterator[str]:
    """The lines on these devices that are APs."""
    for device_id in devices:
        device = reader.get("device", device_id)
        if device is not None and device.ap is not None:
            yield from (name for kind, name in reader.referrers("device", device_id) if kind == "line")


def vlan_block(vendor: str, vlan: int | None) -> bytes:
    """Tunnel attributes that put a station into a VLAN (RFC 3580 section 3.31); nothing without one."""
    if vlan is None:
        return b""
    known = registry.vendor(vendor).attributes
    values = {
        "Tunnel-Type": _VLAN,
        "Tunnel-Medium-Type": _IEEE_802,
        "Tunnel-Private-Group-Id": str(int(vlan)),
    }
    return b"".join(attribute(known[name], value) for name, value in values.items())


def _radio(reader: Reader, line_id: str) -> Any:
    line = reader.get("line", line_id)
    return line if line is not None and line.type == "radio" else None


def _access_point(reader: Reader, line: Any) -> tuple[Any, Any]:
    """The AP's NAS part and the line's sector; (None, None) when it is no NAS."""
    device = reader.get("device", line.ap) if line is not None else None
    if device is None or device.ap is None or device.nas is None or device.state == "retired":
        return None, None
    return device.nas, device.ap.sectors.get(line.sector)


def _login(line_id: str, line: Any, access: Access, moved: Moved, owner: str) -> Iterator[ViewRecord]:
    if line.eap is None:
        return
    key = login_key(line.eap.login)
    credential = moved(line.eap.password, path_of("line", line_id), "eap.password", key)
    yield ViewRecord(key, owner, encode(msgspec.structs.replace(access, credential=credential)))
