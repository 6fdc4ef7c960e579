"""Find the driver of a platform: `drivers/<platform>/driver.py`."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core import discovery
from core.errors import Terminal
from drivers.contract import Capabilities, Driver, Target


class UnknownPlatform(Terminal):
    """No driver for a platform."""

    def __init__(self, platform: str) -> None:
        known = ", ".join(platforms())
        super().__init__(f"there is no driver for platform '{platform}'; known are {known}")


def platforms() -> list[str]:
    """Names of all platforms that have a driver."""
    return list(discovery.folders("drivers", "driver"))


def capabilities(platform: str) -> Capabilities:
    """What the platform's driver declares. Raises UnknownPlatform."""
    found: Capabilities = _module(platform).CAPABILITIES
    return found


def driver_class(platform: str) -> type[Any]:
    """The platform's driver. Raises UnknownPlatform."""
    found: type[Any] = _module(platform).DRIVER
    return found


@contextmanager
def opened(target: Target) -> Iterator[Driver]:
    """A driver with an open session, closed at exit.

    Raises DeviceUnreachable (retryable), HostKeyMismatch or LoginRefused.
    """
    driver = create(target)
    driver.open()
    try:
        yield driver
    finally:
        driver.close()


def create(target: Target) -> Driver:
    """The driver for a target, not opened yet."""
    module = _module(target.platform)
    if hasattr(module, "open_target"):
        made: Driver = module.open_target(target)
        return made
    arguments: dict[str, Any] = {"port": target.port, "key_file": target.key_path, **target.options}
    driver: Driver = module.DRIVER(
        target.host, target.login, target.password, timeout=int(target.timeout), optional_args=arguments
    )
    return driver


def _module(platform: str) -> Any:
    if platform not in platforms():
        raise UnknownPlatform(platform)
    return importlib.import_module(f"drivers.{platform}.driver")
