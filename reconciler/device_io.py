"""The few things that the machine asks of a driver, for every platform alike."""

import hashlib
from contextlib import AbstractContextManager

from drivers.contract import Driver, NotSupported, Observation, SectionDriver
from intents.device.schema import Device
from reconciler.context import Rendering

Session = AbstractContextManager[Driver]


def load(driver: Driver, rendering: Rendering) -> None:
    """Load the rendering as candidate."""
    load_config(driver, rendering.model.device, rendering.rendered.config)


def load_config(driver: Driver, device: Device, config: str) -> None:
    """Load a whole configuration as candidate: all of it with `manage: full`, the device's sections with `partial`.

    A driver that cannot replace sections alone adds lines; what left the intent then stays on the device.
    """
    if device.manage != "partial":
        driver.load_replace_candidate(config=config)
    elif device.sections and isinstance(driver, SectionDriver):
        driver.load_sections_candidate(config, device.sections)
    else:
        driver.load_merge_candidate(config=config)


def running_hash(driver: Driver) -> str:
    """SHA-256 of the running configuration as the driver normalises it."""
    text: str = driver.get_config(retrieve="running")["running"]
    return hashlib.sha256(text.encode()).hexdigest()


def observe(driver: Driver) -> Observation:
    """What the device says of itself; nothing where its driver declares that it cannot."""
    try:
        return driver.observe()
    except NotSupported:
        return Observation()
