"""Where a service's line ends: its edge, the NASes that may ask for it, its circuit-id (RFC 3046, RFC 4679). Pure.

RADIUS and DHCP servers know a subscriber by the same octets: this is the one place that makes them.
"""

from typing import Any

import msgspec

from intents.reader import Reader


class Attachment(msgspec.Struct, frozen=True):
    """The access side of a service. `circuit` is b"" where nothing says how the access node names it."""

    edge_id: str = ""
    edge: Any = None
    nas: tuple[tuple[str, Any], ...] = ()
    """(device id, its Nas) of every BNG of the edge, and of the line's own AP."""
    circuit: bytes = b""
    cpe_mac: str = ""
    zone: str = ""
    """IANA time zone of the site where the line ends: a schedule's hours are of there."""


def attachment(reader: Reader, service: Any) -> Attachment:
    """Follow line -> OLT, AP or handoff -> edge -> BNGs."""
    line = reader.get("line", service.line) if service.line else None
    if line is None or line.state == "ceased":
        return Attachment()
    node, edge_id = _node(reader, line), edge_of_line(reader, line)
    edge = reader.get("edge", edge_id) if edge_id else None
    if edge is None:
        return Attachment()
    extra = [line.ap] if line.type == "radio" else []
    return Attachment(
        edge_id=edge_id,
        edge=edge,
        nas=tuple(_nases(reader, [*(bng.device for bng in edge.bngs), *extra])),
        circuit=_circuit(service, line, node),
        cpe_mac=str(line.cpe.mac) if line.type == "radio" and line.cpe else "",
        zone=_zone(reader, node if line.type != "handoff" else reader.get("device", edge.bngs[0].device)),
    )


def _zone(reader: Reader, device: Any) -> str:
    site = reader.get("site", device.site) if device is not None and device.site else None
    return "" if site is None else str(site.timezone or "")


def edge_of_line(reader: Reader, line: Any) -> str:
    """The edge that terminates a line: its OLT's, its AP's, its handover's; "" for none."""
    node = _node(reader, line)
    if node is None:
        return ""
    return (node.edge if line.type == "handoff" else _role(node, line.type).edge) or ""


def _node(reader: Reader, line: Any) -> Any:
    field = {"gpon": "olt", "radio": "ap", "handoff": "link"}[line.type]
    kind = "link" if field == "link" else "device"
    node = reader.get(kind, getattr(line, field))
    if node is None or (kind == "device" and _role(node, line.type) is None):
        return None
    return node


def _role(device: Any, line_type: str) -> Any:
    return device.olt if line_type == "gpon" else device.ap


def _nases(reader: Reader, devices: list[str]) -> list[tuple[str, Any]]:
    found = []
    for device_id in devices:
        device = reader.get("device", device_id)
        if device is not None and device.nas is not None and device.state != "retired":
            found.append((device_id, device.nas))
    return found


def _circuit(service: Any, line: Any, node: Any) -> bytes:
    """The session's own circuit-id, else the OLT's template filled in (RFC 4679, TR-101 style)."""
    session = service.session
    if session is not None and session.circuit_id:
        return circuit_octets(session.circuit_id)
    if line.type != "gpon" or not node.olt.circuit_id:
        return b""
    attach = service.attach
    words = {
        "device": line.olt,
        "pon": line.pon,
        "onu": line.onu,
        "port": attach.port if attach else None,
        "svlan": attach.svlan if attach else None,
        "cvlan": attach.cvlan if attach else None,
    }
    template: str = node.olt.circuit_id
    for name, value in words.items():
        field = "{" + name + "}"
        if field in template and value is None:
            return b""
        template = template.replace(field, str(value))
    return template.encode()


def circuit_octets(text: str) -> bytes:
    """A circuit-id as written in an intent: text, or `hex:…` for octets."""
    if not text.startswith("hex:"):
        return text.encode()
    try:
        return bytes.fromhex(text[4:])
    except ValueError:
        return text.encode()
