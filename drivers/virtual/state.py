"""What a device says of itself, derived from its configuration, its tables and its faults."""

import hashlib
import ipaddress

from drivers.contract import Neighbour, OnuState
from drivers.virtual.device import VirtualDevice
from drivers.virtual.objects import Onu
from drivers.virtual.tree import Tree


def neighbours(device: VirtualDevice) -> list[Neighbour]:
    """Adjacencies of the running configuration: up, unless the port is shut down or a fault says otherwise."""
    tree = device.configuration.tree()
    return [*_bgp(device, tree.get("router", {})), *_ospf(device, tree)]


def onus(device: VirtualDevice) -> list[OnuState]:
    """Every registered ONU; powers are made up, yet stable: -15 to -24 dBm by serial."""
    return [_onu(device, onu) for onu in device.objects.table.onus.values()]


def stations(device: VirtualDevice) -> list[str]:
    """MAC addresses of the associated CPEs."""
    return sorted(mac for mac in device.stations if not device.is_down(mac))


def ports(device: VirtualDevice) -> list[str]:
    """Names of the configured interfaces."""
    return [line.split(" ")[1] for line in device.configuration.tree() if line.startswith("interface ")]


def _bgp(device: VirtualDevice, router: Tree) -> list[Neighbour]:
    addresses = [line.split(" ")[1] for line in router if line.startswith("neighbor ")]
    return [_neighbour("bgp", address, not device.is_down(address)) for address in addresses]


def _ospf(device: VirtualDevice, tree: Tree) -> list[Neighbour]:
    found: list[Neighbour] = []
    for line, block in tree.items():
        if not line.startswith("interface ") or "ospf passive" in block:
            continue
        if not any(part.startswith("ospf area ") for part in block):
            continue
        port = line.split(" ")[1]
        is_up = "shutdown" not in block and not device.is_down(port)
        found += [_neighbour(protocol, port, is_up) for protocol in _protocols(block)]
    return found


def _protocols(block: Tree) -> list[str]:
    addresses = [line.split(" ")[1] for line in block if line.startswith("address ")]
    versions = {ipaddress.ip_interface(address).version for address in addresses}
    return [name for version, name in ((4, "ospf"), (6, "ospf6")) if version in versions]


def _neighbour(protocol: str, name: str, is_up: bool) -> Neighbour:
    up, down = ("Established", "Idle") if protocol == "bgp" else ("Full", "Down")
    return Neighbour(protocol, name, up if is_up else down, is_up)


def _onu(device: VirtualDevice, onu: Onu) -> OnuState:
    online = not device.is_down(onu.serial, onu.pon)
    power = -15.0 - hashlib.sha256(onu.serial.encode()).digest()[0] % 10
    return OnuState(onu.pon, onu.onu, onu.serial, online, power if online else None)
