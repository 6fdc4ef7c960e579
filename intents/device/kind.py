"""Devices as a kind: references to sites, edges and reflectors; claims on addresses and NAS sources."""

from collections.abc import Iterator

from intents import claims as spelling
from intents.device.radsec import radsec_name
from intents.device.schema import Device
from intents.kind import Claim, Complaint, Kind, Reference

_ROLE_PARTS = {"bng": "bng", "olt": "olt", "ap": "ap"}


def references(_id: str, device: Device) -> Iterator[Reference]:
    """Its site, its edge, its iBGP neighbours."""
    yield Reference("site", device.site, ("site",))
    for part in ("olt", "ap"):
        edge = getattr(device, part)
        if edge is not None:
            yield Reference("edge", edge.edge, (part, "edge"))
    if device.routing and device.routing.ibgp:
        for key in ("rr", "mesh"):
            for index, other in enumerate(getattr(device.routing.ibgp, key)):
                yield Reference("device", other, ("routing", "ibgp", key, index))


def claims(_id: str, device: Device) -> Iterator[Claim]:
    """Management address, loopbacks, addresses of ports, NAS sources. What is retired claims nothing."""
    if device.state == "retired":
        return
    if device.management:
        yield spelling.exactly("management", _endpoint(device), ("management", "address"))
    if device.nas:
        for index, source in enumerate(device.nas.sources):
            yield spelling.exactly("nas", source, ("nas", "sources", index))
        if device.nas.radsec is not None:
            yield spelling.exactly("nas", radsec_name(device.nas.radsec), ("nas", "radsec"))
    for kind in ("pair", "ring"):
        if (name := getattr(device, kind)) is not None:
            yield spelling.exactly(kind, name, (kind,))  # not exclusive: this is how fellows are found
    yield from _networks(device)


def _endpoint(device: Device) -> str:
    assert device.management is not None
    return f"{device.management.address} {device.management.port}"


def _networks(device: Device) -> Iterator[Claim]:
    for family in ("v4", "v6"):
        if device.loopback and (own := getattr(device.loopback, family)) is not None:
            yield spelling.address("net", own, ("loopback", family))
        for name, port in device.interfaces.items():
            if (own := getattr(port, family)) is not None:
                yield spelling.prefix("net", own, ("interfaces", name, family))


def complaints(device: Device) -> Iterator[Complaint]:
    """Parts that the role needs or cannot have, and names of ports that do not exist."""
    for part, role in _ROLE_PARTS.items():
        if getattr(device, part) is not None and device.role != role:
            yield Complaint(
                "device.role", (part,), f"only a device with role {role} has `{part}`; this is {device.role}"
            )
    if device.role in ("olt", "ap") and getattr(device, device.role) is None:
        yield Complaint("device.role", ("role",), f"a device with role {device.role} needs `{device.role}`")
    yield from _members(device)
    yield from _nas(device)
    yield from _routes(device)


def _nas(device: Device) -> Iterator[Complaint]:
    nas = device.nas
    if nas is None:
        return
    if not nas.sources and nas.radsec is None:
        yield Complaint("device.nas", ("nas", "sources"), "a NAS needs a source address, or `radsec`")
    if nas.sources and not nas.secrets:
        yield Complaint("device.nas", ("nas", "secrets"), "a NAS needs a secret")


def _members(device: Device) -> Iterator[Complaint]:
    owners: dict[str, str] = {}
    for name, port in device.interfaces.items():
        for index, member in enumerate(port.members):
            if member in owners:
                place = ("interfaces", name, "members", index)
                yield Complaint("device.member", place, f"{member} is already a member of {owners[member]}")
            owners[member] = name


def _routes(device: Device) -> Iterator[Complaint]:
    for index, route in enumerate(device.routing.statics if device.routing else ()):
        place = ("routing", "statics", index)
        if route.via is None and route.port is None and not route.discard:
            message = f"the route to {route.prefix} needs `via`, `port` or `discard: true`"
            yield Complaint("device.static", place, message)
        if route.via is not None and (":" in route.via) != (":" in route.prefix):
            yield Complaint(
                "device.static", (*place, "via"), f"{route.via} is not of the family of {route.prefix}"
            )


KIND = Kind(
    name="device",
    struct=Device,
    pattern="network/devices/{id}.yaml",
    plural="devices",
    references=references,
    claims=claims,
    complaints=complaints,
)
