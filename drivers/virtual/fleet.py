"""Many virtual devices in one process, each on its own loopback port, served by one thread.

with VirtualFleet(folder, [DeviceSpec(name="core1", role="router", logins={"net": Login(password="…")})]) as fleet:
    target = fleet.target("core1", "net")
"""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from drivers.contract import Target
from drivers.virtual import store
from drivers.virtual.device import DeviceSpec, VirtualDevice
from drivers.virtual.server import DeviceServer


class VirtualFleet:
    """Devices whose flash lies in `folder/<name>`; they keep keys, ports and configuration over restarts."""

    def __init__(self, folder: Path, specs: Sequence[DeviceSpec]) -> None:
        self.devices = {spec.name: VirtualDevice(folder / spec.name, spec) for spec in specs}
        self._servers = [DeviceServer(device) for device in self.devices.values()]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="virtual-fleet", daemon=True)

    @classmethod
    def found_in(cls, folder: Path) -> Self:
        """The fleet that an earlier one left in a folder."""
        files = sorted(folder.glob("*/device.json"))
        return cls(folder, [store.load(file, DeviceSpec, DeviceSpec(name="", role="")) for file in files])

    def __getitem__(self, name: str) -> VirtualDevice:
        return self.devices[name]

    def __iter__(self) -> Iterator[VirtualDevice]:
        return iter(self.devices.values())

    def start(self) -> None:
        """Listen on every device's port; returns when all do."""
        self._thread.start()
        self._wait(self._all("start"))

    def stop(self) -> None:
        """Switch every device off."""
        if not self._thread.is_alive():
            return
        self._wait(self._all("stop"))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def target(self, name: str, login: str, **more: Any) -> Target:
        """How to log in to a device of this fleet."""
        device = self.devices[name]
        known = device.spec.logins[login]
        return Target(
            device=name,
            platform="virtual",
            host=device.spec.host,
            port=device.spec.port,
            login=login,
            password=known.password,
            host_key=device.host_key,
            **more,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    async def _all(self, what: str) -> None:
        await asyncio.gather(*(getattr(server, what)() for server in self._servers))

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=120)
