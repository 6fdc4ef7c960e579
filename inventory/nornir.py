"""The Nornir inventory of the network: any Nornir task of an operator runs on what trunk says.

    from inventory.nornir import register
    register()
    nornir = InitNornir(inventory={"plugin": "TrunklineInventory", "options": {"reader": reader, "logins": logins}})
    nornir.filter(role="olt").run(task=…)

Groups are roles, platforms and sites, so `nr.filter(F(groups__contains="bng"))` works. Secrets are not opened here:
`logins` maps the name of a login to its (name, password), opened by whoever may.
"""

from collections.abc import Mapping
from typing import Any

from nornir.core.inventory import (
    ConnectionOptions,
    Defaults,
    Group,
    Groups,
    Host,
    Hosts,
    Inventory,
    ParentGroups,
)
from nornir.core.plugins.inventory import InventoryPluginRegister

from intents.device.schema import Device
from intents.reader import Reader

PLUGIN = "TrunklineInventory"
Logins = Mapping[str, tuple[str, str]]


class TrunklineInventory:
    """An inventory plugin over a Reader: devices with a management address that are not planned or retired."""

    def __init__(self, reader: Reader, logins: Logins | None = None, **_options: Any) -> None:
        self._reader, self._logins = reader, logins or {}

    def load(self) -> Inventory:
        """Hosts by device id, groups by role, platform and site."""
        hosts, groups = Hosts(), Groups()
        for name, device in self._reader.all("device"):
            if device.management is not None and device.state in ("active", "maintenance"):
                hosts[name] = self._host(name, device, groups)
        return Inventory(hosts=hosts, groups=groups, defaults=Defaults())

    def _host(self, name: str, device: Device, groups: Groups) -> Host:
        management = device.management
        assert management is not None  # load takes no other
        login, password = self._logins.get(management.login or "", (None, None))
        names = (device.role, device.platform, device.site)
        for group in names:
            groups.setdefault(group, Group(name=group))
        return Host(
            name=name,
            hostname=str(management.address),
            port=management.port,
            username=login,
            password=password,
            platform=device.platform,
            groups=ParentGroups([groups[group] for group in dict.fromkeys(names)]),
            data={
                "role": device.role, "site": device.site, "pair": device.pair, "ring": device.ring,
                "manage": device.manage, "state": device.state, "host_key": management.host_key,
            },
            connection_options={"napalm": ConnectionOptions(extras={"optional_args": _pinned(management.host_key)})},
        )  # fmt: skip


def _pinned(host_key: str | None) -> dict[str, Any]:
    return {"host_key": host_key} if host_key else {}


def register() -> None:
    """Make the plugin known to Nornir under its name; doing it again changes nothing."""
    InventoryPluginRegister.register(PLUGIN, TrunklineInventory)
