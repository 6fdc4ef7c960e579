"""The ports of a device: what its intent says, joined with the links and customer handoffs that end on it."""

from collections.abc import Iterable
from typing import Any

import msgspec

from intents.device.schema import Device
from intents.link.schema import Link, LinkEnd
from intents.reader import Reader
from intents.service.schema import Handoff, Service
from inventory.model import FarEnd, OspfPort, Port
from inventory.references import referring


def ports_of(reader: Reader, device_id: str, device: Device) -> tuple[Port, ...]:
    """All ports by name: declared ones, ends of links, and handoffs of l2/l3 services."""
    found: dict[str, Port] = {name: _declared(name, port) for name, port in device.interfaces.items()}
    for link_id, link in referring(reader, "device", device_id, "link"):
        for number, end in enumerate(link.ends):
            if end.device == device_id and link.state != "planned":
                port = _link_port(link_id, link, number, device)
                found[port.name] = _joined(found.get(port.name), port)
    for port in _handoff_ports(reader, device_id):
        found[port.name] = _joined(found.get(port.name), port)
    if device.routing is not None and device.routing.ospf is not None:
        for name in device.routing.ospf.passive:
            if name in found:
                found[name] = msgspec.structs.replace(found[name], ospf=_ospf(device, None, passive=True))
    return tuple(found[name] for name in sorted(found))


def _declared(name: str, port: Any) -> Port:
    return Port(
        name=name,
        description=port.description or "",
        parent=port.parent or "",
        svlan=port.svlan,
        members=tuple(port.members),
        mtu=port.mtu,
        enabled=port.enabled,
        v4=_one(port.v4),
        v6=_one(port.v6),
    )


def _link_port(link_id: str, link: Link, number: int, device: Device) -> Port:
    end = link.ends[number]
    far = link.ends[1 - number] if len(link.ends) == 2 else None
    routed = link.type == "routed"
    return Port(
        name=sub_port(end.port, end.svlan),
        parent=end.port if end.svlan is not None else "",
        svlan=end.svlan,
        description=link.description
        or (f"to {far.device} {far.port}" if far else f"to {link.partner or link_id}"),
        mtu=link.mtu,
        v4=_one(end.v4),
        v6=_one(end.v6),
        link=link_id,
        link_type=link.type,
        far=_far(far),
        svlans=tuple(link.svlans or ()),
        bfd=link.bfd,
        ospf=_ospf(device, link.metric.ospf) if routed and far is not None else None,
    )


def _ospf(device: Device, cost: int | None, passive: bool = False) -> OspfPort | None:
    ospf = device.routing.ospf if device.routing else None
    if ospf is None:
        return None
    return OspfPort(cost=cost, passive=passive, hello=ospf.hello, dead=ospf.dead)


def _far(end: LinkEnd | None) -> FarEnd | None:
    return None if end is None else FarEnd(end.device, sub_port(end.port, end.svlan), end.v4, end.v6)


def _handoff_ports(reader: Reader, device_id: str) -> Iterable[Port]:
    for service_id, service in referring(reader, "device", device_id, "service"):
        if service.state != "active":
            continue
        for handoff in service.handoffs:
            if handoff.router == device_id:
                yield _handoff_port(service_id, service, handoff)


def _handoff_port(service_id: str, service: Service, handoff: Handoff) -> Port:
    return Port(
        name=sub_port(handoff.port, handoff.svlan, handoff.cvlan),
        parent=handoff.port if handoff.svlan is not None else "",
        svlan=handoff.svlan,
        cvlan=handoff.cvlan,
        description=f"{service.customer} {service_id} {handoff.role}",
        v4=_one(handoff.v4.us if handoff.v4 else None),
        v6=_one(handoff.v6.us if handoff.v6 else None),
        link_type="customer",
        service=service_id,
    )


def sub_port(port: str, svlan: int | None, cvlan: int | None = None) -> str:
    """The name of a VLAN of a port: `port.svlan[.cvlan]`, or the port itself."""
    return ".".join([port, *(str(vlan) for vlan in (svlan, cvlan) if vlan is not None)])


def _joined(declared: Port | None, linked: Port) -> Port:
    """The link's facts over the declaration's; what the device's own file says of description and MTU wins."""
    if declared is None:
        return linked
    return msgspec.structs.replace(
        linked,
        description=declared.description or linked.description,
        mtu=declared.mtu or linked.mtu,
        members=declared.members,
        enabled=declared.enabled,
        parent=declared.parent or linked.parent,
        svlan=declared.svlan if declared.svlan is not None else linked.svlan,
        v4=tuple(dict.fromkeys(declared.v4 + linked.v4)),
        v6=tuple(dict.fromkeys(declared.v6 + linked.v6)),
    )


def _one(address: str | None) -> tuple[str, ...]:
    return () if address is None else (str(address),)
