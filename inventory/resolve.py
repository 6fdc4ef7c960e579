"""Resolve a device: follow every reference of its intent, through a Reader that may record what was read."""

from intents.config.schema import Config
from intents.device.schema import Device
from intents.reader import Reader
from inventory.dhcp import dhcp_of
from inventory.errors import DeviceMissing
from inventory.model import DeviceModel
from inventory.ports import ports_of
from inventory.routing import routing_of
from inventory.subscribers import edges_of, nas_of


def resolve_device(reader: Reader, device_id: str) -> DeviceModel:
    """The device's model. Reads only through `reader`. Raises DeviceMissing.

    Subscriber objects (lines, services) are not part of it: they travel in their own lane.
    """
    device: Device | None = reader.get("device", device_id)
    if device is None:
        raise DeviceMissing(device_id, reader.revision)
    config: Config | None = reader.get("config", "trunkline")
    site = reader.get("site", device.site)
    edges = edges_of(reader, device_id)
    loopback = device.loopback
    return DeviceModel(
        id=device_id,
        device=device,
        site_id=device.site,
        site=site,
        operator=config.operator.name if config else "",
        timezone=(site.timezone if site else None) or (config.operator.timezone if config else "UTC"),
        loopback_v4=loopback.v4 if loopback else None,
        loopback_v6=loopback.v6 if loopback else None,
        ports=ports_of(reader, device_id, device),
        routing=routing_of(reader, device_id, device, config, edges),
        nas=nas_of(device_id, device, config),
        edges=edges,
        dhcp=dhcp_of(reader, device_id) if device.role == "dhcp" else (),
        dns=tuple(dict.fromkeys(address for side in edges for address in side.edge.dns)),
    )
