"""Read a lab from the intents: every FRR router, every link between them, every port that ends elsewhere."""

import ipaddress
from collections.abc import Iterator

from cli.lab.topology import CONTROL, Cable, LabPlan, RouterPlan
from core.errors import Terminal
from intents.reader import Reader

PLATFORM = "frr"


class NoManagementAddress(Terminal):
    """A router that cannot be reached cannot be in the lab."""

    def __init__(self, router: str) -> None:
        super().__init__(
            f"{router} has no management.address; the lab reaches routers at the address of their intent"
        )


def plan_of(reader: Reader, control: tuple[str, ...] = ()) -> LabPlan:
    """The lab of a repository's FRR routers, at the management addresses of their intents.

    `control` are the operator's side's own addresses with length; by default the last of the smallest network
    (at least a /24) that holds all management addresses. Links to devices that are not in the lab end on the
    operator's side, on ports x0, x1 … (`LabPlan.outside`).
    """
    addresses = dict(_routers(reader))
    routers = tuple(
        RouterPlan(name, address, tuple(sorted(set(_handoff_ports(reader, name)))))
        for name, address in addresses.items()
    )
    return LabPlan(
        routers, tuple(_cables(reader, set(addresses))), control or (_last(list(addresses.values())),)
    )


def _routers(reader: Reader) -> Iterator[tuple[str, str]]:
    for name, device in reader.all("device"):
        if device.platform == PLATFORM and device.state in ("active", "maintenance"):
            if device.management is None:
                raise NoManagementAddress(name)
            yield name, str(device.management.address)


def _cables(reader: Reader, routers: set[str]) -> Iterator[Cable]:
    outside = 0
    for _, link in reader.all("link"):
        ends = [(end.device, end.port) for end in link.ends]
        inner = [end for end in ends if end[0] in routers]
        if len(inner) == 2:
            yield Cable(inner[0], inner[1])
        elif inner:
            yield Cable(inner[0], (CONTROL, f"x{outside}"))
            outside += 1


def _handoff_ports(reader: Reader, router: str) -> Iterator[str]:
    """Customers' ports, and those that a router's own file names and no link ends on."""
    linked = {
        end.port
        for kind, name in reader.referrers("device", router)
        if kind == "link"
        for end in reader.get(kind, name).ends
        if end.device == router
    }
    for kind, name in reader.referrers("device", router):
        if kind == "service":
            yield from (end.port for end in reader.get(kind, name).handoffs if end.router == router)
    for port, declared in reader.get("device", router).interfaces.items():
        if port not in linked and declared.parent is None and not declared.members:
            yield port


def _last(addresses: list[str]) -> str:
    """The last host address of the smallest network that holds them all."""
    hosts = [ipaddress.IPv4Address(address) for address in addresses]
    for length in range(24, 0, -1):
        network = ipaddress.IPv4Network((min(hosts), length), strict=False)
        if max(hosts) in network and network[-2] not in hosts:
            return f"{network[-2]}/{length}"
    raise Terminal("the management addresses have no network in common")
