"""Lane 2: what a line's IPoE services want on a Kea server: a reservation each. Pure.

A service is known by its circuit-id, or by its MAC where it is bound to one. The reservation's client class is the
pool; a fixed address stands in it. In the walled garden the class is the garden's. A blocked service keeps a
reservation of a class that no subnet is open to. A throttle is the BNG's matter.
"""

import ipaddress
from collections.abc import Iterator, Sequence

from intents.line.schema import Line
from inventory.model import PoolPart, ServiceOnLine
from renderers.contract import WantedObject
from renderers.kea.names import class_of


def objects(line_id: str, line: Line, services: Sequence[ServiceOnLine]) -> list[WantedObject]:  # noqa: ARG001
    """A reservation for every IPoE service of an active line that can be told apart; else []."""
    if line.state != "active":
        return []
    return [wanted for service in services for wanted in _reservation(service)]


def _reservation(on_line: ServiceOnLine) -> Iterator[WantedObject]:
    key = _key(on_line)
    if key:
        pool, address = _place(on_line)
        attributes = {"class": class_of(pool), "address": address}
        yield WantedObject(kind="reservation", key=key, attributes=attributes, owner=on_line.service_id)


def _key(on_line: ServiceOnLine) -> dict[str, str]:
    """{"mac": …} for a service that is bound to one, {"circuit": hex octets} otherwise; {} when nobody can name it."""
    session = on_line.service.session
    if session is None or session.method != "ipoe":
        return {}
    mac = str(session.mac or on_line.place.cpe_mac or "")
    circuit = on_line.place.circuit.hex()
    if "mac" in session.bind or not circuit:
        return {"mac": mac.lower()} if mac else {}
    return {"circuit": circuit}


def _place(on_line: ServiceOnLine) -> tuple[str, str]:
    """(pool, fixed address); ("", "") is known and gets nothing."""
    v4 = on_line.service.ipv4
    blocked = on_line.effect == "block" and on_line.service.on_hold != "emergency-only"
    if blocked or v4 is None or v4.mode == "none":
        return "", ""
    if on_line.effect in ("walled-garden", "block"):  # emergency services are reachable in the garden
        return _pool_for(on_line.pools, "garden"), ""
    if v4.mode != "fixed" or v4.address is None:
        return _pool_for(on_line.pools, v4.mode), ""
    address = ipaddress.IPv4Address(v4.address)
    holder = next((part.pool for part in on_line.pools if _holds(part, address)), "")
    return holder, str(address) if holder else ""


def _pool_for(pools: Sequence[PoolPart], use: str) -> str:
    return next((part.pool for part in pools if part.use == use and part.family == "ipv4"), "")


def _holds(part: PoolPart, address: ipaddress.IPv4Address) -> bool:
    return part.family == "ipv4" and any(address in ipaddress.IPv4Network(prefix) for prefix in part.prefixes)
