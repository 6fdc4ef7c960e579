"""Lane 2: what a GPON line and its services want on a virtual OLT. Pure.

The order is the order of building (ONU, then its service ports); take away in reverse. A blocked service keeps
its port, switched off, so that a release is one short command; `emergency-only` services stay on, because a
switched-off port would silence emergency calls too. Speeds, throttles and the walled garden are RADIUS's work.
"""

from collections.abc import Iterator, Sequence

from intents.line.schema import GponLine, Line
from inventory.model import ServiceOnLine
from renderers.contract import WantedObject


def objects(line_id: str, line: Line, services: Sequence[ServiceOnLine]) -> list[WantedObject]:
    """The ONU of an active line and a service port per service that leaves at a port of it; else []."""
    if not isinstance(line, GponLine) or line.state != "active" or line.onu is None or not line.serial:
        return []
    ports = [port for service in services for port in _service_port(line, line.onu, service)]
    return [_onu(line_id, line, line.onu), *sorted(ports, key=lambda wanted: str(wanted.key["port"]))]


def _onu(line_id: str, line: GponLine, onu: int) -> WantedObject:
    attributes = {"serial": str(line.serial), "model": line.model or "", "mode": line.mode}
    return WantedObject(kind="onu", key={"pon": line.pon, "onu": onu}, attributes=attributes, owner=line_id)


def _service_port(line: GponLine, onu: int, on_line: ServiceOnLine) -> Iterator[WantedObject]:
    attach = on_line.service.attach
    if attach is None or not attach.port or not attach.svlan:
        return
    is_off = on_line.effect == "block" and on_line.service.on_hold != "emergency-only"
    yield WantedObject(
        kind="service-port",
        key={"pon": line.pon, "onu": onu, "port": attach.port},
        attributes={
            "svlan": int(attach.svlan),
            "cvlan": int(attach.cvlan or 0),
            "state": "down" if is_off else "up",
        },
        owner=on_line.service_id,
    )
